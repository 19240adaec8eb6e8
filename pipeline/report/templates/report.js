"use strict";
// The report's own: text to copy, pictures to enlarge, where the reader is.
(() => {
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

  // Figures of one series stand below each other; here one is shown at a time.
  const series = new Map();
  for (const figure of document.querySelectorAll("figure[data-steps]")) {
    if (!series.has(figure.dataset.steps)) series.set(figure.dataset.steps, []);
    series.get(figure.dataset.steps).push(figure);
  }
  for (const figures of series.values()) {
    if (figures.length < 2) continue;
    const bar = document.createElement("div"), slider = document.createElement("input"), name = document.createElement("output");
    const [before, after, all] = ["\u2190", "\u2192", "Show all"].map((text) => { const button = document.createElement("button"); button.type = "button"; button.textContent = text; return button; });
    bar.className = "stepper";
    Object.assign(slider, { type: "range", min: 1, max: figures.length, step: 1, value: 1 });
    slider.setAttribute("aria-label", "Which one is shown");
    before.setAttribute("aria-label", "The one before");
    after.setAttribute("aria-label", "The next one");
    all.setAttribute("aria-pressed", "false");
    const step = () => {
      const at = Number(slider.value) - 1, whole = all.getAttribute("aria-pressed") === "true";
      figures.forEach((figure, k) => figure.classList.toggle("step-off", !whole && k !== at));
      name.textContent = whole ? `All ${figures.length}` : `${figures[at].dataset.step} (${at + 1} of ${figures.length})`;
      slider.setAttribute("aria-valuetext", figures[at].dataset.step);
      slider.disabled = whole;
      before.disabled = whole || at === 0;
      after.disabled = whole || at === figures.length - 1;
      all.textContent = whole ? "Show one" : "Show all";
    };
    const move = (by) => { slider.value = Number(slider.value) + by; step(); };
    slider.addEventListener("input", step);
    before.addEventListener("click", () => move(-1));
    after.addEventListener("click", () => move(1));
    all.addEventListener("click", () => { all.setAttribute("aria-pressed", String(all.getAttribute("aria-pressed") !== "true")); step(); });
    bar.append(before, slider, after, name, all);
    figures[0].before(bar);
    step();
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
