/* Gradients by layer: cells of layer × step on the axis and zoom of the charts above. */
const VIRIDIS = [[68, 1, 84], [71, 45, 123], [59, 82, 139], [44, 114, 142], [33, 145, 140], [40, 174, 128], [94, 201, 98], [173, 220, 48], [253, 231, 37]];
const NOTHING = 0, BAD = 1, ZERO = 2, FIRST = 3;
const bytesOf = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
const colour = share => { const at = share * (VIRIDIS.length - 1), k = Math.min(Math.floor(at), VIRIDIS.length - 2), t = at - k; return `rgb(${VIRIDIS[k].map((v, i) => Math.round(v + (VIRIDIS[k + 1][i] - v) * t))})`; };
function cells(heat) {
  heat.cells ||= { size: bytesOf(heat.size), zero: heat.zero ? bytesOf(heat.zero) : null };
  return heat.cells[heat.shows || "size"];
}
/* What a cell says, in words. */
function told(heat, row, step) {
  const column = heat.left.findIndex((left, k) => step >= left && step <= heat.right[k]);
  if (column < 0) return "nothing logged";
  const code = cells(heat)[row * heat.left.length + column];
  if (code === NOTHING) return "nothing logged";
  if (code === BAD) return "NaN or infinite";
  const share = (code - FIRST) / (255 - FIRST);
  if (heat.shows === "zero") return `${Math.round(share * 100)}% near zero`;
  return code === ZERO ? "exactly 0" : short(heat.low * (heat.high / heat.low) ** share, 3);
}
function paintCells(u, heat) {
  const c = u.ctx, codes = cells(heat), n = heat.left.length, tall = u.bbox.height / heat.names.length;
  c.save(); c.beginPath(); c.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height); c.clip();
  for (let k = 0; k < n; k++) {
    const a = Math.round(u.valToPos(toAxis(heat.left[k]), "x", true)), b = Math.round(u.valToPos(toAxis(heat.right[k]), "x", true));
    if (b < u.bbox.left || a > u.bbox.left + u.bbox.width) continue;
    for (let row = 0; row < heat.names.length; row++) {
      const code = codes[row * n + k], y = Math.round(u.bbox.top + row * tall);
      if (code === NOTHING) continue;
      c.fillStyle = code === BAD ? css("--bad") : code === ZERO ? css("--epoch") : colour((code - FIRST) / (255 - FIRST));
      c.fillRect(a, y, Math.max(b - a, 1), Math.round(u.bbox.top + (row + 1) * tall) - y);
    }
  }
  c.restore();
}
function buildHeat(chart) {
  const heat = chart.heat, host = byId("chart-" + chart.key).querySelector(".plot"), narrow = host.clientWidth < 500, rows = heat.names.length;
  const tall = Math.min(18, Math.max(5, Math.floor(360 / rows))), every = Math.ceil(12 / tall), pins = Math.min(MARK_ROWS, findingsOf(chart).length);
  const axis = { stroke: css("--soft"), grid: { show: false }, ticks: { show: false }, font: "12px system-ui, sans-serif" }, clock = state.axis === "clock";
  const centres = heat.names.map((_, row) => row + .5).filter((_, row) => row % every === 0);
  const plot = new uPlot({
    width: host.clientWidth, height: rows * tall + 34 + pins * ROW, legend: { show: false }, ms: 1e-3, padding: [6 + pins * ROW, 12, 0, 0], tzDate: seconds => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC"),
    scales: { x: { time: clock, range: () => state.range }, y: { range: () => [0, rows], dir: -1 } },
    axes: [clock ? { ...axis, size: 40 } : { ...axis, values: ticks, size: 28 }, { ...axis, font: "10px system-ui, sans-serif", size: narrow ? 50 : 60, splits: () => centres, values: (u, at) => at.map(v => cut(heat.names[Math.floor(v)], narrow ? 7 : 9)) }],
    series: [{}, { points: { show: false }, stroke: "transparent" }],
    cursor: { sync: { key: "runscope", setSeries: false }, drag: { x: true, y: false, setScale: false }, points: { show: false } },
    hooks: { drawClear: [u => paintCells(u, heat), behind], draw: [u => marks(u, chart)], setSelect: [selected], setCursor: [u => { if (u.cursor.event) read(u); }] },
  }, columns(chart), host);
  plot.over.addEventListener("dblclick", () => zoom(extent()));
  return plot;
}
function heats() {
  document.querySelectorAll("[data-heat]").forEach(choice => choice.addEventListener("change", () => {
    const chart = data.charts.find(c => c.key === choice.dataset.heat), ends = byId("chart-" + chart.key).querySelectorAll(".scale b");
    chart.heat.shows = choice.value;
    ends[0].textContent = choice.value === "zero" ? "0%" : short(chart.heat.low, 3);
    ends[1].textContent = choice.value === "zero" ? "100%" : short(chart.heat.high, 3);
    state.plots.forEach(p => p.redraw(false, false));
  }));
}
