
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const isComparison = data.files.length > 1;

  const make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "class") element.className = value; else element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  };
  const draw = (name, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };

  // Theme: the system's until it is chosen. A file's page may have no storage.
  const root = document.documentElement;
  const stored = (value) => {
    try {
      if (value) localStorage.setItem("wcodec-theme", value);
      return localStorage.getItem("wcodec-theme");
    } catch { return null; }
  };
  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const nameTheme = () => { $("theme").textContent = isDark() ? "Light" : "Dark"; $("theme").setAttribute("aria-label", isDark() ? "Light theme" : "Dark theme"); };
  if (["light", "dark"].includes(stored())) root.dataset.theme = stored();
  $("theme").hidden = false;
  $("theme").addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; stored(root.dataset.theme); nameTheme(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", nameTheme);
  nameTheme();

  // Table: rows in the order of the model; a row's number is its layer's.
  const table = document.querySelector(".layers table");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const headings = [...table.tHead.rows[table.tHead.rows.length - 1].querySelectorAll("th")];
  const names = rows.map((row) => row.cells[0].textContent);
  const folded = names.map((name) => name.toLowerCase());
  const kinds = rows.map((row) => row.cells[1].textContent);
  let shown = rows.map((_, index) => index);
  let placed = shown;
  let sort = { column: null, isDescending: false };

  const number = (text) => text === "exact" ? Infinity : parseFloat(text.replaceAll(",", ""));
  const isNumeric = (column) => headings[column].classList.contains("n");
  const keys = new Map();
  const keysOf = (column) => {
    if (!keys.has(column)) {
      keys.set(column, rows.map((row) => {
        const text = row.cells[column].textContent;
        return isNumeric(column) ? number(text) : column === 2 || headings[column].textContent === "Shape" ? text.split("x").reduce((all, side) => all * Number(side), 1) : text;
      }));
    }
    return keys.get(column);
  };
  const compare = (a, b) => {
    if (typeof a === "string") return a.localeCompare(b, "en", { numeric: true });
    // What has no number comes last.
    return Number.isNaN(a) ? (Number.isNaN(b) ? 0 : 1) : Number.isNaN(b) ? -1 : a - b;
  };
  const differs = (index) => {
    const parts = data.layers[index].map((layer, file) => layer && rows[index].querySelectorAll("td").length ? fileCells(index, file).map((cell) => cell.firstChild?.textContent.trim()).join("|") : "");
    return parts.some((part) => part !== parts[0]);
  };
  const fileCells = (index, file) => {
    const cells = [...rows[index].cells].slice(3);
    const width = cells.length / data.files.length;
    return cells.slice(file * width, (file + 1) * width);
  };

  const update = () => {
    const wanted = $("search").value.trim().toLowerCase();
    const kind = $("kind").value;
    const onlyDifferent = isComparison && $("different").checked;
    const order = rows.map((_, index) => index);
    if (sort.column !== null) {
      const values = keysOf(sort.column);
      const sign = sort.isDescending ? -1 : 1;
      order.sort((a, b) => {
        const missing = Number.isNaN(values[a]) || Number.isNaN(values[b]);
        return compare(values[a], values[b]) * (missing ? 1 : sign) || a - b;
      });
    }
    shown = order.filter((index) => folded[index].includes(wanted) && (!kind || kinds[index] === kind) && (!onlyDifferent || differs(index)));
    const visible = new Set(shown);
    for (const index of order) if (rows[index].hidden === visible.has(index)) rows[index].hidden = !visible.has(index);
    if (order.some((index, place) => index !== placed[place])) body.append(...order.map((index) => rows[index]));
    placed = order;
    headings.forEach((heading, column) => heading.setAttribute("aria-sort", sort.column !== column ? "none" : sort.isDescending ? "descending" : "ascending"));
    $("shown").textContent = shown.length === rows.length ? `${rows.length} layers` : `${shown.length} of ${rows.length} layers`;
    $("none").hidden = shown.length > 0 || rows.length === 0;
    $("order").value = sort.column ?? "";
    $("direction").setAttribute("aria-pressed", String(sort.isDescending));
  };
  const sortBy = (column, isDescending) => { sort = { column, isDescending }; update(); };
  headings.forEach((heading, column) => heading.querySelector("button").addEventListener("click", () => {
    // Numbers from the largest, names from A; a third click gives the model's order back.
    const first = isNumeric(column);
    if (sort.column !== column) sortBy(column, first);
    else if (sort.isDescending === first) sortBy(column, !first);
    else sortBy(null, false);
  }));
  $("controls").hidden = false;
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  $("search").addEventListener("input", update);
  for (const id of ["kind", "different"]) $(id).addEventListener("change", update);
  $("order").addEventListener("change", () => $("order").value === "" ? sortBy(null, false) : sortBy(Number($("order").value), isNumeric(Number($("order").value))));
  $("direction").addEventListener("click", () => sortBy(sort.column, sort.column !== null && !sort.isDescending));
  update();

  // A layer.
  const dialog = $("layer");
  // Figures of several files may need to be scrolled.
  if (isComparison) Object.entries({ tabindex: "0", role: "region", "aria-label": "Figures side by side" }).forEach(([key, value]) => $("facts").setAttribute(key, value));
  let current = 0;
  const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
  const columns = (heights, label) => {
    const svg = draw("svg", { viewBox: `0 0 ${heights.length} 63`, preserveAspectRatio: "none", class: "columns", role: "img", "aria-label": label });
    let path = "";
    [...heights].forEach((height, x) => { const level = alphabet.indexOf(height); if (level > 0) path += `M${x} 63v-${level}h1v${level}z`; });
    svg.append(draw("path", { d: path }));
    return svg;
  };
  const ends = (...texts) => make("div", { class: "ends" }, ...texts.map((text) => make("span", {}, text)));
  const chart = (title, ...parts) => make("div", { class: "chart" }, make("h3", {}, title), ...parts);

  const bitsChart = (layer, entropy, n) => {
    const top = Math.max(layer.bits, n) * 1.02;
    const x = (value) => `${Math.min(value / top, 1) * 100}%`;
    const bound = layer.bound === undefined || layer.bound === null ? "" : `; bound ${layer.bound.toFixed(2)}`;
    const svg = draw("svg", { class: "bits", role: "img", "aria-label": `${layer.bits} bits per weight; entropy of the bins ${entropy}${bound}` });
    svg.append(draw("rect", { y: 20, width: "100%", height: 14, rx: 4, class: "rail" }), draw("rect", { y: 20, width: x(layer.bits), height: 14, rx: 4, class: "value" }));
    const mark = (value, text, y) => {
      const anchor = value / top > 0.75 ? "end" : value / top < 0.2 ? "start" : "middle";
      svg.append(draw("line", { x1: x(value), x2: x(value), y1: y < 20 ? 14 : 20, y2: y < 20 ? 34 : 40, class: "mark" }), draw("text", { x: x(value), y, "text-anchor": anchor }, text));
    };
    mark(Number(entropy), `entropy ${entropy}`, 10);
    if (bound) mark(Math.max(layer.bound, 0), `Shannon's bound ${layer.bound.toFixed(2)}`, 53);
    return chart(`${layer.bits.toFixed(3)} bits per weight`, svg);
  };

  const picture = (row, file) => {
    const layer = data.layers[row][file];
    const figure = make("figure", isComparison ? { class: `f${file % 6}` } : {});
    if (isComparison) figure.append(make("h3", {}, data.files[file].label));
    if (!layer) { figure.append(make("p", { class: "note" }, "Not packed in this file.")); return figure; }
    const medium = data.files[file].medium;
    const noun = medium === "video" ? "frame" : "picture";
    const all = `${layer.pictureWidth} × ${layer.pictureHeight}`;
    const caption = make("figcaption");
    if (layer.pictures.length) {
      const image = make("img");
      const frame = make("div", { class: "frame", tabindex: "0", role: "region", "aria-label": `Picture${isComparison ? ` in ${data.files[file].label}` : ""}, scrolls when enlarged` }, image);
      let chosen = 0;
      let zoom = null;
      const level = make("output");
      const fit = () => Math.min(frame.clientWidth / layer.pictures[chosen].w, frame.clientHeight / layer.pictures[chosen].h);
      const apply = () => {
        const { w, h } = layer.pictures[chosen];
        const factor = zoom ?? Math.min(fit(), 16);
        image.style.width = `${w * factor}px`;
        image.style.height = `${h * factor}px`;
        level.textContent = `${factor >= 1 ? Math.round(factor * 10) / 10 : factor.toPrecision(2)}×`;
      };
      const step = (by) => {
        const factor = zoom ?? Math.min(fit(), 16);
        zoom = Math.min(Math.max(2 ** (by > 0 ? Math.floor(Math.log2(factor) + 1.001) : Math.ceil(Math.log2(factor) - 1.001)), 1 / 16), 32);
        apply();
      };
      const show = (index) => {
        chosen = index;
        image.src = `data:image/png;base64,${$(`p${row}-${file}-${index}`).textContent}`;
        image.alt = `${noun} ${index + 1} of ${layer.pictureCount} of ${names[row]}: ${all} weights, each a gray pixel`;
        apply();
      };
      const button = (text, label, act) => { const element = make("button", { type: "button", "aria-label": label }, text); element.addEventListener("click", act); return element; };
      const bar = make("div", { class: "zoom" }, button("−", "Zoom out", () => step(-1)), level, button("+", "Zoom in", () => step(1)), button("Fit", "Fit to the window", () => { zoom = null; apply(); }), button("1:1", "A pixel a weight", () => { zoom = 1; apply(); }));
      if (layer.pictures.length > 1) {
        const select = make("select", { "aria-label": `Which ${noun}` }, ...layer.pictures.map((_, index) => make("option", { value: index }, `${noun} ${index + 1} of ${layer.pictureCount}`)));
        select.addEventListener("change", () => show(Number(select.value)));
        bar.append(select);
      }
      frame.addEventListener("keydown", (event) => {
        const act = { "+": () => step(1), "=": () => step(1), "-": () => step(-1), "0": () => { zoom = null; apply(); } }[event.key];
        if (act) { event.preventDefault(); act(); }
      });
      figure.append(bar, frame);
      figure.ready = () => show(0);
    }
    const what = {
      image: layer.pictureCount > 1 ? `${layer.pictureCount} pictures of ${all}, as stored: a pixel a weight, dark is low.` : `${all}, as stored: a pixel a weight, dark is low.`,
      video: `${layer.pictureCount} ${layer.pictureCount > 1 ? "frames" : "frame"} of ${all}, as decoded from the video.`,
      audio: `Stored as a track of ${layer.weights} samples; shown is the matrix that it reads row by row, ${all}.`,
    }[medium] ?? "";
    caption.append(what);
    if (layer.pictures.length && !layer.isFull) caption.append(" This is a preview, of a few weights and 16 shades.");
    if (layer.pictures.length < layer.pictureCount && layer.pictures.length) caption.append(` The first ${layer.pictures.length} are here.`);
    if (!layer.isFull || layer.pictures.length < layer.pictureCount) caption.append(" All of it: ", make("code", {}, layer.command));
    figure.append(caption);
    return figure;
  };

  const histograms = (layer, file) => {
    const part = make("div", isComparison ? { class: `f${file % 6}` } : {});
    if (isComparison) part.append(make("h3", {}, data.files[file].label));
    part.append(
      chart("Weights", columns(layer.histogram, `Histogram of the restored weights, from ${layer.smallest} to ${layer.largest}`), ends(layer.low, layer.high)),
      make("p", { class: "note" }, `From ${layer.smallest} to ${layer.largest}${layer.beyond ? `; ${layer.beyond} % lie beyond the ends of the axis` : ""}.`),
      chart("Bins", columns(layer.bins, `Histogram of the bin numbers; the fullest column holds ${layer.binPeak} % of the weights`), ends("0", String(layer.bins.length * layer.binsPerColumn - 1))),
      make("p", { class: "note" }, `${layer.binsPerColumn > 1 ? `${layer.binsPerColumn} bins a column; the` : "The"} fullest holds ${layer.binPeak} % of the weights.${layer.ranges ? ` Ranges: ${layer.ranges}.` : ""}`));
    return part;
  };

  const singleFacts = (row) => {
    const layer = data.layers[row][0];
    const text = (title) => rows[row].cells[headings.findIndex((heading) => heading.textContent === title)].textContent;
    const list = make("dl", { class: "facts" });
    const fact = (title, ...values) => list.append(make("dt", {}, title), make("dd", {}, ...values));
    fact("Shape", `${text("Shape").replaceAll("x", " × ")}, ${text("Kind")}, ${layer.dtype}`);
    fact("Weights", layer.weights);
    if (layer.aliases.length) fact("Tied with", layer.aliases.join(", "));
    fact("Codec", `${layer.codec}, n = ${text("n")}`);
    fact(layer.entryCount > 1 ? "Entries" : "Entry", make("code", {}, layer.entries[0] ?? ""), layer.entryCount > 1 ? ` and ${layer.entryCount - 1} more` : "");
    fact("Bytes", `${text("Original")} → ${text("Packed")} (${text("Ratio")}×), ${layer.parameters} of them parameters`);
    fact("SNR", text("SNR") === "exact" ? "exact: every weight came back" : `${text("SNR")} dB, largest error ${text("Max error")}`);
    return [list, bitsChart(layer, text("H"), Number(text("n"))), histograms(layer, 0)];
  };
  const comparedFacts = (row) => {
    const layers = data.layers[row];
    const head = make("tr", {}, make("td"), ...data.files.map((file) => make("th", { scope: "col", class: "n" }, file.label)));
    const lines = [["Codec", (layer) => layer.codec], ["Weights", (layer) => layer.weights], ["Parameters, bytes", (layer) => layer.parameters]];
    const titles = fileCells(row, 0).map((_, index) => headings[3 + index].textContent);
    const line = (title, contents) => make("tr", {}, make("th", { scope: "row" }, title), ...contents.map((content) => make("td", { class: "n" }, ...content)));
    const tbody = make("tbody", {}, ...titles.map((title, index) => line(title, layers.map((_, file) => fileCells(row, file)[index].cloneNode(true).childNodes))), ...lines.map(([title, text]) => line(title, layers.map((layer) => [layer ? text(layer) : "-"]))));
    const grid = make("div", { id: "histograms" }, ...layers.map((layer, file) => layer && histograms(layer, file)).filter(Boolean));
    return [make("table", {}, make("thead", {}, head), tbody), grid];
  };

  const open = (row) => {
    current = row;
    $("layer-name").textContent = names[row];
    const figures = data.files.map((_, file) => picture(row, file));
    $("views").replaceChildren(...figures);
    $("facts").replaceChildren(...(isComparison ? comparedFacts(row) : singleFacts(row)));
    const place = shown.indexOf(row);
    $("previous").disabled = place <= 0;
    $("next").disabled = place < 0 || place >= shown.length - 1;
    if (!dialog.open) dialog.showModal();
    // Fitting needs the size that the dialog has now.
    for (const figure of figures) figure.ready?.();
    dialog.querySelector(".body").scrollTop = 0;
  };
  const move = (by) => {
    const next = shown[shown.indexOf(current) + by];
    if (next === undefined) return;
    open(next);
    $("layer-name").focus();
  };
  $("previous").addEventListener("click", () => move(-1));
  $("next").addEventListener("click", () => move(1));
  $("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => rows[current].querySelector("button").focus());
  dialog.addEventListener("keydown", (event) => {
    if (event.target.closest("select, .frame")) return;
    if (event.key === "ArrowLeft") move(-1);
    if (event.key === "ArrowRight") move(1);
  });
  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-row]");
    if (target && !dialog.contains(target)) open(Number(target.dataset.row));
  });
})();
