"use strict";
// Shows the rows that hold all words asked for, of one state and one experiment.
(() => {
  const form = document.querySelector(".filters");
  if (!form) return;
  const [find, state, experiment, count] = ["find", "state", "experiment", "count"].map((id) => document.getElementById(id));
  const rows = [...document.getElementById("runs").tBodies[0].rows].map((row) => [row, row.textContent.toLowerCase()]);
  const show = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const [row, text] of rows) {
      const fits = words.every((word) => text.includes(word)) && (!state.value || row.dataset.state === state.value) && (!experiment.value || row.dataset.experiment === experiment.value);
      row.hidden = !fits;
      shown += fits;
    }
    count.textContent = shown === rows.length ? "" : `${shown} of ${rows.length} runs`;
  };
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const input of [find, state, experiment]) input.addEventListener("input", show);
  show();
})();
