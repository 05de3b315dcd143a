/* Zoom, values, eyes, tables and what else a hand or a keyboard reaches for. */
function zoom(range) {
  const [first, last] = extent(), least = Math.max((last - first) / 1e6, 1e-9);
  let [a, b] = range;
  if (b - a < least) { const middle = (a + b) / 2; a = middle - least / 2; b = middle + least / 2; }
  if (b - a >= last - first) [a, b] = [first, last];
  else if (a < first) [a, b] = [first, first + b - a];
  else if (b > last) [a, b] = [last - (b - a), last];
  state.range = [a, b];
  byId("reset").disabled = a === first && b === last;
  refresh();
}
function magnify(factor) { const [a, b] = state.range, m = (a + b) / 2, w = (b - a) * factor / 2; zoom([m - w, m + w]); }
function move(share) { const [a, b] = state.range, d = (b - a) * share; zoom([a + d, b + d]); }

/* ---- values under the cursor ---- */
function nearest(xs, x) {
  const high = Math.min(lowerBound(xs, x), xs.length - 1), low = Math.max(high - 1, 0);
  return high < 0 ? -1 : Math.abs(xs[low] - x) <= Math.abs(xs[high] - x) ? low : high;
}
const whole = step => Math.round(step).toLocaleString("en");
const AXES = { step: "step", epoch: "epoch", tokens: "tokens", hours: "hours of compute", clock: "date and time (UTC)" };
const shownOn = (name, value) => name === "step" || name === "tokens" ? whole(value) : name === "clock" ? new Date(value * 1e3).toISOString().slice(0, 16).replace("T", " ") : short(value);
function read(u) {
  if (u.cursor.left < 0) return;
  const x = u.posToVal(u.cursor.left, "x"), reach = (state.range[1] - state.range[0]) / 80;
  const parts = [[AXES[state.axis], shownOn(state.axis, x)]];
  if (!data.compared) for (const name of ["step", ...Object.keys(data.axes)]) if (name !== state.axis && name !== "clock") {
    const step = toStep(x);
    parts.push([AXES[name], shownOn(name, name === "step" ? step : between(data.axes[name][0].step, data.axes[name][0].value, step))]);
  }
  for (const [n, chart] of data.charts.entries()) if (chart.heat && state.plots[n] === u) {
    const row = Math.min(Math.max(Math.floor(u.posToVal(u.cursor.top, "y")), 0), chart.heat.names.length - 1);
    parts.push([chart.heat.full[row], told(chart.heat, row, toStep(x))]);
  }
  for (const [n, chart] of data.charts.entries()) for (const layer of layers(chart)) {
    if (chart.rest && state.plots[n] !== u) continue;
    if (!visible(chart, layer)) continue;
    const { s, smooth } = layer, c = curve(layer), xs = onAxis(c, s.number), k = nearest(xs, x);
    const name = (data.compared ? cut(s.owner, 24) + ", " : "") + s.label + (smooth ? ", smoothed" : "");
    const apart = xs.length > 1 ? (xs[xs.length - 1] - xs[0]) / (xs.length - 1) / 2 : 0;
    if (k >= 0 && Math.abs(xs[k] - x) <= Math.max(reach, apart)) parts.push([name, short(c.y[k]) + (s.low ? ` (${short(s.low[k])} to ${short(s.high[k])})` : "")]);
    if (!smooth && s.bad.some(([first, last]) => x >= toAxis(first, s.number) - reach && x <= toAxis(last, s.number) + reach)) parts.push([name, "NaN or infinite"]);
  }
  byId("readout").replaceChildren(...parts.map(([name, value]) => {
    const item = document.createElement("span"), strong = document.createElement("b");
    strong.textContent = value; item.append(name + " ", strong);
    return item;
  }));
}

/* ---- eyes ---- */
function sample(colour, { dash = [], dot = "", width = 2 } = {}) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), put = (kind, about) => {
    const made = document.createElementNS(svg.namespaceURI, kind);
    for (const [k, v] of Object.entries(about)) made.setAttribute(k, v);
    svg.append(made);
  };
  for (const [k, v] of Object.entries({ width: 22, height: 10, "aria-hidden": "true" })) svg.setAttribute(k, v);
  put("line", { x1: 0, x2: 22, y1: 5, y2: 5, stroke: colour, "stroke-width": width, "stroke-dasharray": dash.join(" ") });
  if (dot) put("circle", { cx: 11, cy: 5, r: 3, stroke: colour, "stroke-width": 1.5, fill: dot });
  return svg;
}
function eye(key, label, picture) {
  const made = button("eye", ""), name = document.createElement("bdi");
  name.textContent = label;
  made.append(picture, name);
  made.setAttribute("aria-pressed", "true"); made.dataset.eye = key; made.title = "Show or hide";
  made.addEventListener("click", () => {
    const off = !state.hidden.has(key);
    off ? state.hidden.add(key) : state.hidden.delete(key);
    made.setAttribute("aria-pressed", String(!off));
    refresh();
  });
  return made;
}
const STYLES = {
  raw: ["points", { width: 1 }], smooth: ["smoothed", { width: 2.5 }], line: ["line", { width: 2 }], tail: ["discarded tail", { dash: [1, 3], width: 1.5 }],
  points: ["held-out loss", { dash: [6, 3], dot: "currentColor", width: 1.5 }], scores: ["held-out examples", { dot: "currentColor", width: 1.5 }],
  scores2: ["training examples", { dash: [3, 3], dot: "none", width: 1.5 }],
};
function eyes() {
  const owners = new Map();
  for (const chart of data.charts) for (const s of chart.series) if (s.number >= 0) owners.set(s.number, s);
  // More runs than colours tell apart have no switch each.
  if (owners.size > 12) byId("eyes").append(`${owners.size} runs, six colours in turn`);
  else for (const [number, s] of owners) byId("eyes").append(eye("owner" + number, cut(s.owner, 40), sample(`var(--run-${number % 6})`, { dash: s.dash.map(d => d / 2), width: 2.5 })));
  for (const chart of data.charts) {
    const styles = [...new Set(layers(chart).map(({ s, smooth }) => smooth ? "smooth" : s.style))], chips = byId("chart-" + chart.key).querySelector(".chips");
    const named = style => STYLES[style] ? [...STYLES[style], "currentColor"] : [chart.series.find(s => s.style === style).label, { dash: DASHED[style[4]] || [], dot: `var(--run-${style[4]})`, width: 1.5 }, `var(--run-${style[4]})`];
    if (styles.length > 1) for (const style of styles) { const [label, looks, colour] = named(style); chips.append(eye(chart.key + ":" + style, label, sample(colour, looks))); }
  }
}
function legend() {
  const has = test => data.charts.some(chart => chart.series.some(test)), add = (kind, text) => {
    const item = document.createElement("li"), mark = document.createElement("i");
    mark.className = "mark " + kind; mark.textContent = kind === "bad" ? "✕" : ""; mark.setAttribute("aria-hidden", "true");
    item.append(mark, text); byId("legend").append(item);
  };
  if (data.joins.length) add("join", "a run continues");
  if (data.epochs.length && !data.compared) add("epoch", "epoch begins");
  if (data.keep.length) add("keep", data.compared ? "checkpoint to keep, in the colour of its training" : "checkpoint to keep");
  if (has(s => s.style === "tail")) add("tail", "discarded tail: logged, then thrown away");
  if (data.gaps.length) add("gap", "nothing was logged");
  if (has(s => s.bad.length)) add("bad", "NaN or infinite");
  if (data.findings.length) add("number", "a finding: read it below");
}

/* ---- the rest ---- */
function reveal(element) {
  for (let fold = element.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  element.scrollIntoView({ block: "center" });
  element.focus({ preventScroll: true });
  element.classList.add("flash"); setTimeout(() => element.classList.remove("flash"), 1600);
}
function listen() {
  for (const name of Object.keys(data.axes)) byId("axis").add(new Option(AXES[name], name));
  byId("axis").addEventListener("change", e => {
    const steps = state.range.map(x => toStep(x)), all = byId("reset").disabled;
    state.axis = e.target.value;
    state.range = all ? extent() : steps.map(step => toAxis(step));
    draw(); zoom(state.range);
  });
  const smooth = byId("smooth"), tell = () => {
    const width = state.smooth ? `${+(100 * data.smoothing[state.smooth - 1]).toPrecision(2)}% of a run` : "off";
    smooth.setAttribute("aria-valuetext", width); smooth.title = width;
  };
  byId("smoothing").hidden = !data.charts.some(chart => chart.series.some(s => s.levels.length));
  smooth.value = state.smooth; tell();
  smooth.addEventListener("input", () => { const off = !state.smooth; state.smooth = +smooth.value; tell(); off === !state.smooth ? refresh() : draw(); });
  const actions = { in: () => magnify(.5), out: () => magnify(2), left: () => move(-.25), right: () => move(.25), reset: () => zoom(extent()) };
  for (const [id, action] of Object.entries(actions)) byId(id).addEventListener("click", action);
  const keys = { "+": actions.in, "=": actions.in, "-": actions.out, ArrowLeft: actions.left, ArrowRight: actions.right, "0": actions.reset };
  document.addEventListener("keydown", e => {
    if (e.target.matches(".chart") && keys[e.key]) { e.preventDefault(); keys[e.key](); }
  });
  document.querySelectorAll("[data-group]").forEach(group => group.addEventListener("toggle", () => group.open ? openGroup(group) : closeGroup(group)));
  heats();
  document.querySelectorAll("[data-log]").forEach(box => box.addEventListener("change", () => {
    data.charts.find(c => c.key === box.dataset.log).log = box.checked; draw();
  }));
  document.querySelectorAll("[data-show]").forEach(link => link.addEventListener("click", () => {
    const f = data.findings.find(m => m.id === link.dataset.show), [first, last] = extent(), ends = [f.first, f.last].map(step => toAxis(step));
    const room = Math.max((ends[1] - ends[0]) * .25, (last - first) * .02);
    zoom([ends[0] - room, ends[1] + room]);
    focusOn(f);
    reveal(byId("chart-" + f.chart));
  }));
  const host = document.querySelector(".plot");
  new ResizeObserver(() => fit(host.clientWidth)).observe(host);
  let theme;
  addEventListener("beforeprint", () => { theme = document.documentElement.dataset.theme; document.documentElement.dataset.theme = "light"; draw(); fit(680); });
  addEventListener("afterprint", () => { if (theme) document.documentElement.dataset.theme = theme; else delete document.documentElement.dataset.theme; draw(); });
}
/* What else was logged: a group is drawn when it is opened, and gone when it is closed. */
function openGroup(group) {
  if (group.querySelector(".chart")) return;
  const charts = data.rest[+group.dataset.group];
  for (const chart of charts) {
    const figure = document.createElement("figure"), caption = document.createElement("figcaption"), name = document.createElement("bdi"), plot = document.createElement("div");
    figure.className = "chart"; figure.id = "chart-" + chart.key; figure.tabIndex = 0;
    figure.setAttribute("role", "group"); figure.setAttribute("aria-label", `${chart.title}. Arrow keys move, plus and minus zoom, 0 shows all.`);
    name.className = "name"; name.textContent = chart.title; plot.className = "plot";
    caption.append(name); figure.append(caption, plot); group.querySelector(".charts").append(figure);
  }
  for (const chart of charts) {  // when all figures stand: the first alone would be given the whole width
    fill(chart); chart.rest = true;
    data.charts.push(chart); state.plots.push(build(chart, false));
  }
}
function closeGroup(group) {
  const gone = new Set(data.rest[+group.dataset.group]);
  state.plots = state.plots.filter((plot, n) => { if (gone.has(data.charts[n])) plot.destroy(); return !gone.has(data.charts[n]); });
  data.charts = data.charts.filter(chart => !gone.has(chart));
  group.querySelector(".charts").replaceChildren();
}
function fit(width) { state.plots.forEach((p, n) => { const wide = data.charts[n].rest ? p.root.parentElement.clientWidth : width; if (p.width !== wide) p.setSize({ width: wide, height: p.height }); }); }
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
  document.querySelectorAll("[data-copy]").forEach(copy => copy.addEventListener("click", async () => {
    const source = byId(copy.dataset.copy);
    try { await navigator.clipboard.writeText(source.textContent); } catch {
      const range = document.createRange(); range.selectNodeContents(source);
      const selection = getSelection(); selection.removeAllRanges(); selection.addRange(range); document.execCommand("copy");
    }
    copy.textContent = "Copied"; setTimeout(() => { copy.textContent = "Copy"; }, 1600);
  }));
}
function themes() {
  const dark = matchMedia("(prefers-color-scheme: dark)"), root = document.documentElement;
  byId("theme").addEventListener("click", () => {
    const now = root.dataset.theme || (dark.matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    if (state.plots.length) draw();
  });
  dark.addEventListener("change", () => { if (state.plots.length) draw(); });
}
