"use strict";
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const byId = id => document.getElementById(id);
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const state = { axis: "step", range: null, hidden: new Set(), plots: [] };

/* ---- axes: every x is a step; other axes are interpolated between knots ---- */
function between(xs, ys, x) {
  let low = 0, high = xs.length - 1;
  if (x <= xs[0]) return ys[0];
  if (x >= xs[high]) return ys[high] + (high ? (x - xs[high]) * (ys[high] - ys[high - 1]) / (xs[high] - xs[high - 1] || 1) : 0);
  while (high - low > 1) { const middle = (low + high) >> 1; if (xs[middle] <= x) low = middle; else high = middle; }
  const span = xs[high] - xs[low];
  return span ? ys[low] + (x - xs[low]) / span * (ys[high] - ys[low]) : ys[low];
}
const toAxis = step => state.axis === "step" ? step : between(data.axes[state.axis].step, data.axes[state.axis].value, step);
const toStep = x => state.axis === "step" ? x : between(data.axes[state.axis].value, data.axes[state.axis].step, x);

const extent = (() => {
  let low = Infinity, high = -Infinity;
  for (const chart of data.charts) for (const s of chart.series) if (s.x.length) { low = Math.min(low, s.x[0]); high = Math.max(high, s.x[s.x.length - 1]); }
  const room = (high - low || 1) * 0.015;
  return [low - room, high + room];
})();

/* ---- how a series looks ---- */
const shown = s => !state.hidden.has(s.style === "tail" ? "tail" : "run" + s.number) && !state.hidden.has(s.style);
function look(s) {
  const held = css("--heldout"), colour = s.colour || (s.style === "scores2" ? css("--soft") : held);
  const base = { label: s.label, show: shown(s), points: { show: false }, spanGaps: true };
  if (s.style === "raw") return { ...base, stroke: colour, width: 1, alpha: .28 };
  if (s.style === "tail") return { ...base, stroke: colour, width: 1, alpha: .5, dash: [2, 4] };
  if (s.style === "line") return { ...base, stroke: colour, width: 2, dash: s.dash.length ? s.dash : undefined };
  if (s.style === "points") return { ...base, stroke: colour, width: 1.5, dash: [6, 3], points: { show: true, size: 5, fill: colour } };
  return { ...base, stroke: colour, width: 1.5, dash: s.style === "scores2" ? [3, 3] : undefined, points: { show: true, size: 7, fill: s.style === "scores2" ? css("--paper") : colour } };
}

/* ---- what is drawn across a chart ---- */
function vertical(u, step, colour, width, dash) {
  const x = Math.round(u.valToPos(toAxis(step), "x", true)), c = u.ctx;
  if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) return;
  c.save(); c.strokeStyle = colour; c.lineWidth = width * devicePixelRatio; c.setLineDash(dash.map(d => d * devicePixelRatio));
  c.beginPath(); c.moveTo(x, u.bbox.top); c.lineTo(x, u.bbox.top + u.bbox.height); c.stroke(); c.restore();
}
function behind(u) {
  const soft = css("--soft"), c = u.ctx;
  for (const [first, last] of data.marks.gaps) {
    const a = u.valToPos(toAxis(first), "x", true), b = u.valToPos(toAxis(last), "x", true);
    c.save(); c.globalAlpha = .15; c.fillStyle = soft; c.fillRect(a, u.bbox.top, Math.max(1, b - a), u.bbox.height); c.restore();
  }
  c.save(); c.globalAlpha = .55;
  for (const [step] of data.marks.epochs) vertical(u, step, soft, 1, [1, 4]);
  c.restore();
  for (const join of data.marks.joins) vertical(u, join.step, css("--ink"), 1.5, []);
  if (data.marks.keep !== null) vertical(u, data.marks.keep, css("--good"), 2.5, []);
}
function above(u, chart) {
  const c = u.ctx, r = devicePixelRatio;
  chart.series.forEach(s => {
    if (!shown(s)) return;
    c.save(); c.beginPath(); c.rect(u.bbox.left, u.bbox.top - 2, u.bbox.width, u.bbox.height + 4); c.clip();
    if (s.low) {
      c.strokeStyle = s.style === "scores2" ? css("--soft") : css("--heldout"); c.lineWidth = 1.5 * r;
      s.x.forEach((step, k) => {
        const x = u.valToPos(toAxis(step), "x", true), a = u.valToPos(s.low[k], "y", true), b = u.valToPos(s.high[k], "y", true), w = 4 * r;
        c.beginPath(); c.moveTo(x, a); c.lineTo(x, b); c.moveTo(x - w, a); c.lineTo(x + w, a); c.moveTo(x - w, b); c.lineTo(x + w, b); c.stroke();
      });
    }
    if (s.bad) {
      c.strokeStyle = css("--bad"); c.lineWidth = 2 * r;
      s.bad.forEach(step => {
        const x = u.valToPos(toAxis(step), "x", true), y = u.bbox.top + u.bbox.height - 7 * r, w = 4 * r;
        c.beginPath(); c.moveTo(x - w, y - w); c.lineTo(x + w, y + w); c.moveTo(x + w, y - w); c.lineTo(x - w, y + w); c.stroke();
      });
    }
    c.restore();
  });
}
function pins(u) {
  u.over.querySelectorAll(".pin").forEach(p => p.remove());
  let level = 0, lastX = -99;
  [...data.marks.findings].sort((a, b) => a.first - b.first).forEach(f => {
    const x = u.valToPos(toAxis(f.first), "x");
    if (x < 0 || x > u.over.clientWidth) return;
    level = x - lastX < 54 ? level + 1 : 0; lastX = x;
    const pin = document.createElement("button");
    pin.type = "button"; pin.className = "pin " + f.severity; pin.textContent = f.code; pin.title = f.message;
    pin.style.left = Math.min(Math.max(x, 22), u.over.clientWidth - 22) + "px"; pin.style.top = level * 17 + "px";
    pin.addEventListener("mousedown", e => e.stopPropagation());
    pin.addEventListener("click", () => reveal(byId("finding-" + f.code)));
    u.over.appendChild(pin);
  });
}
function reveal(element) {
  element.scrollIntoView({ block: "center" });
  element.focus({ preventScroll: true });
  element.classList.add("flash"); setTimeout(() => element.classList.remove("flash"), 1600);
}

/* ---- one chart ---- */
const short = v => v === null || v === undefined ? "" : Math.abs(v) >= 1e5 || (v !== 0 && Math.abs(v) < 1e-3) ? v.toExponential(2) : +v.toPrecision(4) + "";
const ticks = (u, values) => values.map(v => v === null ? "" : Math.abs(v) >= 1000 ? v.toLocaleString("en") : short(v));
function build(chart, first) {
  const host = byId("chart-" + chart.key).querySelector(".plot");
  const tables = chart.series.map(s => [s.x.map(toAxis), s.y]);
  const joined = uPlot.join(tables);
  const grid = { stroke: css("--line"), width: 1 }, axis = { stroke: css("--soft"), grid, ticks: grid, font: "12px system-ui, sans-serif" };
  const options = {
    width: host.clientWidth, height: chart.key === "loss" ? 320 : 190, legend: { show: false }, ms: 1,
    scales: { x: { time: false, range: () => state.range.map(toAxis) }, y: { distr: chart.log ? 3 : 1, range: chart.log ? undefined : tight(chart) } },
    axes: [{ ...axis, values: ticks }, { ...axis, size: 62, values: ticks }],
    series: [{}, ...chart.series.map(look)],
    cursor: { sync: { key: "runscope", setSeries: false }, drag: { x: true, y: false, setScale: false }, points: { show: false } },
    hooks: {
      drawClear: [behind], draw: [u => above(u, chart), u => { if (first) pins(u); }],
      setSelect: [u => {
        if (u.select.width < 4) return;
        zoom([u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")].map(toStep));
        u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      }],
      setCursor: [u => { if (u.cursor.event) read(u); }],
    },
  };
  const plot = new uPlot(options, joined, host);
  plot.over.addEventListener("dblclick", () => zoom(extent));
  return plot;
}
/* Intervals count for the height; a smooth curve's first points do not set it alone. */
function tight(chart) {
  return (u, low, high) => {
    for (const s of chart.series) if (s.low && shown(s)) s.x.forEach((x, k) => {
      if (x >= state.range[0] && x <= state.range[1]) { low = Math.min(low, s.low[k]); high = Math.max(high, s.high[k]); }
    });
    if (low === null || !isFinite(low)) return [0, 1];
    const room = (high - low || Math.abs(high) || 1) * .06;
    return [low >= 0 && low < room * 3 ? Math.max(0, low - room) : low - room, high + room];
  };
}
function draw() {
  state.plots.forEach(p => p.destroy());
  state.plots = data.charts.map((chart, k) => build(chart, k === 0));
}
function zoom(range) {
  const least = Math.max((extent[1] - extent[0]) / 1e5, 1e-9);
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
  const step = toStep(u.posToVal(u.cursor.left, "x")), reach = (state.range[1] - state.range[0]) / 60;
  const parts = ["step " + Math.round(step).toLocaleString("en")];
  for (const name of Object.keys(data.axes)) parts.push(name + " " + short(between(data.axes[name].step, data.axes[name].value, step)));
  for (const chart of data.charts) for (const s of chart.series) {
    if (!shown(s) || s.style === "raw") continue;
    const k = nearest(s.x, step), apart = s.x.length > 1 ? (s.x[s.x.length - 1] - s.x[0]) / (s.x.length - 1) : 0;
    if (k >= 0 && Math.abs(s.x[k] - step) <= Math.max(reach, apart)) parts.push(s.label + " " + short(s.y[k]) + (s.low ? " (" + short(s.low[k]) + " to " + short(s.high[k]) + ")" : ""));
  }
  byId("readout").textContent = parts.join(" · ");
}

/* ---- tools ---- */
function eyes() {
  const runs = new Map();
  for (const chart of data.charts) for (const s of chart.series) if (s.number >= 0) runs.set("run" + s.number, s.run);
  const styles = new Set(data.charts.flatMap(c => c.series.map(s => s.style)));
  const found = [...(runs.size > 1 ? runs : [])];
  if (styles.has("raw")) found.push(["raw", "raw points"]);
  if (styles.has("tail")) found.push(["tail", "dead tail"]);
  for (const [key, label] of found) {
    const button = document.createElement("button");
    button.type = "button"; button.textContent = label; button.setAttribute("aria-pressed", "true"); button.dataset.eye = key;
    button.addEventListener("click", () => {
      const off = !state.hidden.has(key);
      off ? state.hidden.add(key) : state.hidden.delete(key);
      button.setAttribute("aria-pressed", String(!off));
      data.charts.forEach((chart, k) => chart.series.forEach((s, i) => state.plots[k].setSeries(i + 1, { show: shown(s) })));
    });
    byId("eyes").appendChild(button);
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
  document.querySelectorAll("[data-show]").forEach(button => button.addEventListener("click", () => {
    const f = data.marks.findings.find(m => m.code === button.dataset.show), room = Math.max((f.last - f.first) * .25, (extent[1] - extent[0]) * .02);
    zoom([f.first - room, f.last + room]);
    reveal(document.querySelector(".chart"));
  }));
  let width = 0;
  new ResizeObserver(() => {
    const now = document.querySelector(".plot").clientWidth;
    if (now !== width) { width = now; state.plots.forEach(p => p.setSize({ width: now, height: p.height })); }
  }).observe(document.querySelector(".plot"));
}
function tables() {
  document.querySelectorAll("table.sortable").forEach(table => table.querySelectorAll("th button").forEach((button, column) => button.addEventListener("click", () => {
    const head = button.parentElement, up = head.getAttribute("aria-sort") !== "ascending";
    table.querySelectorAll("th").forEach(h => h.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = row => { const cell = row.cells[column], v = cell.dataset.v; return v === undefined ? cell.textContent.trim() : v === "" ? null : +v; };
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const x = key(a), y = key(b);
      if (x === null || y === null) return (x === null) - (y === null);
      return (x < y ? -1 : x > y ? 1 : 0) * (up ? 1 : -1);
    });
    table.tBodies[0].append(...rows);
  })));
}
function copying() {
  const button = byId("copy");
  if (button) button.addEventListener("click", async () => {
    const text = byId("code").textContent;
    try { await navigator.clipboard.writeText(text); } catch {
      const range = document.createRange(); range.selectNodeContents(byId("code"));
      const selection = getSelection(); selection.removeAllRanges(); selection.addRange(range); document.execCommand("copy");
    }
    const before = button.textContent; button.textContent = button.dataset.done; setTimeout(() => { button.textContent = before; }, 1600);
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
window.runscope = { zoom, state };
})();
