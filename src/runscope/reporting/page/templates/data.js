/* The curves: unpacked, on the axis that was chosen, at the resolution of the screen. */
const byId = id => document.getElementById(id);
const data = byId("data") ? JSON.parse(byId("data").textContent) : { charts: [] };
const state = { axis: "step", range: null, hidden: new Set(), smooth: 2, plots: [], focus: null };

async function unpack() {
  const text = atob(byId("points").textContent), packed = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  state.bytes = bytes;
  data.charts.forEach(fill);
}
function fill(chart) {
  if (!chart.filled) for (const s of chart.series) {
    Object.assign(s, points(state.bytes, s.points));
    s.levels = s.levels.map(place => points(state.bytes, place));
  }
  chart.filled = true;
}
/* Steps are distances, values the upper half of a float64; both in planes of bytes. */
function points(bytes, { at, n, x0, xb }) {
  const x = new Float64Array(n), y = new Float64Array(n), halves = new Uint32Array(y.buffer), values = at + n * xb;
  for (let i = 0, step = x0; i < n; i++) {
    for (let k = 0, unit = 1; k < xb; k++, unit *= 256) step += bytes[at + k * n + i] * unit;
    x[i] = step;
    halves[2 * i + 1] = bytes[values + i] << 24 | bytes[values + n + i] << 16 | bytes[values + 2 * n + i] << 8 | bytes[values + 3 * n + i];
  }
  return { x, y };
}

/* First place in a rising array whose value is not less than x. */
function lowerBound(xs, x) {
  let low = 0, high = xs.length;
  while (low < high) { const middle = (low + high) >> 1; if (xs[middle] < x) low = middle + 1; else high = middle; }
  return low;
}
function between(xs, ys, x) {
  const high = Math.min(Math.max(lowerBound(xs, x), 1), xs.length - 1), low = high - 1, span = xs[high] - xs[low];
  return span ? ys[low] + (x - xs[low]) / span * (ys[high] - ys[low]) : ys[low];
}
/* Compared trainings have knots of their own; the runs of one line share theirs. */
const knots = of => data.axes[state.axis][data.compared ? Math.max(of, 0) : 0];
const toAxis = (step, of = 0) => state.axis === "step" ? step : between(knots(of).step, knots(of).value, step);
const toStep = (x, of = 0) => state.axis === "step" ? x : between(knots(of).value, knots(of).step, x);
function onAxis(curve, of) {
  if (state.axis === "step") return curve.x;
  if (curve.axis !== state.axis) { curve.axis = state.axis; curve.ax = curve.x.map(step => toAxis(step, of)); }
  return curve.ax;
}
function extent() {
  let low = Infinity, high = -Infinity;
  const see = x => { low = Math.min(low, x); high = Math.max(high, x); };
  for (const chart of data.charts) if (!chart.rest) for (const s of chart.series) {
    const x = onAxis(s, s.number);
    if (x.length) { see(x[0]); see(x[x.length - 1]); }
    for (const [first, last] of s.bad) { see(toAxis(first, s.number)); see(toAxis(last, s.number)); }
  }
  for (const { heat } of data.charts) if (heat && high < low) { see(toAxis(heat.left[0])); see(toAxis(heat.right.at(-1))); }
  const room = (high - low || 1) * .015;
  return [low - room, high + room];
}

/* What is in sight of a curve: all of it, or the lowest and highest value under each column of the screen. */
function inSight(curve, of, columns) {
  const xs = onAxis(curve, of), [a, b] = state.range;
  const first = Math.max(0, lowerBound(xs, a) - 1), last = Math.min(xs.length, lowerBound(xs, b) + 1);
  if (last - first <= 4 * columns) return [Array.from(xs.subarray(first, last)), Array.from(curve.y.subarray(first, last))];
  const x = [], y = [], width = (b - a) / columns;
  for (let i = first; i < last;) {
    const edge = a + (Math.floor((xs[i] - a) / width) + 1) * width;
    let low = i, high = i;
    for (; i < last && xs[i] < edge || i === low; i++) { if (curve.y[i] < curve.y[low]) low = i; if (curve.y[i] > curve.y[high]) high = i; }
    for (const k of low === high ? [low] : low < high ? [low, high] : [high, low]) { x.push(xs[k]); y.push(curve.y[k]); }
  }
  return [x, y];
}
