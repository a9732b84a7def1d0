// The upload: dropping a file anywhere on the page, its name, and how far it has been sent.

const form = document.getElementById("upload");
const input = document.getElementById("file");
const drop = document.getElementById("drop");
const chosen = document.getElementById("chosen");
const verdict = document.getElementById("verdict");
const startError = document.getElementById("start-error");
const sending = document.getElementById("sending");
const bar = sending.querySelector("progress");
const words = sending.querySelector("p");

const carriesFile = (event) => event.dataTransfer?.types.includes("Files");

document.addEventListener("dragover", (event) => {
  if (!carriesFile(event)) return;
  event.preventDefault();
  drop.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  if (!carriesFile(event)) return;
  event.preventDefault();
  drop.classList.remove("over");
  if (!event.dataTransfer.files.length) return;
  input.files = event.dataTransfer.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
});

input.addEventListener("change", () => {
  const file = input.files[0];
  verdict.replaceChildren();
  startError.replaceChildren();
  drop.classList.toggle("full", Boolean(file));
  if (!file) return;
  chosen.textContent = file.name;
  drop.querySelector("strong").textContent = "Choose another file";
});

// Choosing the same file again, corrected meanwhile, must be a change too.
input.addEventListener("click", () => { input.value = ""; });

let timer;
form.addEventListener("htmx:beforeSend", () => {
  bar.value = 0;
  words.textContent = "Uploading…";
  clearTimeout(timer);
  timer = setTimeout(() => { sending.hidden = false; }, 250); // a small file is there before that
});
form.addEventListener("htmx:xhr:progress", ({ detail }) => {
  if (!detail.lengthComputable || detail.total < 10_000) return; // the answer, not the file
  bar.value = (100 * detail.loaded) / detail.total;
  if (detail.loaded < detail.total) {
    words.textContent = `Uploading, ${Math.floor(bar.value)} %`;
  } else {
    bar.removeAttribute("value");
    words.textContent = "Checking every line…";
  }
});
form.addEventListener("htmx:afterRequest", () => {
  clearTimeout(timer);
  sending.hidden = true;
});

// A list that is made of the chosen file: the form is sent as it is, the answer saved.
verdict.addEventListener("click", async ({ target }) => {
  const address = target.dataset.download;
  if (!address) return;
  target.disabled = true;
  try {
    const answer = await fetch(address, { method: "POST", body: new FormData(form) });
    if (!answer.ok) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = "errors.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  } finally {
    target.disabled = false;
  }
});

// What an empty field means depends on the preset.
form.addEventListener("change", ({ target }) => {
  if (target.name !== "preset") return;
  for (const field of form.querySelectorAll("[data-catalog]")) field.placeholder = field.getAttribute(`data-${target.value}`);
});

// Options that were refused: to the first of them.
document.addEventListener("htmx:oobAfterSwap", () => form.querySelector("[aria-invalid=true]")?.focus());
