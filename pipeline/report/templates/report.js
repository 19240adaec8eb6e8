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
