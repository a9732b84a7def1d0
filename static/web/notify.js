// Tells the reader when a request ends while its page is in the background: asked for by a button.

const button = document.getElementById("notify");
const progress = () => document.getElementById("progress");
const running = () => ["PENDING", "PROCESSING"].includes(progress().dataset.state);

// Browsers offer it in a secure context only, and keep a refusal.
const possible = "Notification" in window && isSecureContext && Notification.permission !== "denied";
if (possible && running()) button.hidden = false;

let asked = false;
button.addEventListener("click", async () => {
  asked = (await Notification.requestPermission()) === "granted";
  button.disabled = true;
  button.textContent = asked ? "We’ll notify you here" : "Notifications are blocked by your browser";
});

document.addEventListener("htmx:load", () => {
  if (running()) return;
  button.hidden = true;
  if (!asked) return;
  asked = false;
  new Notification(button.dataset.file, { body: progress().dataset.announce });
});
