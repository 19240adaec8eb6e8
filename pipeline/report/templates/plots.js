"use strict";
// Puts a plot that can be zoomed and read in the place of a picture of lines, when asked for.
(() => {
  const specs = JSON.parse(document.getElementById("plots").textContent);
  const root = document.documentElement;
  const media = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : media.matches);
  const tone = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const make = (tag, name, text = "") => { const made = document.createElement(tag); made.className = name; made.textContent = text; return made; };
  const MOST_NAMED = 12;

  const decimals = (step) => (String(Number(step.toPrecision(3))).split(".")[1] || "").length;
  const minus = (text) => text.replace("-", "\u2212");
  const value = (v) => (v === null || v === undefined ? "\u2013" : minus(Math.abs(v) >= 1e5 || (v !== 0 && Math.abs(v) < 1e-3) ? v.toExponential(3) : String(Number(v.toPrecision(4)))));
  const date = (s) => { const iso = new Date(s * 1000).toISOString(); return s % 86400 ? `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC` : iso.slice(0, 10); };
  const shortDate = (s, step) => date(s).slice(...(step >= 360 * 86400 ? [0, 4] : step >= 27 * 86400 ? [0, 7] : step >= 86400 ? [0, 10] : [5, 16]));

  // Lines have points of their own: all stand on one axis, where a line without a point there runs on.
  function table(spec) {
    const parts = spec.at.map((at) => [at]), found = [];
    for (const line of spec.lines) {
      for (const key of ["hi", "lo", "y"]) if (line[key]) { parts[line.x].push(line[key]); found.push([line.x, line, key]); }
    }
    const order = [];
    parts.forEach((_, x) => found.forEach((one) => { if (one[0] === x) order.push(one); }));
    return [parts.length > 1 ? uPlot.join(parts) : parts[0], order];
  }

  function draw(spec, box, width, height, tell) {
    const [data, order] = table(spec), side = isDark() ? 1 : 0, muted = tone("--muted"), grid = tone("--line");
    const series = [{}], bands = [], font = "11px system-ui, sans-serif";
    order.forEach(([, line, key], k) => {
      const colour = line.c[side];
      if (key === "y") series.push({ label: line.n, stroke: colour, width: line.w, dash: line.d, points: { show: Boolean(line.m), size: 5, fill: colour } });
      else series.push({ label: line.n, stroke: "transparent", width: 0, points: { show: false } });
      if (key === "hi") bands.push({ series: [k + 1, k + 2], fill: colour + (line.y ? "28" : "38") });
    });
    const axis = { stroke: muted, font, labelFont: font, labelSize: 18, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
    const across = (u, lines) => {
      u.ctx.save(); u.ctx.strokeStyle = muted; u.ctx.setLineDash([4, 4]); u.ctx.beginPath();
      for (const [x1, y1, x2, y2] of lines) { u.ctx.moveTo(u.valToPos(x1, "x", true), u.valToPos(y1, "y", true)); u.ctx.lineTo(u.valToPos(x2, "x", true), u.valToPos(y2, "y", true)); }
      u.ctx.stroke(); u.ctx.restore();
    };
    const range = (u, low, high) => {
      if (spec.limits) return spec.limits;
      if (low === null) return [0, 1];
      if (spec.log) return [low / 1.15, high * 1.15];
      if (spec.level !== undefined) { low = Math.min(low, spec.level); high = Math.max(high, spec.level); }
      const room = 0.05 * (high - low) || Math.abs(high) || 1;
      return [low - room, high + room];
    };
    const ends = spec.span || [data[0][0], data[0][data[0].length - 1]];
    const room = spec.span || spec.time ? 0 : 0.02 * (ends[1] - ends[0]) || 1;
    const whole = [ends[0] - room, ends[1] + room];
    const counted = !spec.time && data[0].every(Number.isInteger);
    const plot = new uPlot({
      width, height, series, bands, legend: { show: false }, padding: [8, 14, 0, 0],
      tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "Etc/UTC"),
      scales: { x: { time: Boolean(spec.time), range: (u, low, high) => (low === null || low === high ? whole : [low, high]) }, y: { distr: spec.log ? 3 : 1, range } },
      axes: [
        { ...axis, label: spec.xl || undefined, size: 22, labelSize: 16, incrs: counted ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000] : undefined, values: (u, ticks, _, __, step) => ticks.map((v) => (spec.time ? shortDate(v, step) : minus(v.toFixed(decimals(step))))), space: spec.time ? 84 : counted ? 36 : 56 },
        { ...axis, label: spec.yl, size: 44, labelSize: 16, values: (u, ticks, _, __, step) => ticks.map((v) => (v === null ? "" : spec.log ? value(v) : minus(v.toFixed(decimals(step))))) },
      ],
      cursor: { x: true, y: false, drag: { x: true, y: false }, bind: { dblclick: (u) => () => { back(u); return null; } }, points: { size: 7 } },
      hooks: {
        drawAxes: [(u) => {
          if (spec.level !== undefined) across(u, [[u.scales.x.min, spec.level, u.scales.x.max, spec.level]]);
          if (spec.diagonal) across(u, [[whole[0], whole[0], whole[1], whole[1]]]);
        }],
        setCursor: [(u) => tell(readings(u))],
        setScale: [(u, key) => { if (key === "x") box.classList.toggle("zoomed", u.scales.x.min > whole[0] + 1e-9 * Math.abs(whole[0]) || u.scales.x.max < whole[1] - 1e-9 * Math.abs(whole[1])); }],
      },
    }, data, box);
    const back = (u) => u.setScale("x", { min: whole[0], max: whole[1] });
    back(plot);

    function readings(u) {
      const at = u.cursor.idx, found = [];
      for (const line of spec.lines) {
        const get = (key) => { const k = order.findIndex((one) => one[1] === line && one[2] === key) + 1; const i = k ? u.cursor.idxs[k] : null; return k && i !== null && i !== undefined ? data[k][i] : null; };
        const y = get("y"), low = get("lo"), high = get("hi");
        const band = low !== null && high !== null && low !== undefined ? `${value(low)} to ${value(high)}` : "";
        found.push([line.c[side], line.n, line.y ? value(y) + (band ? ` (${band})` : "") : band || "\u2013", y]);
      }
      const x = at === null || at === undefined ? null : data[0][at];
      return { where: x === null ? "" : spec.time ? date(x) : `${spec.xl} ${value(x)}`, found: found.reverse() };
    }
    return { plot, readings, back: () => back(plot), whole, data };
  }

  let count = 0;
  for (const panel of document.querySelectorAll("[data-plot]")) {
    const spec = specs[panel.dataset.plot];
    if (!spec || !spec.lines.length) continue;
    const picture = panel.querySelector("img"), bar = make("div", "plot-bar"), open = make("button", "explore", "Explore");
    const whole = make("button", "whole", "Whole range"), box = make("div", "plot"), words = make("div", "readout"), live = make("p", "sr");
    open.type = whole.type = "button";
    open.setAttribute("aria-pressed", "false");
    open.setAttribute("aria-label", `Explore: ${picture.alt}`);
    live.setAttribute("aria-live", "polite");
    box.tabIndex = 0;
    box.setAttribute("role", "application");
    box.setAttribute("aria-roledescription", "line plot");
    const hint = make("p", "sr", "Left and right move along the line, with Shift ten points at once, Home and End to its ends; plus and minus zoom, Escape shows all.");
    hint.id = `plot-hint-${(count += 1)}`;
    box.setAttribute("aria-describedby", hint.id);
    box.setAttribute("aria-label", picture.alt);
    bar.append(open);
    panel.append(bar);
    let drawn = null;

    const tell = ({ where, found }) => {
      words.replaceChildren(make("span", "at", where || (spec.time ? "Point at a date" : "Point at a value")));
      for (const [colour, name, text] of found.slice(0, MOST_NAMED)) {
        const entry = make("span", "entry"), swatch = make("i", "");
        swatch.style.background = colour;
        entry.append(swatch, `${name}${where ? ` ${text}` : ""}`);
        words.append(entry);
      }
      if (found.length > MOST_NAMED) words.append(make("span", "entry", `and ${found.length - MOST_NAMED} more`));
    };
    const build = () => {
      if (drawn) drawn.plot.destroy();
      const height = Math.max(Number(picture.getAttribute("height")), 240);
      drawn = draw(spec, box, Math.max(box.clientWidth, 240), height, tell);
      tell(drawn.readings(drawn.plot));
    };
    const moveTo = (index) => {
      const { plot, data } = drawn, last = data[0].length - 1, at = Math.min(Math.max(index, 0), last), x = data[0][at];
      const { min, max } = plot.scales.x;
      if (x < min || x > max) plot.setScale("x", x < min ? { min: x, max: x + max - min } : { min: x - max + min, max: x });
      plot.setCursor({ left: plot.valToPos(x, "x"), top: plot.over.clientHeight / 2 });
      const { where, found } = drawn.readings(plot);
      live.textContent = `${where}: ${found.map(([, name, text]) => `${name} ${text}`).join("; ")}`;
    };
    const zoom = (factor) => {
      const { plot, data, whole: all } = drawn, { min, max } = plot.scales.x, at = plot.cursor.idx;
      const middle = at === null || at === undefined ? (min + max) / 2 : data[0][at], half = (factor * (max - min)) / 2;
      if (half > 0) plot.setScale("x", { min: Math.max(middle - half, all[0]), max: Math.min(middle + half, all[1]) });
    };
    box.addEventListener("keydown", (event) => {
      if (!drawn || event.ctrlKey || event.altKey || event.metaKey) return;
      const at = drawn.plot.cursor.idx ?? -1, step = event.shiftKey ? 10 : 1, last = drawn.data[0].length - 1;
      const acts = {
        ArrowRight: () => moveTo(at < 0 ? 0 : at + step), ArrowLeft: () => moveTo(at < 0 ? last : at - step), Home: () => moveTo(0), End: () => moveTo(last),
        "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), Escape: () => drawn.back(), 0: () => drawn.back(),
      };
      if (acts[event.key]) { event.preventDefault(); acts[event.key](); }
    });
    whole.addEventListener("click", () => { drawn.back(); box.focus(); });
    open.addEventListener("click", () => {
      const on = !panel.classList.contains("explored");
      panel.classList.toggle("explored", on);
      open.textContent = on ? "Picture" : "Explore";
      open.setAttribute("aria-pressed", String(on));
      if (on) {
        panel.insertBefore(box, bar);
        panel.insertBefore(words, bar);
        bar.append(whole, hint, live);
        build();
        new ResizeObserver(() => { if (drawn && box.clientWidth > 100) drawn.plot.setSize({ width: box.clientWidth, height: drawn.plot.height }); }).observe(panel);
      } else {
        drawn.plot.destroy();
        drawn = null;
        box.remove(); words.remove(); whole.remove(); hint.remove(); live.remove();
      }
    });
    const again = () => { if (drawn) build(); };
    document.addEventListener("themechange", again);
    media.addEventListener("change", again);
  }
})();
