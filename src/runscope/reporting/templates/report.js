(() => {
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = id => document.getElementById(id);
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const state = { axis: "step", range: null, hidden: new Set(), plots: [], focus: null };
const MARK_ROWS = 3, ROW = 21;

/* ---- axes: every x is a step; other axes are interpolated between knots ---- */
function between(xs, ys, x) {
  let low = 0, high = xs.length - 1;
  while (high - low > 1) { const middle = (low + high) >> 1; if (xs[middle] <= x) low = middle; else high = middle; }
  const span = xs[high] - xs[low];
  return span ? ys[low] + (x - xs[low]) / span * (ys[high] - ys[low]) : ys[low];
}
const toAxis = step => state.axis === "step" ? step : between(data.axes[state.axis].step, data.axes[state.axis].value, step);
const toStep = x => state.axis === "step" ? x : between(data.axes[state.axis].value, data.axes[state.axis].step, x);

const extent = (() => {
  let low = Infinity, high = -Infinity;
  const see = x => { low = Math.min(low, x); high = Math.max(high, x); };
  for (const chart of data.charts) for (const s of chart.series) {
    if (s.x.length) { see(s.x[0]); see(s.x[s.x.length - 1]); }
    for (const [first, last] of s.bad || []) { see(first); see(last); }
  }
  const room = (high - low || 1) * 0.015;
  return [low - room, high + room];
})();

/* ---- how a series looks ---- */
const shown = (chart, s) => !state.hidden.has("run" + s.number) && !state.hidden.has(chart.key + ":" + s.style);
const colourOf = s => s.colour || css(s.style === "scores2" ? "--soft" : "--heldout");
function look(chart, s) {
  const colour = colourOf(s), base = { label: s.label, show: shown(chart, s), points: { show: false }, spanGaps: true, stroke: colour };
  if (s.style === "raw") return { ...base, width: 1, alpha: .3 };
  if (s.style === "tail") return { ...base, width: 1.5, alpha: .65, dash: [1, 3] };
  if (s.style === "line") return { ...base, width: 2, dash: s.dash.length ? s.dash : undefined };
  if (s.style === "points") return { ...base, width: 1.5, dash: [6, 3], points: { show: true, size: 6, fill: colour } };
  const hollow = s.style === "scores2";
  return { ...base, width: 1.5, dash: hollow ? [3, 3] : undefined, points: { show: true, size: 7, width: 1.5, stroke: colour, fill: hollow ? css("--paper") : colour } };
}

/* ---- what is drawn across a chart ---- */
function place(u, step) { return Math.round(u.valToPos(toAxis(step), "x", true)); }
function inside(u, x) { return x >= u.bbox.left && x <= u.bbox.left + u.bbox.width; }
function vertical(u, step, colour, width, dash) {
  const x = place(u, step), c = u.ctx;
  if (!inside(u, x)) return;
  c.save(); c.strokeStyle = colour; c.lineWidth = width * devicePixelRatio; c.setLineDash(dash.map(d => d * devicePixelRatio));
  c.beginPath(); c.moveTo(x, u.bbox.top); c.lineTo(x, u.bbox.top + u.bbox.height); c.stroke(); c.restore();
}
function band(u, first, last, colour, alpha) {
  const c = u.ctx, a = Math.max(place(u, first), u.bbox.left), b = Math.min(place(u, last), u.bbox.left + u.bbox.width);
  if (b < a) return;
  c.save(); c.globalAlpha = alpha; c.fillStyle = colour; c.fillRect(a, u.bbox.top, Math.max(2 * devicePixelRatio, b - a), u.bbox.height); c.restore();
}
function words(u, text, x, y, colour, { weight = "400", align = "left" } = {}) {
  const c = u.ctx, r = devicePixelRatio;
  c.save(); c.font = `${weight} ${11 * r}px system-ui, sans-serif`; c.textAlign = align; c.textBaseline = "alphabetic";
  const wide = c.measureText(text).width;
  if (align === "left" && x + wide > u.bbox.left + u.bbox.width) { c.textAlign = "right"; x -= 10 * r; }
  c.lineJoin = "round"; c.lineWidth = 4 * r; c.strokeStyle = css("--paper"); c.strokeText(text, x, y);
  c.fillStyle = colour; c.fillText(text, x, y); c.restore();
}
function behind(u) {
  const soft = css("--soft");
  for (const [first, last] of data.marks.gaps) band(u, first, last, soft, .12);
  if (state.focus) band(u, state.focus.first, state.focus.last, css("--accent"), .14);
  const c = u.ctx;
  c.save(); c.globalAlpha = .5;
  for (const [step] of data.marks.epochs) vertical(u, step, soft, 1, [1, 4]);
  c.restore();
  for (const join of data.marks.joins) vertical(u, join.step, css("--ink"), 1.25, []);
  if (data.marks.keep !== null) vertical(u, data.marks.keep, css("--good"), 2.5, []);
}
const cut = (text, most) => [...text].length > most ? [...text].slice(0, most - 1).join("") + "…" : text;
function labels(u) {
  const r = devicePixelRatio, bottom = u.bbox.top + u.bbox.height - 6 * r, soft = css("--soft");
  let last = -Infinity;
  for (const [step, epoch] of data.marks.epochs) {
    const x = place(u, step);
    if (!inside(u, x) || x - last < 62 * r) continue;
    words(u, "epoch " + epoch, x + 4 * r, bottom, soft); last = x;
  }
  const most = u.over.clientWidth < 500 ? 14 : 34;
  data.marks.joins.forEach(j => { const x = place(u, j.step); if (inside(u, x)) words(u, "↦ " + cut(j.run, most), x + 5 * r, u.bbox.top + 14 * r, css("--ink")); });
  if (data.marks.keep !== null && inside(u, place(u, data.marks.keep))) words(u, "keep", place(u, data.marks.keep) + 5 * r, u.bbox.top + 30 * r, css("--good"), { weight: "700" });
}
function above(u, chart) {
  const c = u.ctx, r = devicePixelRatio;
  for (const s of chart.series) if (shown(chart, s)) {
    c.save(); c.beginPath(); c.rect(u.bbox.left, u.bbox.top - 2, u.bbox.width, u.bbox.height + 4); c.clip();
    if (s.low) whiskers(u, s);
    c.strokeStyle = css("--bad"); c.lineWidth = 2 * r;
    for (const [first, last] of s.bad || []) {
      const y = u.bbox.top + u.bbox.height - 7 * r, w = 4 * r;
      for (const x of new Set([place(u, first), place(u, last)])) { c.beginPath(); c.moveTo(x - w, y - w); c.lineTo(x + w, y + w); c.moveTo(x + w, y - w); c.lineTo(x - w, y + w); c.stroke(); }
      if (last > first) { c.beginPath(); c.moveTo(place(u, first), y); c.lineTo(place(u, last), y); c.stroke(); }
    }
    c.restore();
  }
}
function whiskers(u, s) {
  const c = u.ctx, r = devicePixelRatio, w = 4 * r;
  c.strokeStyle = colourOf(s); c.lineWidth = 1.5 * r;
  s.x.forEach((step, k) => {
    const x = place(u, step), a = u.valToPos(s.low[k], "y", true), b = u.valToPos(s.high[k], "y", true);
    c.beginPath(); c.moveTo(x, a); c.lineTo(x, b); c.moveTo(x - w, a); c.lineTo(x + w, a); c.moveTo(x - w, b); c.lineTo(x + w, b); c.stroke();
  });
}

/* ---- findings: buttons above the chart that they are about ---- */
const findingsOf = chart => data.marks.findings.filter(f => f.chart === chart.key).sort((a, b) => a.first - b.first);
function marks(u, chart) {
  const wanted = findingsOf(chart), old = new Map([...u.over.querySelectorAll(".pin")].map(p => [p.dataset.of, p]));
  const ends = Array(MARK_ROWS).fill(-Infinity), wide = u.over.clientWidth;
  for (const f of wanted) {
    const x = u.valToPos(toAxis(Math.min(Math.max(f.first, state.range[0]), f.last)), "x");
    const pin = old.get(f.id) || button("pin " + f.severity, f.code);
    pin.hidden = x < -1 || x > wide + 1;
    if (pin.hidden) continue;
    const at = Math.min(Math.max(x, 26), wide - 26), free = ends.findIndex(e => at - e >= 54), row = free < 0 ? MARK_ROWS - 1 : free;
    ends[row] = at;
    pin.style.left = at + "px"; pin.style.top = -(row + 1) * ROW + "px";
    if (old.has(f.id)) continue;
    pin.dataset.of = f.id; pin.title = f.message; pin.setAttribute("aria-label", `${f.severity} ${f.code}: ${f.message}`);
    pin.addEventListener("mousedown", e => e.stopPropagation());
    pin.addEventListener("click", () => { focusOn(f); reveal(byId(f.id)); });
    u.over.appendChild(pin);
  }
}
function focusOn(finding) { state.focus = finding; state.plots.forEach(p => p.redraw(false, false)); }
function reveal(element) {
  element.scrollIntoView({ block: "center" });
  element.focus({ preventScroll: true });
  element.classList.add("flash"); setTimeout(() => element.classList.remove("flash"), 1600);
}
function button(kind, text) {
  const made = document.createElement("button");
  made.type = "button"; made.className = kind; made.textContent = text;
  return made;
}

/* ---- one chart ---- */
const short = v => v === null || v === undefined ? "" : String(+v.toPrecision(4));
const ticks = (u, values) => values.map(v => v === null ? "" : Math.abs(v) >= 1e5 ? v.toLocaleString("en", { notation: "compact", maximumFractionDigits: 3 }) : Math.abs(v) >= 1000 ? v.toLocaleString("en") : short(v));
function columns(chart) {
  const positive = chart.series.flatMap(s => s.y).filter(y => y > 0), least = positive.reduce((a, b) => Math.min(a, b), Infinity);
  return uPlot.join(chart.series.map(s => {
    const x = state.axis === "step" ? s.x : s.x.map(toAxis);
    return [x, chart.log ? s.y.map(y => y > 0 ? y : least) : s.y];
  }));
}
function build(chart, first) {
  const host = byId("chart-" + chart.key).querySelector(".plot");
  const grid = { stroke: css("--line"), width: 1 }, axis = { stroke: css("--soft"), grid, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const rows = Math.min(MARK_ROWS, findingsOf(chart).length);
  const narrow = host.clientWidth < 500;
  const options = {
    width: host.clientWidth, height: (first ? (narrow ? 250 : 300) : 150) + (rows * ROW), legend: { show: false }, ms: 1, padding: [6 + rows * ROW, 12, 0, 0],
    scales: { x: { time: false, range: () => state.range.map(toAxis) }, y: { distr: chart.log ? 3 : 1, range: tight(chart) } },
    axes: [{ ...axis, values: ticks, size: 28 }, { ...axis, size: narrow ? 46 : 56, values: ticks, space: 34 }],
    series: [{}, ...chart.series.map(s => look(chart, s))],
    cursor: { sync: { key: "runscope", setSeries: false }, drag: { x: true, y: false, setScale: false }, points: { show: false } },
    hooks: {
      drawClear: [behind], draw: [u => above(u, chart), u => { if (first) labels(u); }, u => marks(u, chart)],
      setSelect: [u => {
        if (u.select.width < 4) return;
        const ends = [u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")].map(toStep);
        u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        zoom(ends);
      }],
      setCursor: [u => { if (u.cursor.event) read(u); }],
    },
  };
  const plot = new uPlot(options, columns(chart), host);
  plot.over.addEventListener("dblclick", () => zoom(extent));
  return plot;
}
/* Intervals count for the height; a little room is left above and below. */
function tight(chart) {
  return (u, low, high) => {
    for (const s of chart.series) if (s.low && shown(chart, s)) s.x.forEach((x, k) => {
      if (x >= state.range[0] && x <= state.range[1]) { low = Math.min(low, s.low[k]); high = Math.max(high, s.high[k]); }
    });
    if (low === null || !isFinite(low)) return chart.log ? [.1, 1] : [0, 1];
    if (chart.log) { const factor = Math.max((high / low) ** .06, 1.02); return [low / factor, high * factor]; }
    const room = (high - low || Math.abs(high) || 1) * .06;
    return [low >= 0 && low < room * 3 ? Math.max(0, low - room) : low - room, high + room];
  };
}
function draw() {
  state.plots.forEach(p => p.destroy());
  state.plots = data.charts.map((chart, k) => build(chart, k === 0));
}
function zoom(range) {
  const least = Math.max((extent[1] - extent[0]) / 1e6, 1e-9);
  let [a, b] = range;
  if (b - a < least) { const middle = (a + b) / 2; a = middle - least / 2; b = middle + least / 2; }
  if (b - a >= extent[1] - extent[0]) [a, b] = extent;
  else if (a < extent[0]) [a, b] = [extent[0], extent[0] + b - a];
  else if (b > extent[1]) [a, b] = [extent[1] - (b - a), extent[1]];
  state.range = [a, b];
  state.plots.forEach(p => p.setScale("x", { min: toAxis(a), max: toAxis(b) }));
  state.plots.forEach(p => p.redraw(false, true));
  byId("reset").disabled = a === extent[0] && b === extent[1];
}
function magnify(factor) { const [a, b] = state.range, m = (a + b) / 2, w = (b - a) * factor / 2; zoom([m - w, m + w]); }
function move(share) { const [a, b] = state.range, d = (b - a) * share; zoom([a + d, b + d]); }

/* ---- values under the cursor ---- */
function nearest(xs, x) {
  let low = 0, high = xs.length - 1;
  if (high < 0) return -1;
  while (high - low > 1) { const middle = (low + high) >> 1; if (xs[middle] <= x) low = middle; else high = middle; }
  return Math.abs(xs[low] - x) <= Math.abs(xs[high] - x) ? low : high;
}
function read(u) {
  if (u.cursor.left < 0) return;
  const step = toStep(u.posToVal(u.cursor.left, "x")), reach = (state.range[1] - state.range[0]) / 80;
  const parts = [["step", Math.round(step).toLocaleString("en")]];
  for (const name of Object.keys(data.axes)) parts.push([name, short(between(data.axes[name].step, data.axes[name].value, step))]);
  for (const chart of data.charts) for (const s of chart.series) {
    if (!shown(chart, s)) continue;
    const k = nearest(s.x, step), apart = s.x.length > 1 ? (s.x[s.x.length - 1] - s.x[0]) / (s.x.length - 1) / 2 : 0;
    if (k >= 0 && Math.abs(s.x[k] - step) <= Math.max(reach, apart)) parts.push([s.label, short(s.y[k]) + (s.low ? ` (${short(s.low[k])} to ${short(s.high[k])})` : "")]);
    if ((s.bad || []).some(([first, last]) => step >= first - reach && step <= last + reach)) parts.push([s.label, "not a number"]);
  }
  byId("readout").replaceChildren(...parts.map(([name, value]) => {
    const item = document.createElement("span"), strong = document.createElement("b");
    strong.textContent = value; item.append(name + " ", strong, " ");
    return item;
  }));
}

/* ---- tools ---- */
function sample(colour, dash, dot, width) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), line = document.createElementNS(svg.namespaceURI, "line");
  for (const [k, v] of Object.entries({ width: 22, height: 10, "aria-hidden": "true" })) svg.setAttribute(k, v);
  for (const [k, v] of Object.entries({ x1: 0, x2: 22, y1: 5, y2: 5, stroke: colour, "stroke-width": width, "stroke-dasharray": dash.join(" ") })) line.setAttribute(k, v);
  svg.append(line);
  if (dot) {
    const circle = document.createElementNS(svg.namespaceURI, "circle");
    for (const [k, v] of Object.entries({ cx: 11, cy: 5, r: 3, stroke: colour, "stroke-width": 1.5, fill: dot })) circle.setAttribute(k, v);
    svg.append(circle);
  }
  return svg;
}
function eye(key, label, picture) {
  const made = button("eye", "");
  made.append(picture, label);
  made.setAttribute("aria-pressed", "true"); made.dataset.eye = key; made.title = "Show or hide";
  made.addEventListener("click", () => {
    const off = !state.hidden.has(key);
    off ? state.hidden.add(key) : state.hidden.delete(key);
    made.setAttribute("aria-pressed", String(!off));
    data.charts.forEach((chart, k) => chart.series.forEach((s, i) => state.plots[k].setSeries(i + 1, { show: shown(chart, s) })));
  });
  return made;
}
const STYLES = {
  raw: ["points", ["currentColor", [], "", 1]], line: ["smoothed", ["currentColor", [], "", 2.5]], tail: ["dead tail", ["currentColor", [1, 3], "", 1.5]],
  points: ["held-out loss", ["currentColor", [6, 3], "currentColor", 1.5]], scores: ["held-out examples", ["currentColor", [], "currentColor", 1.5]],
  scores2: ["training examples", ["currentColor", [3, 3], "none", 1.5]],
};
function eyes() {
  const runs = new Map();
  for (const chart of data.charts) for (const s of chart.series) if (s.number >= 0) runs.set("run" + s.number, s);
  for (const [key, s] of runs) byId("eyes").append(eye(key, cut(s.run, 40), sample(s.colour, s.dash.map(d => d / 2), "", 2.5)));
  for (const chart of data.charts) {
    const styles = [...new Set(chart.series.map(s => s.style))], chips = byId("chart-" + chart.key).querySelector(".chips");
    if (styles.length < 2) continue;
    for (const style of styles) chips.append(eye(chart.key + ":" + style, style === "line" && !styles.includes("raw") ? "line" : STYLES[style][0], sample(...STYLES[style][1])));
  }
}
function listen() {
  for (const name of Object.keys(data.axes)) byId("axis").add(new Option(name === "hours" ? "hours of compute" : name, name));
  byId("axis").addEventListener("change", e => { state.axis = e.target.value; draw(); });
  const actions = { in: () => magnify(.5), out: () => magnify(2), left: () => move(-.25), right: () => move(.25), reset: () => zoom(extent) };
  for (const [id, action] of Object.entries(actions)) byId(id).addEventListener("click", action);
  const keys = { "+": actions.in, "=": actions.in, "-": actions.out, ArrowLeft: actions.left, ArrowRight: actions.right, "0": actions.reset };
  document.querySelectorAll(".chart").forEach(figure => figure.addEventListener("keydown", e => {
    if (e.target === figure && keys[e.key]) { e.preventDefault(); keys[e.key](); }
  }));
  document.querySelectorAll("[data-log]").forEach(box => box.addEventListener("change", () => {
    data.charts.find(c => c.key === box.dataset.log).log = box.checked; draw();
  }));
  document.querySelectorAll("[data-show]").forEach(link => link.addEventListener("click", () => {
    const f = data.marks.findings.find(m => m.id === link.dataset.show), room = Math.max((f.last - f.first) * .25, (extent[1] - extent[0]) * .02);
    zoom([f.first - room, f.last + room]);
    focusOn(f);
    reveal(byId("chart-" + f.chart));
  }));
  new ResizeObserver(() => fit(document.querySelector(".plot").clientWidth)).observe(document.querySelector(".plot"));
  let theme;
  addEventListener("beforeprint", () => { theme = document.documentElement.dataset.theme; document.documentElement.dataset.theme = "light"; draw(); fit(680); });
  addEventListener("afterprint", () => { if (theme) document.documentElement.dataset.theme = theme; else delete document.documentElement.dataset.theme; draw(); });
}
function fit(width) { state.plots.forEach(p => { if (p.width !== width) p.setSize({ width, height: p.height }); }); }
function tables() {
  document.querySelectorAll("table.sortable").forEach(table => table.querySelectorAll("th button").forEach((head, column) => head.addEventListener("click", () => {
    const cell = head.parentElement, up = cell.getAttribute("aria-sort") !== "ascending";
    table.querySelectorAll("th").forEach(h => h.removeAttribute("aria-sort"));
    cell.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = row => { const it = row.cells[column], v = it.dataset.v; return v === undefined ? it.textContent.trim() : v === "" ? null : +v; };
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const x = key(a), y = key(b);
      if (x === null || y === null) return (x === null) - (y === null);
      return (x < y ? -1 : x > y ? 1 : 0) * (up ? 1 : -1);
    });
    table.tBodies[0].append(...rows);
  })));
}
function copying() {
  const copy = byId("copy");
  if (copy) copy.addEventListener("click", async () => {
    const text = byId("code").textContent;
    try { await navigator.clipboard.writeText(text); } catch {
      const range = document.createRange(); range.selectNodeContents(byId("code"));
      const selection = getSelection(); selection.removeAllRanges(); selection.addRange(range); document.execCommand("copy");
    }
    const before = copy.textContent; copy.textContent = copy.dataset.done; setTimeout(() => { copy.textContent = before; }, 1600);
  });
}
function themes() {
  const dark = matchMedia("(prefers-color-scheme: dark)"), root = document.documentElement;
  byId("theme").addEventListener("click", () => {
    const now = root.dataset.theme || (dark.matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    if (data.charts.length) draw();
  });
  dark.addEventListener("change", () => { if (data.charts.length) draw(); });
}

tables(); copying(); themes();
if (data.charts.length) { state.range = [...extent]; eyes(); draw(); listen(); zoom(extent); }
performance.mark("drawn");
window.runscope = { zoom, state };
})();
