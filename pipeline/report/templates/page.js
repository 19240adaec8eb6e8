"use strict";
// What all our pages have: the theme, and tables that can be sorted.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const toggle = document.getElementById("theme");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const show = () => { toggle.textContent = isDark() ? "Light" : "Dark"; toggle.setAttribute("aria-label", `Use ${isDark() ? "light" : "dark"} colours`); };
  const setTheme = (theme) => {
    root.dataset.theme = theme;
    for (const source of document.querySelectorAll("picture source")) source.media = theme === "dark" ? "screen" : "not all";
    show();
    document.dispatchEvent(new Event("themechange"));
  };
  toggle.hidden = false;
  toggle.addEventListener("click", () => setTheme(isDark() ? "light" : "dark"));
  dark.addEventListener("change", show);
  show();
  if (location.hash === "#dark" || location.hash === "#light") setTheme(location.hash.slice(1));

  const value = (cell) => { const text = cell.dataset.key, n = Number(text === "inf" ? Infinity : text === "-inf" ? -Infinity : text); return text === "" || Number.isNaN(n) ? text : n; };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  for (const table of document.querySelectorAll("table[data-sort]")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const label = head.querySelector(".head");
      // Not a real button: those are not painted in the heads that repeat on printed pages.
      label.setAttribute("role", "button");
      label.tabIndex = 0;
      label.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); label.click(); }
      });
      label.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const rows = [...table.tBodies[0].rows];
        rows.sort((a, b) => (up ? 1 : -1) * compare(value(a.cells[column]), value(b.cells[column])));
        table.tBodies[0].append(...rows);
      });
    });
  }
})();
