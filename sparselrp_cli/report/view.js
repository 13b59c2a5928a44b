
  // ---- The view of a window: letters on a canvas, marks above them, genes below --------------------

  const LEAST_SHOWN = 16, FIRST_SHOWN = 80;
  const view = { row: null, letters: null, marks: [], genes: null, highlight: null, from: 0, to: 0, cursor: null, top: 1, low: 0 };
  const detail = byId("detail"), overview = byId("overview"), READING = byId("reading").textContent;
  const BAND = 14, TRACK = 130, AXIS = 22, MARGIN = 52, LANE = 28, MOST_LANES = 6, EVERY = 40;

  const FONT = "11px system-ui, sans-serif";
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const palette = () => Object.fromEntries(["A", "C", "G", "T", "ink", "soft", "line", "hit", "chosen", "marked", "gene", "paper", "link"].map((name) => [name, colour(name)]));

  function openWindow(row, focus) {
    state.w = view.row = row;
    view.letters = own.hasLetters(row) ? own.letters(row) : null;
    view.marks = own.marks(row);
    view.genes = own.genes(row);
    view.highlight = own.highlight(row);
    view.cursor = state.at = null;
    byId("view").hidden = false;
    byId("which").textContent = `${windows.name[row]} · ${placeOf(row)} (${windows.strand[row]})`;
    byId("accounts").textContent = own.accounts(row);
    byId("none").hidden = view.letters !== null;
    byId("drawn").hidden = view.letters === null;
    if (view.letters) {
      const each = view.letters.tracks.map((track) => track.values);
      view.top = Math.max(1e-12, ...each.map((values) => values.reduce((a, b) => Math.max(a, b), 0)));
      view.low = Math.min(0, ...each.map((values) => values.reduce((a, b) => Math.min(a, b), 0)));
      byId("reading").textContent = READING;
      showStrongest();
    } else byId("none").textContent = own.missing(row);
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
    const middle = view.highlight ? (view.highlight[0] + view.highlight[1]) / 2 : densest(view.letters.tracks[0].values, Math.min(wide, 24)) + 12;
    const from = clamp(middle - wide / 2, 0, length - wide);
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
    pen.font = FONT;
    return { pen, wide, high, ratio };
  }

  // Marks in as many lanes as they and their names need where they are drawn.
  function laid(pen, found, x) {
    const ends = [];
    return found.filter((mark) => mark.end > view.from && mark.start < view.to).map((mark) => {
      const left = x(Math.max(mark.start, view.from)), right = Math.max(left + 3, x(Math.min(mark.end, view.to)));
      let lane = ends.findIndex((end) => end <= left);
      if (lane < 0) lane = ends.push(0) - 1;
      ends[lane] = Math.max(right, left + pen.measureText(mark.label).width) + 8;
      return { ...mark, left, right, lane };
    });
  }

  // Genes that are shown, the nearest to the centre first, as many as lanes hold.
  function laidGenes(pen, x) {
    const shown = (view.genes || []).filter((gene) => gene.end > view.from && gene.start < view.to);
    const marks = shown.map((gene) => ({ ...gene, label: geneLabel(gene) })).sort((a, b) => a.start - b.start);
    return laid(pen, marks, x).filter((mark) => mark.lane < MOST_LANES);
  }

  const geneLabel = ({ name, strand }) => (strand === "-" ? `◂ ${name}` : strand === "+" ? `${name} ▸` : name);

  function draw() {
    if (!view.letters) return;
    const wide = Math.max(50, detail.clientWidth) - MARGIN, per = wide / (view.to - view.from);
    const x = (base) => MARGIN + (base - view.from) * per;
    const measuring = detail.getContext("2d");
    measuring.font = FONT;
    const marks = laid(measuring, view.marks, x), lanes = Math.max(1, ...marks.map((mark) => mark.lane + 1));
    const placed = laidGenes(measuring, x), below = view.genes ? LANE * Math.max(1, ...placed.map((gene) => gene.lane + 1)) + 4 : 0;
    const top = 2 * BAND * lanes, { tracks } = view.letters, floor = top + TRACK * tracks.length;
    const canvas = prepared(detail, floor + below + AXIS), inks = palette();
    if (view.highlight) {
      canvas.pen.fillStyle = inks.marked;
      canvas.pen.fillRect(Math.max(MARGIN, x(view.highlight[0])), 0, x(view.highlight[1]) - Math.max(MARGIN, x(view.highlight[0])), floor);
    }
    for (const mark of marks) drawHit(canvas.pen, mark, inks);
    tracks.forEach((track, i) => drawTrack(canvas, track, top + TRACK * i, x, per, inks));
    if (view.genes) drawGenes(canvas, placed, floor, x, inks);
    drawAxis(canvas, x, inks);
    drawOverview(inks);
    detail.setAttribute("aria-label", `Relevance of ${placeOf(view.row)}, shown from ${grouped(windows.start[view.row] + Math.floor(view.from) + 1)} to ${grouped(windows.start[view.row] + Math.ceil(view.to))}`);
  }

  function drawHit(pen, mark, inks) {
    const y = 2 * BAND * mark.lane;
    pen.fillStyle = inks.hit;
    pen.fillRect(mark.left, y + BAND + 3, mark.right - mark.left, 5);
    pen.fillStyle = inks.ink;
    pen.fillText(mark.label, mark.left, y + BAND - 1);
  }

  // Exons are boxes, high where they are coding, on a line with chevrons along the strand.
  function drawGenes({ pen, wide }, placed, y, x, inks) {
    pen.fillStyle = inks.soft;
    pen.fillText("genes", 0, y + 14);
    if (!placed.length) pen.fillText("none here", MARGIN, y + 14);
    pen.save();
    pen.beginPath();
    pen.rect(MARGIN, y, wide - MARGIN, LANE * MOST_LANES);
    pen.clip();
    for (const gene of placed) drawGene(pen, gene, y + LANE * gene.lane + 8, x, inks);
    pen.restore();
  }

  function drawGene(pen, gene, middle, x, inks) {
    const box = ([from, to], half) => pen.fillRect(x(from), middle - half, Math.max(1, x(to) - x(from)), 2 * half);
    pen.fillStyle = pen.strokeStyle = inks.soft;
    pen.fillRect(gene.left, middle - 0.5, gene.right - gene.left, 1);
    for (let at = gene.left + EVERY / 2; gene.strand !== "." && at < gene.right; at += EVERY) {
      const way = gene.strand === "+" ? 3 : -3;
      pen.beginPath();
      pen.moveTo(at - way, middle - 3);
      pen.lineTo(at, middle);
      pen.lineTo(at - way, middle + 3);
      pen.stroke();
    }
    pen.fillStyle = inks.gene;
    for (const block of gene.blocks) box(block, 3);
    for (const block of gene.thick) box(block, 5);
    pen.fillStyle = inks.ink;
    pen.fillText(gene.label, gene.left, middle + 16);
  }

  function drawTrack({ pen, wide, ratio }, track, y, x, per, inks) {
    const scale = (TRACK - 16) / (view.top - view.low), zero = y + 8 + view.top * scale;
    if (view.cursor !== null) {
      pen.fillStyle = inks.chosen;
      pen.fillRect(x(view.cursor), y, Math.max(1, per), TRACK);
    }
    pen.fillStyle = inks.soft;
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
    drawName(pen, track.label, y, inks);
  }

  // On a ground of its own, for a long name lies over letters.
  function drawName(pen, name, y, inks) {
    const shown = name.length > 24 ? `${name.slice(0, 23)}…` : name, wide = pen.measureText(shown).width;
    pen.fillStyle = inks.paper;
    if (wide > MARGIN - 4) pen.fillRect(0, y + 3, wide + 6, 15);
    pen.fillStyle = inks.soft;
    pen.fillText(shown, 0, y + 14);
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
    pen.fillStyle = inks.marked;
    if (view.highlight) pen.fillRect(view.highlight[0] * each, 0, (view.highlight[1] - view.highlight[0]) * each, high);
    const scale = (high - 16) / (view.top - view.low), zero = 12 + view.top * scale;
    drawBars(pen, view.letters.tracks[0].values, zero, scale, 0, wide, 0, length, inks.ink);
    pen.fillStyle = inks.hit;
    for (const hit of view.marks) pen.fillRect(hit.start * each, 2, Math.max(2, (hit.end - hit.start) * each), 5);
    pen.strokeStyle = inks.link;
    pen.lineWidth = 1.5;
    pen.strokeRect(Math.max(1, view.from * each), 1, Math.max(3, (view.to - view.from) * each - 2), high - 2);
  }

  function read(base) {
    view.cursor = state.at = clamp(Math.floor(base), 0, length - 1);
    const at = view.cursor, { tracks, bases } = view.letters;
    const values = tracks.map((track) => `${track.label} ${short(track.values[at])}`).join(", ");
    const covers = (found) => found.start <= at && at < found.end;
    const here = view.marks.filter(covers).map((hit) => hit.said), over = (view.genes || []).filter(covers).map(geneLabel);
    byId("reading").textContent = `${chromOf(view.row)}:${grouped(windows.start[view.row] + at + 1)} ${LETTERS[bases[at]]}: ${values}` +
      (here.length ? `; hit: ${here.join(", ")}` : "") + (over.length ? `; gene: ${over.join(", ")}` : "");
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

