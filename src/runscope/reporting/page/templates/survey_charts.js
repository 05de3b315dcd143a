/* Curves of the chosen trainings over one another, a curve on hover, settings against the result. */
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const MOST = 40, HEIGHT = 320;
let plot = null, spare = 0;

function choose(card, on) {
  if (on && state.chosen.size >= MOST) { byId("chosen").textContent = `No more than ${MOST} curves can be told apart; hide one first.`; paint(); return; }
  if (on) state.chosen.set(card.index, spare++); else state.chosen.delete(card.index);
  overlay();
}
function overlay() {
  const metric = byId("metric").value, log = byId("log").checked, host = byId("overlay");
  const cards = [...state.chosen].map(([index, colour]) => ({ card: data.cards[index], colour, curve: curveOf(data.cards[index][metric]) }));
  const drawn = cards.filter(c => c.curve), missing = cards.length - drawn.length;
  byId("chosen").textContent = cards.length ? `${drawn.length} drawn${missing ? `, ${missing} did not log it` : ""}.` : "Tick a training in the list to draw it here.";
  byId("legend").replaceChildren(...cards.map(({ card, colour, curve }) => {
    const item = made("li"), mark = made("span", "swatch");
    mark.style.background = css(`--run-${colour % 6}`);
    item.append(mark, document.createTextNode(card.name + (curve ? "" : " (not logged)")));
    return item;
  }));
  if (plot) { plot.destroy(); plot = null; }
  if (!drawn.length) return;
  const axis = { stroke: css("--soft"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false } };
  plot = new uPlot({
    width: host.clientWidth, height: HEIGHT, legend: { show: false }, scales: { x: { time: false }, y: { distr: log ? 3 : 1 } }, axes: [axis, { ...axis, size: 60 }],
    series: [{}, ...drawn.map(({ card, colour }) => ({ label: card.name, stroke: css(`--run-${colour % 6}`), width: 1.75, dash: colour >= 6 ? [4 + 3 * Math.floor(colour / 6), 3] : undefined, spanGaps: true, points: { show: false } }))],
  }, uPlot.join(drawn.map(({ curve }) => [curve.x, log ? curve.y.map(v => v > 0 ? v : null) : curve.y])), host);
}
function hover(card, event) {
  const box = byId("hover"), canvas = box.querySelector("canvas"), c = canvas.getContext("2d");
  const curves = [[curveOf(card.t), "--run-0"], [curveOf(card.h), "--run-1"]].filter(p => p[0]);
  if (!curves.length || matchMedia("(hover: none)").matches) return;
  c.clearRect(0, 0, 300, 120);
  const all = curves.flatMap(p => p[0].y), xs = curves.flatMap(p => [p[0].x[0], p[0].x[p[0].x.length - 1]]);
  const low = Math.min(...all), high = Math.max(...all), first = Math.min(...xs), last = Math.max(...xs);
  for (const [curve, colour] of curves) {
    c.strokeStyle = css(colour); c.lineWidth = 2; c.beginPath();
    curve.x.forEach((x, i) => c.lineTo(4 + (x - first) / (last - first || 1) * 292, 116 - (curve.y[i] - low) / (high - low || 1) * 112));
    c.stroke();
  }
  box.querySelector("p").textContent = `${card.name}: ${curves.map((p, k) => (p[1] === "--run-0" ? "training" : "held-out") + " " + number(p[0].y[p[0].y.length - 1])).join(", ")}`;
  box.hidden = false;
  box.style.left = Math.min(event.clientX + 16, innerWidth - 350) + "px";
  box.style.top = Math.min(event.clientY + 16, innerHeight - 190) + "px";
}

/* ---- parallel coordinates ---- */
const ROOM = 26, RESULTS = [["best held-out", c => c.best ?? null], ["last step", c => c.last ?? null]];
let axes = [];
const numeric = v => typeof v === "number" ? v : null;
function buildAxes() {
  axes = data.settings.map((name, k) => axisOf(name, c => { const v = (c.set || [])[k]; return v === undefined ? null : v; })).concat(RESULTS.map(([name, value]) => axisOf(name, value))).filter(Boolean);
  byId("parallel-section").hidden = axes.length < 3;
  const canvas = byId("parallel");
  canvas.width = Math.max(700, axes.length * 130);
  let from = null;
  const at = event => { const r = canvas.getBoundingClientRect(); return [event.clientX - r.left, event.clientY - r.top]; };
  const near = x => axes[Math.min(axes.length - 1, Math.max(0, Math.round((x - 60) / gap())))];
  canvas.addEventListener("pointerdown", event => { const [x, y] = at(event); from = [near(x), y]; });
  canvas.addEventListener("pointerup", event => {
    if (!from) return;
    const [axis, y0] = from, y1 = at(event)[1]; from = null;
    if (Math.abs(y1 - y0) < 4) state.only.delete(axis.name); else state.only.set(axis.name, [y0, y1].map(y => share(y)).sort((a, b) => a - b));
    update();
  });
}
function axisOf(name, value) {
  const values = data.cards.map(value), known = values.filter(v => v !== null);
  if (known.length < 2) return null;
  if (known.every(v => numeric(v) !== null)) {
    const low = Math.min(...known), high = Math.max(...known);
    if (low === high) return null;
    const log = low > 0 && high / low > 50, to = v => log ? Math.log(v / low) / Math.log(high / low) : (v - low) / (high - low);
    return { name, place: card => { const v = value(card); return v === null ? null : to(v); }, ends: [number(low, 3), number(high, 3)] };
  }
  const kinds = [...new Set(known.map(String))].sort();
  return kinds.length < 2 ? null : { name, kinds, place: card => { const v = value(card); return v === null ? null : kinds.indexOf(String(v)) / (kinds.length - 1); }, ends: [kinds[0], kinds[kinds.length - 1]] };
}
const axisValue = (name, card) => { const axis = axes.find(a => a.name === name); return axis ? axis.place(card) : null; };
const gap = () => (byId("parallel").width - 120) / Math.max(1, axes.length - 1);
const yOf = share => 320 - ROOM - share * (320 - 2 * ROOM);
const share = y => (320 - ROOM - y) / (320 - 2 * ROOM);
function drawParallel() {
  const canvas = byId("parallel"), c = canvas.getContext("2d");
  if (axes.length < 3) return;
  c.clearRect(0, 0, canvas.width, 320);
  const tones = { act: css("--bad"), look: css("--doubt"), fine: css("--good"), unknown: css("--soft"), unreadable: css("--soft") };
  c.globalAlpha = Math.max(.06, Math.min(.6, 60 / (state.cards.length || 1)));
  c.lineWidth = 1.2;
  for (const card of state.cards) {
    c.strokeStyle = tones[card.need]; c.beginPath();
    let on = false;
    axes.forEach((axis, k) => { const v = axis.place(card); if (v === null) { on = false; return; } const x = 60 + k * gap(), y = yOf(v); if (on) c.lineTo(x, y); else c.moveTo(x, y); on = true; });
    c.stroke();
  }
  c.globalAlpha = 1; c.font = "12px system-ui, sans-serif"; c.textAlign = "center";
  axes.forEach((axis, k) => {
    const x = 60 + k * gap(), only = state.only.get(axis.name);
    c.strokeStyle = css("--soft"); c.lineWidth = 1; c.beginPath(); c.moveTo(x, yOf(0)); c.lineTo(x, yOf(1)); c.stroke();
    if (only) { c.strokeStyle = css("--accent"); c.lineWidth = 5; c.beginPath(); c.moveTo(x, yOf(only[0])); c.lineTo(x, yOf(only[1])); c.stroke(); }
    c.fillStyle = css("--ink"); c.fillText(axis.name.length > 20 ? "…" + axis.name.slice(-19) : axis.name, x, 12);
    c.fillStyle = css("--soft"); c.fillText(String(axis.ends[0]).slice(0, 16), x, 320 - 8); c.fillText(String(axis.ends[1]).slice(0, 16), x, 24);
  });
}
