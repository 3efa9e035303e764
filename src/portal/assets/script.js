// Comfort only: every page works without this file.
"use strict";
for (const box of document.querySelectorAll(".secret")) {
  const field = box.querySelector("input");
  const toggle = document.createElement("button");
  toggle.type = "button";
  toggle.textContent = "Show";
  const label = document.querySelector(`label[for="${field.id}"]`).textContent.toLowerCase();
  toggle.setAttribute("aria-label", `Show: ${label}`);
  toggle.setAttribute("aria-pressed", "false");
  toggle.addEventListener("click", () => {
    const shown = field.type === "text";
    field.type = shown ? "password" : "text";
    toggle.textContent = shown ? "Show" : "Hide";
    toggle.setAttribute("aria-label", `${shown ? "Show" : "Hide"}: ${label}`);
    toggle.setAttribute("aria-pressed", String(!shown));
  });
  // A password must never travel or be remembered as plain text of a form.
  field.form.addEventListener("submit", () => { field.type = "password"; });
  box.classList.add("able");
  box.append(toggle);
}

for (const field of document.querySelectorAll("[data-strength]")) {
  const bar = document.createElement("span");
  bar.className = "strength";
  const words = document.createElement("p");
  words.className = "hint";
  words.setAttribute("aria-live", "polite");
  const hint = document.getElementById("rules");
  hint.before(bar);
  hint.after(words);
  field.addEventListener("input", () => {
    const text = field.value;
    const length = [...text].length;
    const missing = field.minLength - length;
    const variety = new Set(text.toLowerCase()).size;
    const email = (field.form.querySelector("[autocomplete=username]")?.value ?? "").toLowerCase();
    const own = email.length > 3 && text.toLowerCase().includes(email);
    let level = 0;
    if (length > 0) level = missing > 0 || own || variety < 6 ? 1 : length < field.minLength + 5 || variety < 9 ? 3 : 4;
    if (missing > 0 && length * 2 > field.minLength) level = 2;
    bar.dataset.level = String(level);
    words.textContent = length === 0 ? ""
      : missing > 0 ? `${missing} more ${missing === 1 ? "character" : "characters"} to go.`
      : own ? "It is made from your e-mail address, so it is easy to guess."
      : variety < 6 ? "Long enough, but easy to guess: it repeats itself."
      : level === 3 ? "Good." : "Strong.";
  });
}

for (const moment of document.querySelectorAll("time[datetime]")) {
  const date = new Date(moment.dateTime);
  if (isNaN(date)) continue;
  const style = "day" in moment.dataset ? { dateStyle: "long" } : { dateStyle: "medium", timeStyle: "short" };
  moment.textContent = new Intl.DateTimeFormat(undefined, style).format(date);
}
