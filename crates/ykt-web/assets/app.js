// The consoles work without this file; it only saves keystrokes.
"use strict";

const $ = (selector) => document.querySelector(selector);

// "/" goes to the search, Escape leaves it or closes an open menu.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const search = $("#search");
    if (search) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  } else if (event.key === "Escape") {
    const open = $("details.menu[open], details.who[open]");
    if (open) {
      open.open = false;
      open.querySelector("summary").focus();
    } else if (typing) {
      event.target.blur();
    }
  }
});

// A click elsewhere closes an open menu.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open], details.who[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

// The theme changes at once; the link behind the button does the same without script.
const theme = $("[data-theme-next]");
if (theme) {
  theme.addEventListener("click", (event) => {
    event.preventDefault();
    const order = ["auto", "light", "dark"];
    const next = order[(order.indexOf(document.documentElement.dataset.theme) + 1) % order.length];
    document.documentElement.dataset.theme = next;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `ykt_theme=${next}; Path=/; Max-Age=31536000; SameSite=Strict${secure}`;
    const words = theme.dataset[next];
    theme.setAttribute("aria-label", words);
    theme.title = words;
    theme.querySelector(".words").textContent = words;
  });
}

// Copy the address of this view: it carries every filter, so a colleague sees the same list.
for (const button of document.querySelectorAll("[data-copy-link]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(location.href);
    const before = button.textContent;
    button.textContent = button.dataset.done;
    setTimeout(() => { button.textContent = before; }, 1500);
  });
}

// Filters left empty do not clutter the address.
for (const form of document.querySelectorAll("form[data-clean]")) {
  form.addEventListener("submit", () => {
    for (const field of form.querySelectorAll("input, select")) {
      if (field.value === "") field.disabled = true;
    }
  });
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}
