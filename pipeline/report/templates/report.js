"use strict";
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const sources = [...document.querySelectorAll("picture source")];
  const byDevice = sources.length ? sources[0].media : "";
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

  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = document.getElementById(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(text);
        button.textContent = "Selected: press Ctrl+C";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2500);
    });
  }

  const zoom = document.getElementById("zoom");
  const stage = zoom.querySelector(".enlarged");
  for (const picture of document.querySelectorAll("main picture")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "zoomable";
    picture.replaceWith(button);
    button.append(picture);
    button.addEventListener("click", () => {
      const words = document.createElement("p");
      words.textContent = picture.querySelector("img").alt;
      stage.replaceChildren(picture.cloneNode(true), words);
      zoom.showModal();
    });
  }
  zoom.querySelector(".close").addEventListener("click", () => zoom.close());
  zoom.addEventListener("click", (event) => { if (event.target === zoom) zoom.close(); });

  const links = new Map([...document.querySelectorAll(".contents li a")].map((link) => [link.hash.slice(1), link]));
  const seen = new Set();
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) { if (entry.isIntersecting) seen.add(entry.target.id); else seen.delete(entry.target.id); }
    const current = [...links.keys()].find((id) => seen.has(id));
    for (const [id, link] of links) { if (id === current) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current"); }
  }, { rootMargin: "-10% 0px -60% 0px" });
  for (const id of links.keys()) watcher.observe(document.getElementById(id));
})();
