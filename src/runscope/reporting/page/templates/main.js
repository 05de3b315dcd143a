/* Everything in order. */
async function begin() {
  tables(); copying(); themes();
  if (data.charts.length && typeof DecompressionStream === "undefined") { byId("trouble").hidden = false; document.querySelector(".deck").hidden = true; }
  else if (data.charts.length) {
    await unpack();
    state.range = extent();
    eyes(); legend(); draw(); listen(); zoom(state.range);
  }
  tellHeight(".chart");
  performance.mark("drawn");
  document.documentElement.dataset.ready = "yes";
}
window.runscope = { zoom, state, data };
begin();
