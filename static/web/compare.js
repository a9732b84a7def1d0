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

// A source that cannot be shown: the result stands alone, and the page says why.
function leaveOut(before) {
  const after = before.previousElementSibling;
  after.className = "single";
  before.closest("[data-compare]").replaceWith(after);
  document.querySelector("[data-source-missing]").hidden = false;
}
for (const before of document.querySelectorAll("img[data-source]")) {
  if (before.complete && !before.naturalWidth) leaveOut(before);
  else before.addEventListener("error", () => leaveOut(before));
}

// Actual size: the picture's own pixels, in a window that scrolls.
document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-zoom]");
  if (!button) return;
  const zoomed = button.closest(".picture").classList.toggle("zoomed");
  button.setAttribute("aria-pressed", String(zoomed));
});

// The arrows turn to the next picture, but where they move the slider or a cursor.
document.addEventListener("keydown", (event) => {
  const rel = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
  if (!rel || event.target.closest("input, select") || event.altKey || event.ctrlKey || event.metaKey) return;
  const link = document.querySelector(`.picture [rel=${rel}]`);
  // Not by a click: until htmx has seen a link that it has just put in, a click leaves the page.
  if (link?.closest("dialog")) htmx.ajax("GET", link.href, "#dialog-body");
  else link?.click();
});
