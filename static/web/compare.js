// Before and after: the range input moves the line; the keyboard's arrows come with it.

function show(box) {
  const range = box.querySelector("input");
  box.style.setProperty("--at", `${range.value}%`);
  range.setAttribute("aria-valuetext", `${range.value} percent before`);
}

document.addEventListener("input", (event) => {
  const box = event.target.closest("[data-compare]");
  if (box) show(box);
});
document.addEventListener("htmx:load", (event) => {
  event.detail.elt.querySelectorAll("[data-compare]").forEach(show);
});
document.querySelectorAll("[data-compare]").forEach(show);
