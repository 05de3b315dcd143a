/* In a notebook: the whole page where it is short, else up to the last end of a chart or a list that a screen takes. */
const SCREEN = 980;
function tellHeight(parts) {
  if (parent === window) return;
  let wide = 0;
  const tell = () => {
    if (innerWidth === wide) return; // the frame grew, which is what was asked for
    wide = innerWidth;
    const whole = document.body.getBoundingClientRect().height, all = [...document.querySelectorAll(parts)].map(part => part.getBoundingClientRect());
    const ends = all.filter(box => box.height).map(box => box.bottom + scrollY + 8).sort((a, b) => a - b);
    const height = whole <= SCREEN || !ends.length ? Math.min(whole, SCREEN) : ends.filter(end => end <= SCREEN).pop() || ends[0];
    parent.postMessage({ runscopeHeight: Math.ceil(height) + 2 }, "*");
  };
  tell();
  addEventListener("resize", tell);
}
