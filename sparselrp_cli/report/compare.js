
  // ---- The comparison: the first run beside another, window by window -------------------------------

  const { labels, sites } = data;
  const pair = () => data.pairs[state.pair] || data.pairs[0];
  const chosenRun = () => 1 + clamp(Number(state.pair) || 0, 0, data.pairs.length - 1);
  const doubted = (row) => data.doubts.filter((_, i) => windows.doubt[row] & (1 << i)).join(", ");
  const signed = (value) => (value > 0 ? `+${short(value)}` : short(value));
  const lettersAt = new Map(data.letters.map(([row, bases, ...maps]) => [row, { bases, maps }]));

  function sitesByWindow() {
    const found = Array.from({ length: total }, () => []);
    if (sites) sites.row.forEach((row, i) => found[row].push({ start: sites.start[i], end: sites.end[i], motif: sites.motif[i], at: i }));
    return found;
  }

  const windowSites = sitesByWindow();
  const sumsAt = (i) => [sites.sums[0][i], sites.sums[chosenRun()][i]];

  // Motifs of a window, the one whose contribution differs most first.
  function motifsOf(row) {
    return namesByCount(windowSites[row].map(({ motif, at }) => ({ motif, weight: Math.abs(sumsAt(at)[1] - sumsAt(at)[0]) })));
  }
  const named = (row) => motifsOf(row).slice(0, 3).map((motif) => sites.names[motif]).join(", ");

  const KINDS = {
    all: () => true,
    letters: (row) => lettersAt.has(row),
    more: (row) => pair().score_difference[row] > 0,
    less: (row) => pair().score_difference[row] < 0,
    doubtful: (row) => windows.doubt[row] > 0,
  };

  function spanOf(row) {
    const from = pair().span_start[row];
    return from === null ? null : [from, from + data.span];
  }

  function showLabels() {
    for (const [id, run] of [["run-a", 0], ["run-b", chosenRun()]]) for (const element of document.querySelectorAll(`.${id}`)) element.textContent = labels[run];
  }

  const own = {
    state: { sort: "-differs", pair: "0", motif: "", share: "", kind: "all" },
    filters: ["pair", "motif", "share", "kind"],
    changed: {
      pair() {
        showLabels();
        if (view.row !== null) openWindow(view.row, false);
      },
    },
    columns: {
      region: { compare: (a, b) => windows.chrom[a] - windows.chrom[b] || windows.start[a] - windows.start[b] },
      name: { compare: (a, b) => windows.name[a].localeCompare(windows.name[b], "en", { numeric: true }) },
      a: { of: () => pair().score_a },
      b: { of: () => pair().score_b },
      score: { of: () => pair().score_difference },
      correlation: { of: () => pair().correlation },
      differs: { of: () => pair().differing_share },
      span: { of: () => pair().span_difference },
      motifs: { compare: (a, b) => named(b).localeCompare(named(a), "en") },
      doubt: { of: () => windows.doubt },
    },
    tests() {
      const motif = state.motif === "" ? null : Number(state.motif);
      return [
        KINDS[state.kind] || KINDS.all, atLeast(pair().differing_share, state.share, 0.01),
        (row) => motif === null || windowSites[row].some((site) => site.motif === motif),
      ];
    },
    cells(row) {
      const p = pair(), span = spanOf(row);
      const where = span ? `${signed(p.span_difference[row])} from ${grouped(windows.start[row] + span[0] + 1)}` : "–";
      const numbers = [short(p.score_a[row]), short(p.score_b[row]), signed(p.score_difference[row]), short(p.correlation[row]), percent(p.differing_share[row]), where];
      const words = [...(sites ? [named(row)] : []), doubted(row)];
      return [...numbers.map((text) => [text, "number"]), ...words.map((text) => [text, "wraps"])];
    },
    text: (row) => `${sites ? motifsOf(row).map((m) => sites.names[m]).join(" ") : ""} ${doubted(row)}`,
    accounts(row) {
      const p = pair(), b = labels[chosenRun()];
      return `score ${short(p.score_a[row])} in ${labels[0]} and ${short(p.score_b[row])} in ${b}; ${percent(p.differing_share[row])} of the relevance differs, ` +
        `correlation of the maps ${short(p.correlation[row])}. Shaded: the ${data.span} bp that differ most, ${signed(p.span_difference[row])} in all.` +
        (doubted(row) ? ` To doubt in one of the runs: ${doubted(row)}.` : "");
    },
    hasLetters: (row) => lettersAt.has(row),
    letters(row) {
      const { bases, maps } = lettersAt.get(row), run = chosenRun();
      const [a, b] = [0, run].map((i) => valuesOf(...maps[i]));
      const tracks = [{ label: labels[0], values: a }, { label: labels[run], values: b }, { label: "difference", values: b.map((value, i) => value - a[i]) }];
      return { tracks, bases: basesOf(bases) };
    },
    missing: (row) => `The letters of this window aren't in the page. sparselrp plot ${data.archives[0]} ${chromOf(row)}:${windows.start[row] + 1}-${windows.start[row] + length} --with ${data.archives[chosenRun()]} -o window.svg draws them.`,
    marks: (row) => windowSites[row].map(({ start: from, end, motif, at }) => {
      const [a, b] = sumsAt(at);
      return { start: from, end, motif, label: sites.names[motif], said: `${sites.names[motif]} (${labels[0]} ${short(a)}, ${labels[chosenRun()]} ${short(b)})` };
    }),
    genes: () => null,
    highlight: spanOf,
  };

  const start = { q: "", ...own.state, page: 0, size: 10, w: null, from: null, to: null, at: null };
  const state = { ...start };
  if (byId("motif")) sites.names.forEach((name, i) => byId("motif").append(make("option", name, { value: String(i) })));
  begin();
  showLabels();
