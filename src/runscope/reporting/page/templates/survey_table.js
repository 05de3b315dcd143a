/* The list: only the rows in sight stand in the document. */
const ROW = 63, DETAILS = 230, AHEAD = 12;
const heightOf = row => row.details ? DETAILS : ROW;
let tops = [0];

function made(tag, kind, text) {
  const element = document.createElement(tag);
  if (kind) element.className = kind;
  if (text !== undefined) element.textContent = text;
  return element;
}
function number(v, digits = 4) {
  if (v === null || v === undefined) return "";
  const size = Math.abs(v);
  if (size && (size < 1e-3 || size >= 1e7)) return v.toExponential(2);
  return (size >= 1000 ? Math.round(v).toLocaleString("en") : String(+v.toPrecision(digits))).replace("-", "−");
}
function hours(v) {
  if (v === null || v === undefined) return "";
  if (v >= 1) return number(v, 3) + " h";
  return v >= 1 / 60 ? Math.round(v * 60) + " min" : Math.round(v * 3600) + " s";
}
function heads() {
  const row = byId("head");
  row.append(made("th", "", "Draw"));
  for (const column of COLUMNS) {
    const cell = made("th");
    cell.scope = "col";
    if (!column.value) cell.textContent = column.title;
    else {
      const button = made("button", "", column.title);
      button.type = "button";
      button.addEventListener("click", () => {
        state.up = state.sort === column.key ? !state.up : !column.number;
        state.sort = column.key;
        row.querySelectorAll("th").forEach(h => h.removeAttribute("aria-sort"));
        cell.setAttribute("aria-sort", state.up ? "ascending" : "descending");
        update();
      });
      cell.append(button);
    }
    row.append(cell);
  }
}
function update() {
  arrange();
  tops = [0];
  for (const row of state.rows) tops.push(tops[tops.length - 1] + heightOf(row));
  byId("count").textContent = `${state.cards.length.toLocaleString("en")} of ${data.cards.length.toLocaleString("en")} shown`;
  byId("table").setAttribute("aria-rowcount", state.rows.length + 1);
  paint();
  drawParallel();
}
function firstAt(y) {
  let low = 0, high = state.rows.length;
  while (low < high) { const middle = (low + high) >> 1; if (tops[middle + 1] <= y) low = middle + 1; else high = middle; }
  return low;
}
function paint() {
  const list = byId("list"), body = byId("body");
  const first = Math.max(0, firstAt(list.scrollTop) - AHEAD), last = Math.min(state.rows.length, firstAt(list.scrollTop + list.clientHeight) + AHEAD);
  const rows = state.rows.slice(first, last).map((row, k) => { const tr = rowOf(row); tr.setAttribute("aria-rowindex", first + k + 2); return tr; });
  body.replaceChildren(space(tops[first]), ...rows, space(tops[state.rows.length] - tops[last]));
}
function space(height) {
  const tr = made("tr", "space"), td = made("td");
  td.colSpan = COLUMNS.length + 1; td.style.height = height + "px"; tr.append(td); tr.hidden = !height;
  return tr;
}
function rowOf(row) {
  if (row.title !== undefined) { const tr = made("tr", "grouped"), td = made("td", "", row.title); td.colSpan = COLUMNS.length + 1; tr.append(td); return tr; }
  return row.details ? detailsOf(row.card) : cardRow(row.card);
}
function cardRow(card) {
  const tr = made("tr", "row"), eye = made("input"), shown = made("td");
  eye.type = "checkbox"; eye.checked = state.chosen.has(card.index); eye.setAttribute("aria-label", `Draw ${card.name}`);
  eye.addEventListener("change", () => { choose(card, eye.checked); });
  shown.append(eye);
  const need = made("td"), name = made("td"), curve = made("td"), happened = made("td");
  need.append(made("span", "need " + card.need, data.needs.find(n => n[0] === card.need)[1]));
  const open = made("button", "link one", card.name);
  open.type = "button"; open.setAttribute("aria-expanded", state.open.has(card.index));
  open.addEventListener("click", () => { if (!state.open.delete(card.index)) state.open.add(card.index); byId("hover").hidden = true; update(); });
  name.append(open);
  const about = [card.new ? "new" : "", card.runs || "", card.project || ""].filter(Boolean).join(" · ");
  if (about) name.append(made("small", "one", about));
  const drawn = curveOf(card.h) || curveOf(card.t);
  if (drawn) curve.append(spark(drawn));
  happened.append(made("span", "two", card.headline || ""));
  if (card.advice) happened.append(made("span", "do", card.advice));
  happened.title = [card.headline, card.advice].filter(Boolean).join("\n");
  tr.append(shown, need, name, curve, happened);
  const cells = [number(card.last), number(card.best), card.p === undefined ? "" : Math.round(card.p * 100) + "%", hours(card.hours), hours(card.wasted), card.when ? new Date(card.when * 1e3).toISOString().slice(0, 10) : ""];
  for (const text of cells) tr.append(made("td", "n", text));
  curve.addEventListener("mouseenter", event => hover(card, event));
  curve.addEventListener("mouseleave", () => { byId("hover").hidden = true; });
  return tr;
}
function detailsOf(card) {
  const tr = made("tr", "open"), td = made("td");
  td.colSpan = COLUMNS.length + 1;
  const box = made("div"); box.style.cssText = `height:${DETAILS - 8}px;overflow:auto`; box.tabIndex = 0; box.setAttribute("role", "region"); box.setAttribute("aria-label", `Details of ${card.name}`);
  if (card.advice) box.append(made("p", "", card.advice));
  const list = made("ul");
  for (const [code, severity, message] of card.found || []) list.append(made("li", "", `${severity} ${code}: ${message}`));
  box.append(list);
  const settings = (card.set || []).map((v, k) => v === null || v === undefined ? null : `${data.settings[k]} = ${v}`).filter(Boolean);
  if (settings.length) box.append(made("p", "small", settings.join(", ")));
  if (card.page) {
    const link = made("a", "", "Open its report");
    link.href = card.page;
    const line = made("p"); line.append(link); box.append(line);
  } else box.append(made("code", "", card.report));
  td.append(box); tr.append(td);
  return tr;
}
function spark(curve, width = 96, height = 30) {
  const low = Math.min(...curve.y), high = Math.max(...curve.y), x0 = curve.x[0], span = curve.x[curve.x.length - 1] - x0 || 1;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  svg.setAttribute("width", width); svg.setAttribute("height", height); svg.setAttribute("aria-hidden", "true");
  line.setAttribute("points", curve.x.map((x, i) => `${(2 + (x - x0) / span * (width - 4)).toFixed(1)},${(height - 2 - (curve.y[i] - low) / (high - low || 1) * (height - 4)).toFixed(1)}`).join(" "));
  line.setAttribute("fill", "none"); line.setAttribute("stroke", "currentColor"); line.setAttribute("stroke-width", "1.5");
  svg.append(line);
  return svg;
}
