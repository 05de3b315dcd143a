function controls() {
  byId("needs").append(...data.needs.filter(([need]) => data.cards.some(c => c.need === need)).map(([need, words]) => {
    const button = made("button", "need " + need, words);
    button.type = "button"; button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", () => {
      if (!state.needs.delete(need)) state.needs.add(need);
      button.setAttribute("aria-pressed", state.needs.has(need));
      update();
    });
    return button;
  }));
  byId("search").addEventListener("input", update);
  byId("group").addEventListener("change", update);
  if (byId("new")) byId("new").addEventListener("change", update);
  byId("metric").addEventListener("change", overlay);
  byId("log").addEventListener("change", overlay);
  byId("clear").addEventListener("click", () => { state.chosen.clear(); overlay(); paint(); });
  byId("list").addEventListener("scroll", () => requestAnimationFrame(paint), { passive: true });
  new ResizeObserver(() => { if (plot) plot.setSize({ width: byId("overlay").clientWidth, height: HEIGHT }); }).observe(byId("overlay"));
  byId("theme").addEventListener("click", () => {
    const root = document.documentElement, now = root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    overlay(); drawParallel();
  });
}
unpack().then(() => {
  heads(); controls(); buildAxes();
  // The first that need somebody are drawn at once: an empty picture tells nobody what it is for.
  const first = data.cards.filter(c => c.need === "act" && (c.h || c.t)).slice(0, 3);
  first.forEach(card => state.chosen.set(card.index, spare++));
  if (first.length ? first.every(c => c.h) : !data.cards.some(c => c.t)) byId("metric").value = "h";
  update(); overlay();
  tellHeight("#list, #overlay, #legend, #parallel");
  document.documentElement.dataset.ready = "";
}).catch(() => { byId("trouble").hidden = false; document.documentElement.dataset.ready = ""; });
