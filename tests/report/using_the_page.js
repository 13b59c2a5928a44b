// Uses the page as readers do, by keys, mouse, touch and buttons, and notes what it shows after each step.
"use strict";
const element = (id) => document.getElementById(id);
const detail = element("detail"), overview = element("overview"), log = {};
const shown = () => ["from", "to"].map((name) => Number(new URLSearchParams(location.hash.slice(1)).get(name)));
const press = (key, more) => detail.dispatchEvent(new KeyboardEvent("keydown", { key, cancelable: true, ...more }));
const box = detail.getBoundingClientRect();
const point = (kind, x, pointerId = 1, on = detail) => on.dispatchEvent(
  new PointerEvent(kind, { clientX: box.left + x, clientY: box.top + 80, pointerId, buttons: 1, bubbles: true }));
detail.setPointerCapture = () => {};  // Only real pointers can be captured.
const steps = {
  whole: () => press("0"), closer: () => press("+"), right: () => press("ArrowRight"), wider: () => press("-"),
  home: () => { press("+"); press("+"); press("Home"); }, end: () => press("End"),
  dragged: () => { point("pointerdown", 300); point("pointermove", 400); point("pointerup", 400); },
  pinched: () => { point("pointerdown", 300); point("pointerdown", 400, 2); point("pointermove", 600, 2);
    point("pointerup", 300); point("pointerup", 600, 2); },
  doubled: () => { press("0"); detail.dispatchEvent(new MouseEvent("dblclick", { clientX: box.left + 300 })); },
  wheeled: () => { press("0"); detail.focus(); detail.dispatchEvent(new WheelEvent("wheel", { deltaY: -200, clientX: box.left + 300 })); },
  jumped: () => { press("0"); press("+"); press("+"); point("pointerdown", overview.clientWidth - 1, 1, overview); },
};
for (const [name, step] of Object.entries(steps)) { step(); log[name] = shown(); }
point("pointermove", 300);
const reading = () => element("reading").textContent;
log.read = [reading()];
press("ArrowRight", { shiftKey: true });
log.read.push(reading());
const regions = () => [...document.querySelectorAll("#rows button")].map((button) => button.textContent);
log.first = regions();
element("after").click();
log.second = regions();
document.querySelector("th[data-column=region] button").click();
log.sorted = document.querySelector("th[data-column=region]").getAttribute("aria-sort");
document.querySelector("#rows button").click();
log.chosen = [element("which").textContent, document.activeElement.id];
const done = document.createElement("pre");
done.id = "log";
done.textContent = JSON.stringify(log);
document.body.append(done);
