/* Everything in order. */
async function begin() {
  tables(); copying(); themes();
  if (data.charts.length && typeof DecompressionStream === "undefined") { byId("trouble").hidden = false; document.querySelector(".deck").hidden = true; }
  else if (data.charts.length) {
    await unpack();
    state.range = extent();
    eyes(); legend(); draw(); listen(); zoom(state.range);
  }
  if (parent !== window) { tellHeight(); let wide = innerWidth; addEventListener("resize", () => { if (innerWidth !== wide) { wide = innerWidth; tellHeight(); } }); }
  performance.mark("drawn");
  document.documentElement.dataset.ready = "yes";
}
/* In a notebook: the whole page where it is short, else up to the end of the last chart that a screen takes. */
const SCREEN = 980;
function tellHeight() {
  const whole = document.body.getBoundingClientRect().height, ends = [...document.querySelectorAll(".chart")].map(c => c.getBoundingClientRect().bottom + scrollY + 8);
  const height = whole <= SCREEN || !ends.length ? Math.min(whole, SCREEN) : ends.filter(end => end <= SCREEN).pop() || ends[0];
  parent.postMessage({ runscopeHeight: Math.ceil(height) + 2 }, "*");
}
window.runscope = { zoom, state, data };
begin();
