/* How curves and marks look, and the charts themselves. */
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const MARK_ROWS = 3, ROW = 21, DOTS = 80, DASHED = [undefined, [7, 3], [2, 3], [9, 3, 2, 3]];
const cut = (text, most) => [...text].length > most ? [...text].slice(0, most - 1).join("") + "…" : text;
const colourOf = s => s.number >= 0 ? css(`--run-${s.number % 6}`) : css(s.style.startsWith("dots") ? `--run-${s.style[4]}` : s.style === "scores2" ? "--soft" : "--heldout");
const shown = (chart, s) => !state.hidden.has("owner" + s.number) && !state.hidden.has(chart.key + ":" + s.style);
/* A noisy curve is two lines: its points, and a smooth one through them. */
const layers = chart => chart.series.flatMap(s => s.levels.length ? [{ s, smooth: false }, { s, smooth: true }] : [{ s, smooth: false }]);
const visible = (chart, { s, smooth }) => shown(chart, s) && (smooth ? state.smooth > 0 && !state.hidden.has(chart.key + ":smooth") : true);
const curve = ({ s, smooth }) => smooth && state.smooth ? s.levels[state.smooth - 1] : s;

function look(chart, layer) {
  const { s, smooth } = layer, colour = colourOf(s), dash = s.dash.length ? [...s.dash] : undefined;
  const base = { label: s.label, show: visible(chart, layer), points: { show: false }, spanGaps: true, stroke: colour };
  if (smooth) return { ...base, width: 2, dash };
  if (s.style === "raw") return state.smooth ? { ...base, width: 1, alpha: .3 } : { ...base, width: 1.25 };
  if (s.style === "tail") return { ...base, width: 1.5, alpha: .65, dash: [1, 3] };
  const few = (u, index, first, last) => { let n = 0; for (let i = first; i <= last; i++) n += u.data[index][i] != null; return n <= DOTS; };
  if (s.style === "line") return { ...base, width: 2, dash, points: { show: s.x.length <= DOTS / 2, size: 5, fill: colour } };
  if (s.style === "points") return { ...base, width: 1.5, dash: data.compared ? dash : [6, 3], points: { show: few, size: 6, fill: colour } };
  if (s.style.startsWith("dots")) return { ...base, width: 1.5, dash: DASHED[s.style[4]], points: { show: few, size: 7, width: 1.5, stroke: colour, fill: colour } };
  const hollow = s.style === "scores2";
  return { ...base, width: 1.5, dash: hollow ? [3, 3] : undefined, points: { show: true, size: 7, width: 1.5, stroke: colour, fill: hollow ? css("--paper") : colour } };
}

/* ---- what is drawn across a chart ---- */
const place = (u, step, of = 0) => Math.round(u.valToPos(toAxis(step, of), "x", true));
const inside = (u, x) => x >= u.bbox.left && x <= u.bbox.left + u.bbox.width;
function vertical(u, x, colour, width, dash) {
  const c = u.ctx;
  if (!inside(u, x)) return;
  c.save(); c.strokeStyle = colour; c.lineWidth = width * devicePixelRatio; c.setLineDash(dash.map(d => d * devicePixelRatio));
  c.beginPath(); c.moveTo(x, u.bbox.top); c.lineTo(x, u.bbox.top + u.bbox.height); c.stroke(); c.restore();
}
function band(u, first, last, colour, alpha) {
  const c = u.ctx, a = Math.max(first, u.bbox.left), b = Math.min(last, u.bbox.left + u.bbox.width);
  if (b < a) return;
  c.save(); c.globalAlpha = alpha; c.fillStyle = colour; c.fillRect(a, u.bbox.top, Math.max(2 * devicePixelRatio, b - a), u.bbox.height); c.restore();
}
function words(u, text, x, y, colour, weight = "400") {
  const c = u.ctx, r = devicePixelRatio;
  c.save(); c.font = `${weight} ${11 * r}px system-ui, sans-serif`; c.textAlign = "left";
  if (x + c.measureText(text).width > u.bbox.left + u.bbox.width) { c.textAlign = "right"; x -= 10 * r; }
  c.lineJoin = "round"; c.lineWidth = 4 * r; c.strokeStyle = css("--paper"); c.strokeText(text, x, y);
  c.fillStyle = colour; c.fillText(text, x, y); c.restore();
}
/* Where trainings are compared a mark has the colour of its own. */
const tone = (mark, name) => css(data.compared ? `--run-${mark.of % 6}` : name);
function behind(u) {
  for (const gap of data.gaps) band(u, place(u, gap.first, gap.of), place(u, gap.last, gap.of), css("--soft"), .12);
  if (state.focus) band(u, place(u, state.focus.first), place(u, state.focus.last), css("--accent"), .14);
  if (!data.compared) for (const e of data.epochs) vertical(u, place(u, e.step), css("--epoch"), 1, [1, 4]);
  for (const join of data.joins) vertical(u, place(u, join.step, join.of), tone(join, "--ink"), 1.25, data.compared ? [2, 4] : []);
  for (const keep of data.keep) vertical(u, place(u, keep.step, keep.of), tone(keep, "--good"), 2.5, []);
}
function labels(u) {
  const r = devicePixelRatio, bottom = u.bbox.top + u.bbox.height - 6 * r, most = u.over.clientWidth < 500 ? 14 : 34;
  let last = -Infinity;
  if (!data.compared) for (const e of data.epochs) {
    const x = place(u, e.step);
    if (!inside(u, x) || x - last < 62 * r || x + 60 * r > u.bbox.left + u.bbox.width) continue;
    words(u, "epoch " + e.epoch, x + 4 * r, bottom, css("--soft")); last = x;
  }
  if (!data.compared) for (const j of data.joins) if (inside(u, place(u, j.step))) words(u, "↦ " + cut(j.run, most), place(u, j.step) + 5 * r, u.bbox.top + 14 * r, css("--ink"));
  for (const keep of data.keep) { const x = place(u, keep.step, keep.of); if (inside(u, x)) words(u, "keep", x + 5 * r, u.bbox.top + (30 + 14 * keep.of) * r, tone(keep, "--good"), "700"); }
}
function above(u, chart) {
  const c = u.ctx, r = devicePixelRatio, w = 4 * r, y = u.bbox.top + u.bbox.height - 7 * r;
  c.save(); c.beginPath(); c.rect(u.bbox.left, u.bbox.top - 2, u.bbox.width, u.bbox.height + 4); c.clip();
  for (const s of chart.series) if (shown(chart, s)) {
    if (s.low) whiskers(u, s);
    c.strokeStyle = css("--bad"); c.lineWidth = 2 * r;
    for (const [first, last] of s.bad) {
      const a = place(u, first, s.number), b = place(u, last, s.number);
      if (b < u.bbox.left || a > u.bbox.left + u.bbox.width) continue;
      c.beginPath();
      for (const x of new Set([a, b])) { c.moveTo(x - w, y - w); c.lineTo(x + w, y + w); c.moveTo(x + w, y - w); c.lineTo(x - w, y + w); }
      c.moveTo(a, y); c.lineTo(b, y); c.stroke();
    }
  }
  c.restore();
}
function whiskers(u, s) {
  const c = u.ctx, r = devicePixelRatio, w = 4 * r;
  c.strokeStyle = colourOf(s); c.lineWidth = 1.5 * r;
  s.x.forEach((step, k) => {
    const x = place(u, step, s.number), a = u.valToPos(s.low[k], "y", true), b = u.valToPos(s.high[k], "y", true);
    c.beginPath(); c.moveTo(x, a); c.lineTo(x, b); c.moveTo(x - w, a); c.lineTo(x + w, a); c.moveTo(x - w, b); c.lineTo(x + w, b); c.stroke();
  });
}

/* ---- findings: buttons above the chart that they are about ---- */
const findingsOf = chart => data.findings.filter(f => f.chart === chart.key).sort((a, b) => a.first - b.first);
function marks(u, chart) {
  const old = new Map([...u.over.querySelectorAll(".pin")].map(p => [p.dataset.of, p]));
  const ends = Array(MARK_ROWS).fill(-Infinity), wide = u.over.clientWidth;
  for (const f of findingsOf(chart)) {
    const x = u.valToPos(Math.max(toAxis(f.first), Math.min(state.range[0], toAxis(f.last))), "x");
    const pin = old.get(f.id) || button("pin " + f.severity, String(f.number));
    pin.hidden = x < -1 || x > wide + 1;
    if (!pin.hidden) {
      const at = Math.min(Math.max(x, 12), wide - 12), free = ends.findIndex(e => at - e >= 28), row = free < 0 ? MARK_ROWS - 1 : free;
      ends[row] = at;
      pin.style.left = at + "px"; pin.style.top = -(row + 1) * ROW + "px";
    }
    if (old.has(f.id)) continue;
    pin.dataset.of = f.id; pin.title = f.message; pin.setAttribute("aria-label", `Finding ${f.number}, ${f.severity}: ${f.message}`);
    pin.addEventListener("mousedown", e => e.stopPropagation());
    pin.addEventListener("click", () => { focusOn(f); reveal(byId(f.id)); });
    u.over.appendChild(pin);
  }
}
function focusOn(finding) { state.focus = finding; state.plots.forEach(p => p.redraw(false, false)); }
function button(kind, text) {
  const made = document.createElement("button");
  made.type = "button"; made.className = kind; made.textContent = text;
  return made;
}

/* ---- one chart ---- */
const minus = text => text.replaceAll("-", "−");
function short(v, digits = 4) {
  if (v === null || v === undefined) return "";
  const size = Math.abs(v);
  if (size && (size < 1e-3 || size >= 1e6)) return minus(v.toExponential(Math.max(0, digits - 2)).replace(/\.?0+e/, "e").replace("e+", "e"));
  return minus(size >= 1e4 ? Math.round(v).toLocaleString("en") : String(+v.toPrecision(digits)));
}
const ticks = (u, values) => values.every(v => Math.abs(v) < 5e-3) ? values.map(v => v === null ? "" : v ? minus(v.toExponential(1).replace(".0e", "e")) : "0") : values.map(v => v === null ? "" : Math.abs(v) >= 1e15 ? short(v, 3) : Math.abs(v) >= 1e5 ? minus(v.toLocaleString("en", { notation: "compact", maximumFractionDigits: 3 })) : Math.abs(v) >= 1000 ? minus(v.toLocaleString("en")) : short(v));
function columns(chart, u) {
  if (chart.heat) return [[chart.heat.left[0], chart.heat.right.at(-1)].map(step => toAxis(step)), [0, chart.heat.names.length]];
  const wide = u ? u.over.clientWidth : 1000;
  return uPlot.join(layers(chart).map(layer => {
    const [x, y] = layer.s.low || visible(chart, layer) ? inSight(curve(layer), layer.s.number, Math.max(wide, 100)) : [[], []];
    if (!chart.log) return [x, y];
    const least = y.reduce((a, b) => b > 0 && b < a ? b : a, Infinity);
    return [x, y.map(v => v > 0 ? v : least)];
  }));
}
/* The more decades a log axis has, the fewer of their numbers it names. */
const logTicks = (u, values) => {
  const decades = Math.log10(u.scales.y.max / u.scales.y.min), named = decades > 3 ? [1] : decades > 1 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 7];
  if (decades > 8) { const every = Math.ceil(decades / 8); return values.map(v => { const at = Math.log10(v); return Math.abs(at - Math.round(at)) < 1e-6 && Math.round(at) % every === 0 ? v : null; }); }
  return values.map(v => named.includes(+(v / 10 ** Math.floor(Math.log10(v) + 1e-9)).toPrecision(3)) ? v : null);
};
function selected(u) {
  if (u.select.width < 4) return;
  const ends = [u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")];
  u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  zoom(ends);
}
function build(chart, first) {
  if (chart.heat) return buildHeat(chart);
  const host = byId("chart-" + chart.key).querySelector(".plot"), narrow = host.clientWidth < 500;
  const axis = { stroke: css("--soft"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const rows = Math.min(MARK_ROWS, findingsOf(chart).length), clock = state.axis === "clock";
  const options = {
    width: host.clientWidth, height: (first ? (narrow ? 250 : 320) : 150) + rows * ROW, legend: { show: false }, ms: 1e-3, padding: [6 + rows * ROW, 12, 0, 0], tzDate: seconds => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC"),
    scales: { x: { time: clock, range: () => state.range }, y: { distr: chart.log ? 3 : 1, range: tight(chart) } },
    axes: [clock ? { ...axis, size: 40 } : { ...axis, values: ticks, size: 28 }, { ...axis, size: narrow ? 50 : 60, values: ticks, space: 30, ...(chart.log ? { filter: logTicks, grid: { ...axis.grid, filter: logTicks } } : {}) }],
    series: [{}, ...layers(chart).map(layer => look(chart, layer))],
    cursor: { sync: { key: "runscope", setSeries: false }, drag: { x: true, y: false, setScale: false }, points: { show: false } },
    hooks: {
      drawClear: [behind], draw: [u => above(u, chart), u => { if (first) labels(u); }, u => marks(u, chart)],
      setSelect: [selected],
      setCursor: [u => { if (u.cursor.event) read(u); }],
    },
  };
  const plot = new uPlot(options, columns(chart), host);
  plot.over.addEventListener("dblclick", () => zoom(extent()));
  return plot;
}
/* Intervals count for the height; a little room is left above and below. */
function tight(chart) {
  return (u, low, high) => {
    for (const s of chart.series) if (s.low && shown(chart, s)) s.x.forEach((step, k) => {
      const x = toAxis(step, s.number);
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
/* New points for the same charts: after a zoom, an eye or another smoothness. */
function refresh() {
  state.plots.forEach((u, k) => {
    const chart = data.charts[k];
    u.batch(() => {
      layers(chart).forEach((layer, i) => u.setSeries(i + 1, { show: visible(chart, layer) }, false));
      u.setData(columns(chart, u), false);
      u.setScale("x", { min: state.range[0], max: state.range[1] });
    });
    u.redraw(false, true);
  });
}
