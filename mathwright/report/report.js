"use strict";
// Values of a plot are read with the mouse, or with the arrows where it has the focus.
for (const area of document.querySelectorAll(".area")) {
  const {x: xTitle, lines} = JSON.parse(area.dataset.points);
  const readout = area.parentElement.querySelector(".readout");
  const cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
  cursor.setAttribute("class", "cursor");
  cursor.setAttribute("y1", "0");
  cursor.setAttribute("y2", "100%");
  let place = -1;
  const longest = lines.reduce((a, b) => (b.at.length > a.at.length ? b : a));
  const nearest = (at, share) => at.reduce((best, value, i) => (Math.abs(value - share) < Math.abs(at[best] - share) ? i : best), 0);
  const show = (i) => {
    place = Math.min(longest.at.length - 1, Math.max(0, i));
    const share = longest.at[place];
    cursor.setAttribute("x1", 100 * share + "%");
    cursor.setAttribute("x2", 100 * share + "%");
    area.firstElementChild.append(cursor);
    const said = lines.map((line) => (lines.length > 1 ? line.name + " " : "") + line.y[nearest(line.at, share)]);
    readout.textContent = xTitle + " " + longest.x[place] + ": " + said.join(", ");
  };
  const hide = () => { cursor.remove(); readout.textContent = ""; place = -1; };
  area.addEventListener("pointermove", (event) => {
    const box = area.firstElementChild.getBoundingClientRect();
    show(nearest(longest.at, (event.clientX - box.left) / box.width));
  });
  area.addEventListener("pointerleave", hide);
  area.addEventListener("blur", hide);
  area.addEventListener("keydown", (event) => {
    const by = {ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity}[event.key];
    if (by === undefined) return;
    event.preventDefault();
    show(by === 1 && place < 0 ? 0 : place + by);
  });
}

// Texts are found by what stands in them.
const find = document.getElementById("find");
find?.addEventListener("input", () => {
  const wanted = find.value.toLocaleLowerCase().trim(), texts = [...document.querySelectorAll("details.text")];
  let num = 0;
  for (const text of texts) {
    text.hidden = wanted !== "" && !text.textContent.toLocaleLowerCase().includes(wanted);
    if (!text.hidden) num++;
  }
  for (const shelf of document.querySelectorAll(".shelf")) shelf.hidden = !shelf.querySelector("details.text:not([hidden])");
  document.getElementById("found").textContent = wanted ? num + " of " + texts.length : "";
});

// What is folded is printed too.
addEventListener("beforeprint", () => { for (const fold of document.querySelectorAll("details:not(.text)")) fold.open = true; });

// Keys: / finds, the arrows turn pages where nothing else has the focus.
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, .area, .wide")) return;
  if (event.key === "/" && find) { event.preventDefault(); find.focus(); }
  const by = {ArrowLeft: "previousElementSibling", ArrowRight: "nextElementSibling"}[event.key];
  const next = by && document.querySelector("nav [aria-current]")?.[by];
  if (next) next.click();
});
