// The table of windows and the view of one window's letters. All names come from users' files: they are
// only ever set as text. State that is worth a link stands behind the # of the address.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { windows, hits, motifs } = data;
  const total = windows.score.length;
  const length = windows.length;
  const byId = (id) => document.getElementById(id);
  const PACKED = 3, LETTERS = "ACGTN", LEAST_SHOWN = 16, FIRST_SHOWN = 80;
  const OUTLINES = Object.fromEntries(Object.entries(data.glyphs).map(([base, path]) => [base, new Path2D(path)]));

  // ---- Small things -------------------------------------------------------------------------------

  function make(tag, text = "", attributes = {}) {
    const element = document.createElement(tag);
    element.textContent = text;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  }

  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const grouped = (number) => number.toLocaleString("en");
  const short = (value) => (value === null ? "–" : Number(value.toPrecision(3)).toString());
  const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(1)} %`);
  const chromOf = (row) => windows.chroms[windows.chrom[row]];
  const placeOf = (row) =>
    `${chromOf(row)}:${grouped(windows.start[row] + 1)}-${grouped(windows.start[row] + length)}`;

  function hitsByWindow() {
    const found = Array.from({ length: total }, () => []);
    hits.row.forEach((row, i) => found[row].push({
      start: hits.start[i], end: hits.end[i], motif: hits.motif[i], strand: hits.strand[i],
      relevance: hits.relevance[i], name: motifs[hits.motif[i]],
    }));
    return found;
  }

  // Motifs of a window, the one with most relevance in its hits first.
  function strongest(found) {
    const sums = new Map();
    for (const hit of found) sums.set(hit.motif, (sums.get(hit.motif) || 0) + Math.abs(hit.relevance));
    return [...sums].sort((a, b) => b[1] - a[1]).map(([motif]) => motif);
  }

  const windowHits = hitsByWindow();
  const windowMotifs = windowHits.map(strongest);
  const named = (row) => windowMotifs[row].slice(0, 3).map((motif) => motifs[motif]).join(", ");

  // ---- Letters: what Python packed ----------------------------------------------------------------

  const bytesOf = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));

  function valuesOf(step, text) {
    const view = new DataView(bytesOf(text).buffer);
    return Float32Array.from({ length }, (_, i) => step * view.getInt16(2 * i, true));
  }

  function basesOf(text) {
    const bytes = bytesOf(text);
    return Uint8Array.from({ length }, (_, i) => Math.floor(bytes[Math.floor(i / PACKED)] / 5 ** (2 - (i % PACKED))) % 5);
  }

  const lettersAt = new Map(data.letters.map(([row, step, values, bases]) => [row, { step, values, bases }]));
  const unprunedAt = new Map(data.unpruned.map(([row, step, values]) => [row, { step, values }]));

  function decoded(row) {
    const packed = lettersAt.get(row);
    if (!packed) return null;
    const twin = unprunedAt.get(row);
    const tracks = [{ label: twin ? "pruned" : "relevance", values: valuesOf(packed.step, packed.values) }];
    if (twin) tracks.push({ label: "unpruned", values: valuesOf(twin.step, twin.values) });
    return { tracks, bases: basesOf(packed.bases) };
  }

  // Where the stretch of so many bases with most relevance begins.
  function densest(values, wide) {
    let sum = 0, best = -1, at = 0;
    for (let i = 0; i < values.length; i++) {
      sum += Math.abs(values[i]) - (i >= wide ? Math.abs(values[i - wide]) : 0);
      if (sum > best + 1e-9) [best, at] = [sum, Math.max(0, i - wide + 1)];
    }
    return at;
  }

  // ---- The table ----------------------------------------------------------------------------------

  const COLUMNS = {
    region: { compare: (a, b) => windows.chrom[a] - windows.chrom[b] || windows.start[a] - windows.start[b] },
    name: { compare: (a, b) => windows.name[a].localeCompare(windows.name[b], "en", { numeric: true }) },
    score: { of: windows.score },
    explained: { of: windows.explained },
    error: { of: windows.error },
    unknown: { of: windows.unknown },
    motifs: { compare: (a, b) => named(b).localeCompare(named(a), "en") || windowHits[a].length - windowHits[b].length },
  };
  const KINDS = {
    all: () => true,
    letters: (row) => lettersAt.has(row),
    hits: (row) => windowHits[row].length > 0,
    doubtful: (row) => windows.error[row] > Number(byId("windows").dataset.warn) || windows.unknown[row] > 0 || windows.zero[row] >= 1,
  };
  const state = { q: "", motif: "", score: "", share: "", kind: "all", sort: "-score", page: 0, size: 10, w: null, from: null, to: null, at: null };
  let rows = [];

  function comparing() {
    const falling = state.sort.startsWith("-");
    const column = COLUMNS[state.sort.replace("-", "")] || COLUMNS.score;
    const compare = column.compare || ((a, b) => (column.of[a] ?? -Infinity) - (column.of[b] ?? -Infinity));
    return (a, b) => (falling ? -compare(a, b) : compare(a, b)) || a - b;
  }

  // A place finds the windows that touch it, other words are looked for in region, name and motifs.
  function searching(text) {
    const place = /^\s*(.+):([\d,]+)(?:-([\d,]+))?\s*$/.exec(text);
    const number = (digits) => Number(digits.replaceAll(",", ""));
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const inPlace = place && ((row) =>
      chromOf(row) === place[1] && windows.start[row] < number(place[3] || place[2]) &&
      windows.start[row] + length >= number(place[2]));
    const inText = (row) => {
      const held = `${placeOf(row)} ${windows.name[row]} ${windowMotifs[row].map((m) => motifs[m]).join(" ")}`.toLowerCase();
      return words.every((word) => held.includes(word));
    };
    return (row) => Boolean(inPlace && inPlace(row)) || inText(row);
  }

  const atLeast = (values, text, unit) => (row) => text === "" || Number.isNaN(Number(text)) || values[row] >= Number(text) * unit;

  function chooseRows() {
    const motif = state.motif === "" ? null : Number(state.motif);
    const tests = [
      KINDS[state.kind] || KINDS.all, atLeast(windows.score, state.score, 1), atLeast(windows.explained, state.share, 0.01),
      (row) => motif === null || windowMotifs[row].includes(motif), state.q ? searching(state.q) : () => true,
    ];
    rows = Array.from({ length: total }, (_, row) => row).filter((row) => tests.every((test) => test(row))).sort(comparing());
    state.page = clamp(state.page, 0, Math.max(0, Math.ceil(rows.length / state.size) - 1));
  }

  function tableRow(row) {
    const line = make("tr");
    const opening = make("button", placeOf(row), { type: "button", class: "plain" });
    opening.addEventListener("click", () => openWindow(row, true));
    const first = make("td", "", { class: "wraps" });
    first.append(opening);
    line.append(first, make("td", windows.name[row], { class: "wraps" }));
    const numbers = [short(windows.score[row]), percent(windows.explained[row]), short(windows.error[row]), percent(windows.unknown[row])];
    line.append(...numbers.map((text) => make("td", text, { class: "number" })), make("td", named(row), { class: "wraps" }));
    if (row === state.w) {
      line.className = "chosen";
      opening.setAttribute("aria-current", "true");
    }
    return line;
  }

  function showTable() {
    chooseRows();
    const first = state.page * state.size;
    byId("rows").replaceChildren(...rows.slice(first, first + state.size).map(tableRow));
    const pages = Math.max(1, Math.ceil(rows.length / state.size));
    byId("count").textContent = `${grouped(rows.length)} of ${grouped(total)} windows, page ${state.page + 1} of ${pages}`;
    byId("before").disabled = state.page === 0;
    byId("after").disabled = state.page >= pages - 1;
    for (const heading of byId("table").querySelectorAll("th")) {
      const sorted = state.sort.replace("-", "") === heading.dataset.column;
      if (sorted) heading.setAttribute("aria-sort", state.sort.startsWith("-") ? "descending" : "ascending");
      else heading.removeAttribute("aria-sort");
      heading.querySelector("span").textContent = sorted ? (state.sort.startsWith("-") ? " ▼" : " ▲") : "";
    }
    keepAddress();
  }

  // ---- The view of a window -----------------------------------------------------------------------

  const view = { row: null, letters: null, from: 0, to: 0, cursor: null, top: 1, low: 0 };
  const detail = byId("detail"), overview = byId("overview");
  const BAND = 14, TRACK = 130, AXIS = 22, MARGIN = 52;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const palette = () => Object.fromEntries(["A", "C", "G", "T", "ink", "soft", "line", "hit", "chosen", "link"].map((name) => [name, colour(name)]));

  function openWindow(row, focus) {
    state.w = view.row = row;
    view.letters = decoded(row);
    view.cursor = state.at = null;
    byId("view").hidden = false;
    byId("which").textContent = `${windows.name[row]} · ${placeOf(row)} (${windows.strand[row]})`;
    byId("accounts").textContent = `score ${short(windows.score[row])}, share explained ${percent(windows.explained[row])}, ` +
      `conservation error ${short(windows.error[row])}, ${percent(windows.zero[row])} of the bases exactly zero` +
      (named(row) ? `; motifs: ${named(row)}` : "");
    byId("none").hidden = view.letters !== null;
    byId("drawn").hidden = view.letters === null;
    if (view.letters) {
      const each = view.letters.tracks.map((track) => track.values);
      view.top = Math.max(1e-12, ...each.map((values) => values.reduce((a, b) => Math.max(a, b), 0)));
      view.low = Math.min(0, ...each.map((values) => values.reduce((a, b) => Math.min(a, b), 0)));
      showStrongest();
    } else byId("none").textContent = `The letters of this window aren't in the page. sparselrp plot ${data.archive} ${chromOf(row)}:${windows.start[row] + 1}-${windows.start[row] + length} -o window.svg draws them.`;
    showTable();
    if (focus) {
      byId("view").scrollIntoView({ block: "nearest" });
      (view.letters ? detail : byId("which")).focus({ preventScroll: true });
    }
  }

  function showStretch(from, to) {
    const wide = clamp(to - from, Math.min(LEAST_SHOWN, length), length);
    view.from = clamp(from + (to - from - wide) / 2, 0, length - wide);
    view.to = view.from + wide;
    [state.from, state.to] = [Math.round(view.from), Math.round(view.to)];
    draw();
    keepAddress();
  }

  function showStrongest() {
    // On a phone fewer bases, so that they are letters.
    const wide = Math.min(length, FIRST_SHOWN, Math.max(24, Math.floor((detail.clientWidth - MARGIN) / 7)));
    const densestAt = densest(view.letters.tracks[0].values, Math.min(wide, 24));
    const from = clamp(densestAt + 12 - wide / 2, 0, length - wide);
    showStretch(from, from + wide);
  }

  function zoom(factor, around = (view.from + view.to) / 2) {
    const wide = clamp((view.to - view.from) * factor, Math.min(LEAST_SHOWN, length), length);
    const share = (around - view.from) / (view.to - view.from);
    showStretch(around - share * wide, around + (1 - share) * wide);
  }

  function pan(bases) {
    const wide = view.to - view.from, from = clamp(view.from + bases, 0, length - wide);
    showStretch(from, from + wide);
  }

  // Fits a canvas to its place and to the screen's pixels.
  function prepared(canvas, high) {
    const wide = Math.max(50, canvas.clientWidth), ratio = window.devicePixelRatio || 1;
    canvas.style.height = `${high}px`;
    [canvas.width, canvas.height] = [Math.round(wide * ratio), Math.round(high * ratio)];
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, wide, high);
    pen.font = "11px system-ui, sans-serif";
    return { pen, wide, high, ratio };
  }

  // Hits in as many lanes as they need where they are drawn.
  function laid(found, x) {
    const ends = [];
    return found.filter((hit) => hit.end > view.from && hit.start < view.to).map((hit) => {
      const left = x(Math.max(hit.start, view.from)), right = Math.max(left + 3, x(Math.min(hit.end, view.to)));
      let lane = ends.findIndex((end) => end <= left);
      if (lane < 0) lane = ends.push(0) - 1;
      ends[lane] = right + 60;
      return { ...hit, left, right, lane };
    });
  }

  function draw() {
    if (!view.letters) return;
    const wide = Math.max(50, detail.clientWidth) - MARGIN, per = wide / (view.to - view.from);
    const x = (base) => MARGIN + (base - view.from) * per;
    const marks = laid(windowHits[view.row], x), lanes = Math.max(1, ...marks.map((mark) => mark.lane + 1));
    const top = 2 * BAND * lanes, { tracks } = view.letters;
    const canvas = prepared(detail, top + TRACK * tracks.length + AXIS), inks = palette();
    for (const mark of marks) drawHit(canvas.pen, mark, inks);
    tracks.forEach((track, i) => drawTrack(canvas, track, top + TRACK * i, x, per, inks));
    drawAxis(canvas, x, inks);
    drawOverview(inks);
    detail.setAttribute("aria-label", `Relevance of ${placeOf(view.row)}, shown from ${grouped(windows.start[view.row] + Math.floor(view.from) + 1)} to ${grouped(windows.start[view.row] + Math.ceil(view.to))}`);
  }

  function drawHit(pen, mark, inks) {
    const y = 2 * BAND * mark.lane;
    pen.fillStyle = inks.hit;
    pen.fillRect(mark.left, y + BAND + 3, mark.right - mark.left, 5);
    pen.fillStyle = inks.ink;
    pen.fillText(`${mark.name} ${mark.strand}`, mark.left, y + BAND - 1);
  }

  function drawTrack({ pen, wide, ratio }, track, y, x, per, inks) {
    const scale = (TRACK - 16) / (view.top - view.low), zero = y + 8 + view.top * scale;
    if (view.cursor !== null) {
      pen.fillStyle = inks.chosen;
      pen.fillRect(x(view.cursor), y, Math.max(1, per), TRACK);
    }
    pen.fillStyle = inks.soft;
    pen.fillText(track.label, 0, y + 14);
    pen.fillText("0", MARGIN - 10, zero + 4);
    pen.fillText(short(view.top), 0, y + 28);
    pen.fillRect(MARGIN, zero, wide - MARGIN, 0.6);
    pen.save();
    pen.beginPath();
    pen.rect(MARGIN, y, wide - MARGIN, TRACK);
    pen.clip();
    if (per >= 4) drawLetters(pen, track.values, zero, scale, x, per, ratio, inks);
    else drawBars(pen, track.values, zero, scale, MARGIN, wide - MARGIN, view.from, view.to, inks.ink);
    pen.restore();
  }

  function drawLetters(pen, values, zero, scale, x, per, ratio, inks) {
    for (let i = Math.floor(view.from); i < Math.min(length, Math.ceil(view.to)); i++) {
      const base = LETTERS[view.letters.bases[i]], high = Math.abs(values[i]) * scale;
      if (base === "N" || high < 0.3) continue;
      pen.save();
      // A letter against the score hangs below zero and stands upright, as in the figures.
      pen.translate(x(i) + 0.04 * per, values[i] > 0 ? zero - high : zero);
      pen.scale(0.92 * per, high);
      pen.fillStyle = inks[base];
      pen.fill(OUTLINES[base], "nonzero");
      pen.restore();
    }
  }

  // Of the bases under a pixel the highest and the lowest are drawn: no peak is lost at any zoom.
  function drawBars(pen, values, zero, scale, left, wide, from, to, ink) {
    pen.fillStyle = ink;
    const per = (to - from) / wide;
    for (let pixel = 0; pixel < wide; pixel++) {
      const first = Math.floor(from + pixel * per), last = Math.min(length, Math.max(first + 1, Math.floor(from + (pixel + 1) * per)));
      let high = 0, low = 0;
      for (let i = first; i < last; i++) [high, low] = [Math.max(high, values[i]), Math.min(low, values[i])];
      pen.fillRect(left + pixel, zero - high * scale, 1, (high - low) * scale);
    }
  }

  function drawAxis({ pen, wide, high }, x, inks) {
    const span = view.to - view.from, aim = (span * 90) / Math.max(90, wide - MARGIN);
    const power = 10 ** Math.floor(Math.log10(aim)), step = Math.max(1, power * [1, 2, 5, 10].find((n) => n * power >= aim));
    const start = windows.start[view.row] + 1;
    pen.fillStyle = inks.soft;
    pen.textAlign = "center";
    for (let at = Math.ceil((start + view.from) / step) * step; at < start + view.to; at += step) {
      const middle = x(at - start + 0.5);
      pen.fillRect(middle, high - AXIS, 0.6, 4);
      if (middle > MARGIN + 20 && middle < wide - 30) pen.fillText(grouped(at), middle, high - 5);
    }
    pen.textAlign = "left";
  }

  function drawOverview(inks) {
    const { pen, wide, high } = prepared(overview, 56), each = wide / length;
    pen.fillStyle = inks.chosen;
    pen.fillRect(view.from * each, 0, (view.to - view.from) * each, high);
    const scale = (high - 16) / (view.top - view.low), zero = 12 + view.top * scale;
    drawBars(pen, view.letters.tracks[0].values, zero, scale, 0, wide, 0, length, inks.ink);
    pen.fillStyle = inks.hit;
    for (const hit of windowHits[view.row]) pen.fillRect(hit.start * each, 2, Math.max(2, (hit.end - hit.start) * each), 5);
    pen.strokeStyle = inks.link;
    pen.lineWidth = 1.5;
    pen.strokeRect(Math.max(1, view.from * each), 1, Math.max(3, (view.to - view.from) * each - 2), high - 2);
  }

  function read(base) {
    view.cursor = state.at = clamp(Math.floor(base), 0, length - 1);
    const at = view.cursor, { tracks, bases } = view.letters;
    const values = tracks.map((track) => `${track.label} ${short(track.values[at])}`).join(", ");
    const here = windowHits[view.row].filter((hit) => hit.start <= at && at < hit.end)
      .map((hit) => `${hit.name} ${hit.strand} (relevance ${short(hit.relevance)})`);
    byId("reading").textContent = `${chromOf(view.row)}:${grouped(windows.start[view.row] + at + 1)} ${LETTERS[bases[at]]}: ${values}` +
      (here.length ? `; hit: ${here.join(", ")}` : "");
    draw();
  }

  // ---- Mouse, touch, keys -------------------------------------------------------------------------

  const baseAt = (x) => view.from + ((x - MARGIN) / (Math.max(50, detail.clientWidth) - MARGIN)) * (view.to - view.from);
  const place = (event, canvas) => event.clientX - canvas.getBoundingClientRect().left;

  function followPointers() {
    const down = new Map();
    detail.addEventListener("pointerdown", (event) => {
      down.set(event.pointerId, place(event, detail));
      detail.setPointerCapture(event.pointerId);
    });
    detail.addEventListener("pointermove", (event) => {
      const at = place(event, detail), before = down.get(event.pointerId);
      if (before === undefined) return read(baseAt(at));
      if (down.size === 2) pinch(down, event.pointerId, at);
      else if (before !== at) pan(baseAt(before) - baseAt(at));
      down.set(event.pointerId, at);
    });
    detail.addEventListener("click", (event) => read(baseAt(place(event, detail))));
    for (const kind of ["pointerup", "pointercancel"]) detail.addEventListener(kind, (event) => down.delete(event.pointerId));
    detail.addEventListener("dblclick", (event) => zoom(0.5, baseAt(place(event, detail))));
    detail.addEventListener("wheel", turnWheel, { passive: false });
  }

  function pinch(down, moved, at) {
    const [other] = [...down].filter(([id]) => id !== moved).map(([, x]) => x);
    const before = Math.max(10, Math.abs(down.get(moved) - other)), now = Math.max(10, Math.abs(at - other));
    zoom(before / now, baseAt(other));
  }

  // The wheel scrolls the page, and zooms where the view was chosen or Ctrl is held, as a pinch on a touchpad does.
  function turnWheel(event) {
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan(((view.to - view.from) * event.deltaX) / 600);
    else if (event.ctrlKey || document.activeElement === detail) zoom(Math.exp(event.deltaY / 400), baseAt(place(event, detail)));
    else return;
    event.preventDefault();
  }

  function pressKey(event) {
    const wide = view.to - view.from, cursor = view.cursor ?? Math.floor((view.from + view.to) / 2);
    const keys = {
      ArrowLeft: () => (event.shiftKey ? step(cursor - 1) : pan(-wide / 8)),
      ArrowRight: () => (event.shiftKey ? step(cursor + 1) : pan(wide / 8)),
      "+": () => zoom(0.7), "=": () => zoom(0.7), "-": () => zoom(1 / 0.7),
      Home: () => showStretch(0, wide), End: () => showStretch(length - wide, length), 0: () => showStretch(0, length),
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  }

  function step(base) {
    const wide = view.to - view.from;
    if (base < view.from || base + 1 > view.to) showStretch(base - wide / 2, base + wide / 2);
    read(base);
  }

  function jumpInOverview(event) {
    if (event.type === "pointermove" && event.buttons === 0) return;
    const wide = view.to - view.from, middle = (place(event, overview) / overview.clientWidth) * length;
    const from = clamp(middle - wide / 2, 0, length - wide);
    showStretch(from, from + wide);
  }

  // ---- The address --------------------------------------------------------------------------------

  const SHARED = ["q", "motif", "score", "share", "kind", "sort", "page", "size", "w", "from", "to", "at"];
  const START = { ...state };

  function keepAddress() {
    const entries = SHARED.filter((name) => state[name] !== START[name] && state[name] !== null).map((name) => [name, state[name]]);
    if (ready) history.replaceState(null, "", entries.length ? `#${new URLSearchParams(entries)}` : location.pathname + location.search);
  }

  function readAddress() {
    const given = new URLSearchParams(location.hash.slice(1));
    for (const name of SHARED) if (given.has(name)) state[name] = typeof START[name] === "string" ? given.get(name) : Number(given.get(name));
    if (!(state.size in { 10: 0, 25: 0, 100: 0 })) state.size = START.size;
    if (!Number.isInteger(state.page)) state.page = 0;
    if (!Number.isInteger(state.w) || state.w < 0 || state.w >= total) state.w = null;
    return { from: state.from, to: state.to, at: state.at };
  }

  // ---- Start --------------------------------------------------------------------------------------

  function listen() {
    for (const name of ["q", "motif", "score", "share", "kind", "size"]) {
      byId(name).value = state[name];
      byId(name).addEventListener("input", () => {
        state[name] = name === "size" ? Number(byId(name).value) : byId(name).value;
        state.page = 0;
        showTable();
      });
    }
    for (const heading of byId("table").querySelectorAll("th")) heading.querySelector("button").addEventListener("click", () => {
      const column = heading.dataset.column, falls = state.sort === column || (state.sort !== `-${column}` && COLUMNS[column].of);
      state.sort = falls ? `-${column}` : column;
      showTable();
    });
    const presses = { before: () => turn(-1), after: () => turn(1), closer: () => zoom(0.6), wider: () => zoom(1 / 0.6), left: () => pan((view.from - view.to) / 4), right: () => pan((view.to - view.from) / 4), whole: () => showStretch(0, length), peak: showStrongest };
    for (const [id, press] of Object.entries(presses)) byId(id).addEventListener("click", press);
    for (const button of document.querySelectorAll("button[data-row]")) button.addEventListener("click", () => openWindow(Number(button.dataset.row), true));
    followPointers();
    detail.addEventListener("keydown", pressKey);
    for (const kind of ["pointerdown", "pointermove"]) overview.addEventListener(kind, jumpInOverview);
    window.addEventListener("resize", draw);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  }

  function turn(pages) {
    state.page += pages;
    showTable();
  }

  let ready = false;
  motifs.forEach((name, i) => byId("motif").append(make("option", name, { value: String(i) })));
  const asked = readAddress();
  for (const hidden of document.querySelectorAll("[data-needs-script]")) hidden.hidden = false;
  listen();
  chooseRows();
  if (total) openWindow(state.w ?? rows.find((row) => lettersAt.has(row)) ?? rows[0] ?? 0, false);
  if (view.letters && Number.isFinite(asked.from) && asked.from !== null && asked.to > asked.from) showStretch(asked.from, asked.to);
  if (view.letters && Number.isFinite(asked.at) && asked.at !== null) read(asked.at);
  showTable();
  ready = true;
})();
