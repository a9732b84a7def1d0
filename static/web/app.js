// What every page has: the dialog, announcements, local times, copying, trouble on the line.

const dialog = document.getElementById("dialog");
const dialogBody = document.getElementById("dialog-body");
const announcer = document.getElementById("announcer");
const trouble = document.getElementById("trouble");

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target === dialogBody && !dialog.open) dialog.showModal();
});
dialog.addEventListener("close", () => dialogBody.replaceChildren());
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close(); // the backdrop
});

// A region that was replaced is not read out by screen readers; one that stays and changes is.
function announce(root) {
  const source = root.matches?.("[data-announce]") ? root : root.querySelector("[data-announce]");
  const words = source?.dataset.announce;
  if (words && words !== announcer.textContent) announcer.textContent = words;
  const title = source?.dataset.title;
  if (title) document.title = title;
}

function localise(root) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const time of root.querySelectorAll("time[datetime]")) {
    time.textContent = format.format(new Date(time.dateTime));
  }
}

function dress(root) {
  announce(root);
  localise(root);
}

dress(document.body);
document.addEventListener("htmx:load", (event) => dress(event.detail.elt));

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = announcer.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(source); // no permission: ready for the keyboard
  }
});

// Polling goes on by itself; the reader should know why nothing moves.
function say(words) {
  trouble.textContent = words;
  trouble.hidden = !words;
}
document.addEventListener("htmx:sendError", () => say("We can’t reach the service. Trying again."));
document.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  if (status === 403) say("This page has expired. Reload it.");
  else if (status === 404) say("This no longer exists. Reload the page.");
  else if (status === 413) say("The file is larger than this service accepts.");
  else say("That didn’t work. Try again in a moment.");
});
document.addEventListener("htmx:afterOnLoad", () => say(""));
