
  // ---- The report ----------------------------------------------------------------------------------

  const { hits, motifs, genes } = data;
  const DOUBTS = data.doubts;

  function hitsByWindow() {
    const found = Array.from({ length: total }, () => []);
    hits.row.forEach((row, i) => found[row].push({
      start: hits.start[i], end: hits.end[i], motif: hits.motif[i], strand: hits.strand[i],
      relevance: hits.relevance[i], name: motifs[hits.motif[i]], weight: Math.abs(hits.relevance[i]),
    }));
    return found;
  }

  const windowHits = hitsByWindow();
  // Motifs of a window, the one with most relevance in its hits first.
  const windowMotifs = windowHits.map(namesByCount);
  const named = (row) => windowMotifs[row].slice(0, 3).map((motif) => motifs[motif]).join(", ");
  // The strongest first, where they lie on the chromosome, counted from one.
  const hitPlaces = (row) => [...windowHits[row]].sort((a, b) => b.weight - a.weight).slice(0, 5)
    .map((hit) => `${hit.name} ${hit.strand} at ${grouped(windows.start[row] + hit.start + 1)}-${grouped(windows.start[row] + hit.end)}`)
    .join(", ") + (windowHits[row].length > 5 ? ` and ${windowHits[row].length - 5} more` : "");
  const doubted = (row) => DOUBTS.filter((_, i) => windows.doubt[row] & (1 << i)).join(", ");

  const lettersAt = new Map(data.letters.map(([row, step, values, bases]) => [row, { step, values, bases }]));
  const unprunedAt = new Map(data.unpruned.map(([row, step, values]) => [row, { step, values }]));

  // ---- Genes

  const called = (gene) => genes.name[gene] || "without a name";
  const away = (bp) => (bp < 10000 ? `${grouped(bp)} bp` : `${grouped(Math.round(bp / 1000))} kb`);

  function geneText(row) {
    if (!genes || genes.nearest[row] < 0) return "";
    const over = genes.over[row], distance = genes.distance[row], gene = genes.nearest[row];
    if (over.length) return over.slice(0, 3).map(called).join(", ") + (genes.number[row] > 3 ? ` and ${genes.number[row] - 3} more` : "");
    const side = genes.strand[gene] === "." ? "away" : distance < 0 ? "upstream" : "downstream";
    return `${called(gene)}, ${away(Math.abs(distance))} ${side}`;
  }

  function pairsOf(flat, from) {
    return Array.from({ length: flat.length / 2 }, (_, i) => [from + flat[2 * i], from + flat[2 * i] + flat[2 * i + 1]]);
  }

  function genesOf(row) {
    if (!genes) return null;
    return genes.over[row].map((gene) => {
      const from = genes.start[gene] - windows.start[row];
      return {
        name: genes.name[gene], strand: genes.strand[gene], start: from, end: genes.end[gene] - windows.start[row],
        blocks: pairsOf(genes.blocks[gene], from), thick: pairsOf(genes.thick[gene], from),
      };
    });
  }

  const KINDS = {
    all: () => true,
    letters: (row) => lettersAt.has(row),
    hits: (row) => windowHits[row].length > 0,
    none: (row) => windowHits[row].length === 0,
    doubtful: (row) => windows.doubt[row] > 0,
  };

  const own = {
    state: { sort: "-score", motif: "", score: "", share: "", kind: "all" },
    filters: ["motif", "score", "share", "kind"],
    columns: {
      region: { compare: (a, b) => windows.chrom[a] - windows.chrom[b] || windows.start[a] - windows.start[b] },
      name: { compare: (a, b) => windows.name[a].localeCompare(windows.name[b], "en", { numeric: true }) },
      score: { of: () => windows.score },
      explained: { of: () => windows.explained },
      error: { of: () => windows.error },
      unknown: { of: () => windows.unknown },
      doubt: { of: () => windows.doubt },
      motifs: { compare: (a, b) => named(b).localeCompare(named(a), "en") || windowHits[a].length - windowHits[b].length },
      // Those over a window first, then by distance.
      gene: { compare: (a, b) => Math.abs(genes.distance[a]) - Math.abs(genes.distance[b]) || geneText(a).localeCompare(geneText(b), "en") },
    },
    tests() {
      const motif = state.motif === "" ? null : Number(state.motif);
      return [
        KINDS[state.kind] || KINDS.all, atLeast(windows.score, state.score, 1), atLeast(windows.explained, state.share, 0.01),
        (row) => motif === null || windowMotifs[row].includes(motif),
      ];
    },
    cells(row) {
      const numbers = [short(windows.score[row]), percent(windows.explained[row]), short(windows.error[row]), percent(windows.unknown[row])];
      const words = [named(row), ...(genes ? [geneText(row)] : []), doubted(row)];
      return [...numbers.map((text) => [text, "number"]), ...words.map((text) => [text, "wraps"])];
    },
    text: (row) => `${windowMotifs[row].map((m) => motifs[m]).join(" ")} ${geneText(row)} ${doubted(row)}`,
    accounts: (row) => `score ${short(windows.score[row])}, share explained ${percent(windows.explained[row])}, ` +
      `conservation error ${short(windows.error[row])}, ${percent(windows.zero[row])} of the bases exactly zero` +
      (hitPlaces(row) ? `; hits: ${hitPlaces(row)}` : "") + (geneText(row) ? `; genes: ${geneText(row)}` : "") +
      (doubted(row) ? `. To doubt: ${doubted(row)}` : ""),
    hasLetters: (row) => lettersAt.has(row),
    letters(row) {
      const packed = lettersAt.get(row), twin = unprunedAt.get(row);
      const tracks = [{ label: twin ? "pruned" : "relevance", values: valuesOf(packed.step, packed.values) }];
      if (twin) tracks.push({ label: "unpruned", values: valuesOf(twin.step, twin.values) });
      return { tracks, bases: basesOf(packed.bases) };
    },
    missing: (row) => `The letters of this window aren't in the page. sparselrp plot ${data.archive} ${chromOf(row)}:${windows.start[row] + 1}-${windows.start[row] + length} -o window.svg draws them.`,
    marks: (row) => windowHits[row].map((hit) => ({ ...hit, label: `${hit.name} ${hit.strand}`, said: `${hit.name} ${hit.strand} (relevance ${short(hit.relevance)})` })),
    genes: genesOf,
    left: (row) => (genes ? genes.number[row] - genes.over[row].length : 0),
    highlight: () => null,
  };

  const start = { q: "", ...own.state, page: 0, size: 10, w: null, from: null, to: null, at: null };
  const state = { ...start };
  motifs.forEach((name, i) => byId("motif").append(make("option", name, { value: String(i) })));
  begin();
