/* The trainings: unpacked, filtered, sorted, grouped. */
const byId = id => document.getElementById(id);
const state = { cards: [], rows: [], sort: null, up: true, needs: new Set(), only: new Map(), chosen: new Map(), open: new Set() };
let data;

async function unpack() {
  const text = atob(byId("points").textContent), packed = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  data = JSON.parse(await new Response(stream).text());
  data.cards.forEach((card, index) => {
    card.index = index;
    card.text = [card.name, card.project, card.headline, ...(card.found || []).map(f => f[0]), ...(card.set || []).map((v, k) => v === null || v === undefined ? "" : data.settings[k] + "=" + v)].join("\n").toLowerCase();
  });
  state.needs = new Set(data.needs.map(n => n[0]));
}
/* A small curve as steps and values. */
function curveOf(packed) {
  if (!packed) return null;
  const [low, high, first, distances, levels] = packed, x = [first], even = typeof distances === "number";
  for (let i = 1; i < levels.length; i++) x.push(x[i - 1] + (even ? distances : distances[i - 1]));
  return { x, y: levels.map(v => low + (high - low) * v / 255) };
}
const COLUMNS = [
  { key: "need", title: "Need", value: c => data.needs.findIndex(n => n[0] === c.need) },
  { key: "name", title: "Training", value: c => c.name },
  { key: "curve", title: "Curve" },
  { key: "headline", title: "What happened, what to do", value: c => c.headline || "" },
  { key: "last", title: "Last step", value: c => c.last ?? null, number: true },
  { key: "best", title: "Best held-out loss", value: c => c.best ?? null, number: true },
  { key: "p", title: "Overfitting", value: c => c.p ?? null, number: true },
  { key: "hours", title: "Time", value: c => c.hours ?? null, number: true },
  { key: "wasted", title: "After the best", value: c => c.wasted ?? null, number: true },
  { key: "when", title: "Ended", value: c => c.when ?? null, number: true },
];
function compare(a, b) {
  if (a === null || b === null) return (a === null) - (b === null);
  return (a < b ? -1 : a > b ? 1 : 0) * (state.up ? 1 : -1);
}
const inside = card => [...state.only].every(([axis, [low, high]]) => { const v = axisValue(axis, card); return v !== null && v >= low && v <= high; });
/* Which rows are shown, in which order: cards, and headings where they are grouped. */
function arrange() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean), fresh = byId("new");
  let cards = data.cards.filter(c => state.needs.has(c.need) && words.every(w => c.text.includes(w)) && (!fresh || !fresh.checked || c.new) && inside(c));
  const column = COLUMNS.find(c => c.key === state.sort);
  if (column) { const keyed = cards.map(c => [column.value(c), c]); keyed.sort((a, b) => compare(a[0], b[0]) || a[1].index - b[1].index); cards = keyed.map(k => k[1]); }
  state.cards = cards;
  state.rows = grouped(cards, byId("group").value).flatMap(([title, members]) => [
    ...(title === null ? [] : [{ title: `${title} (${members.length.toLocaleString("en")})` }]),
    ...members.flatMap(card => state.open.has(card.index) ? [{ card }, { card, details: true }] : [{ card }]),
  ]);
}
function grouped(cards, by) {
  if (!by) return [[null, cards]];
  const title = card => by === "project" ? card.project || "no project" : by === "need" ? data.needs.find(n => n[0] === card.need)[1]
    : card.group === undefined ? "on their own" : `${data.groups[card.group].name}: ${data.groups[card.group].seeds ? "seeds" : data.groups[card.group].varied.join(", ")}`;
  const found = new Map();
  for (const card of cards) { const t = title(card); if (!found.has(t)) found.set(t, []); found.get(t).push(card); }
  return [...found].sort((a, b) => (a[0] === "on their own") - (b[0] === "on their own"));
}
