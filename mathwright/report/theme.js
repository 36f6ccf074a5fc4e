"use strict";
// Light, dark, or as the system is. A page opened from a file may not be allowed to keep the choice: then it lasts as long as the page.
(() => {
  const KEY = "mathwright-theme", CHOICES = ["auto", "light", "dark"];
  let choice = "auto";
  try { choice = localStorage.getItem(KEY) ?? "auto"; } catch { /* not allowed */ }
  if (!CHOICES.includes(choice)) choice = "auto";
  const apply = () => {
    if (choice === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice;
  };
  apply();
  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    if (!button) return;
    const say = () => { button.textContent = "colours: " + choice; };
    button.hidden = false;
    button.addEventListener("click", () => {
      choice = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length];
      try { localStorage.setItem(KEY, choice); } catch { /* not allowed */ }
      apply();
      say();
    });
    say();
  });
})();
