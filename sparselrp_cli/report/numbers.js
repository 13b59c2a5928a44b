  // What the pages have in common: what Python packed is unpacked here. All names come from users' files:
  // they are only ever set as text.
  const data = JSON.parse(document.getElementById("data").textContent);
  const { windows } = data;
  const { length } = windows;
  const total = windows.start.length;
  const byId = (id) => document.getElementById(id);
  const PACKED = 3, LETTERS = "ACGTN";
  const OUTLINES = Object.fromEntries(Object.entries(data.glyphs).map(([base, path]) => [base, new Path2D(path)]));

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

  const bytesOf = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));

  function valuesOf(step, text) {
    const view = new DataView(bytesOf(text).buffer);
    return Float32Array.from({ length }, (_, i) => step * view.getInt16(2 * i, true));
  }

  function basesOf(text) {
    const bytes = bytesOf(text);
    return Uint8Array.from({ length }, (_, i) => Math.floor(bytes[Math.floor(i / PACKED)] / 5 ** (2 - (i % PACKED))) % 5);
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

  function namesByCount(found) {
    const sums = new Map();
    for (const { motif, weight } of found) sums.set(motif, (sums.get(motif) || 0) + weight);
    return [...sums].sort((a, b) => b[1] - a[1]).map(([motif]) => motif);
  }
