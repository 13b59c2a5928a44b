
  // ---- The table of windows, and the address that keeps what is shown ------------------------------
  // `own` is what a page has of its own: columns and filters of its table, tracks and words of its view.

  let rows = [], ready = false;

  function comparing() {
    const falling = state.sort.startsWith("-");
    const column = own.columns[state.sort.replace("-", "")] || own.columns[own.state.sort.replace("-", "")];
    const compare = column.compare || ((a, b) => (column.of()[a] ?? -Infinity) - (column.of()[b] ?? -Infinity));
    return (a, b) => (falling ? -compare(a, b) : compare(a, b)) || a - b;
  }

  // A place finds the windows that touch it, other words are looked for in what the page says of a window.
  function searching(text) {
    const place = /^\s*(.+):([\d,]+)(?:-([\d,]+))?\s*$/.exec(text);
    const number = (digits) => Number(digits.replaceAll(",", ""));
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const inPlace = place && ((row) =>
      chromOf(row) === place[1] && windows.start[row] < number(place[3] || place[2]) &&
      windows.start[row] + length >= number(place[2]));
    const inText = (row) => {
      const held = `${placeOf(row)} ${windows.name[row]} ${own.text(row)}`.toLowerCase();
      return words.every((word) => held.includes(word));
    };
    return (row) => Boolean(inPlace && inPlace(row)) || inText(row);
  }

  const atLeast = (values, text, unit) => (row) => text === "" || Number.isNaN(Number(text)) || values[row] >= Number(text) * unit;

  function chooseRows() {
    const tests = [...own.tests(), ...(state.q ? [searching(state.q)] : [])];
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
    for (const [text, kind] of own.cells(row)) line.append(make("td", text, { class: kind }));
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

  function sortBy(column) {
    const falls = state.sort === column || (state.sort !== `-${column}` && own.columns[column].of);
    state.sort = falls ? `-${column}` : column;
    showTable();
  }

  function turn(pages) {
    state.page += pages;
    showTable();
  }

  function keepAddress() {
    const entries = Object.keys(start).filter((name) => state[name] !== start[name] && state[name] !== null).map((name) => [name, state[name]]);
    if (ready) history.replaceState(null, "", entries.length ? `#${new URLSearchParams(entries)}` : location.pathname + location.search);
  }

  function readAddress() {
    const given = new URLSearchParams(location.hash.slice(1));
    for (const name of Object.keys(start)) if (given.has(name)) state[name] = typeof start[name] === "string" ? given.get(name) : Number(given.get(name));
    if (!(state.size in { 10: 0, 25: 0, 100: 0 })) state.size = start.size;
    if (!Number.isInteger(state.page)) state.page = 0;
    if (!Number.isInteger(state.w) || state.w < 0 || state.w >= total) state.w = null;
    return { from: state.from, to: state.to, at: state.at };
  }

  function listen() {
    for (const name of ["q", ...own.filters, "size"]) {
      if (!byId(name)) continue;
      byId(name).value = state[name];
      byId(name).addEventListener("input", () => {
        state[name] = name === "size" ? Number(byId(name).value) : byId(name).value;
        state.page = 0;
        if (name in (own.changed || {})) own.changed[name]();
        showTable();
      });
    }
    for (const heading of byId("table").querySelectorAll("th")) heading.querySelector("button").addEventListener("click", () => sortBy(heading.dataset.column));
    const presses = { before: () => turn(-1), after: () => turn(1), closer: () => zoom(0.6), wider: () => zoom(1 / 0.6), left: () => pan((view.from - view.to) / 4), right: () => pan((view.to - view.from) / 4), whole: () => showStretch(0, length), peak: showStrongest };
    for (const [id, press] of Object.entries(presses)) byId(id).addEventListener("click", press);
    for (const button of document.querySelectorAll("button[data-row]")) button.addEventListener("click", () => openWindow(Number(button.dataset.row), true));
    followPointers();
    detail.addEventListener("keydown", pressKey);
    for (const kind of ["pointerdown", "pointermove"]) overview.addEventListener(kind, jumpInOverview);
    window.addEventListener("resize", draw);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  }

  function begin() {
    const asked = readAddress();
    for (const hidden of document.querySelectorAll("[data-needs-script]")) hidden.hidden = false;
    // In the page itself a date would make equal runs differ.
    const date = new Date(document.lastModified);
    byId("dated").textContent = `The file of this page is of ${date.toLocaleDateString("en", { day: "numeric", month: "long", year: "numeric" })}.`;
    listen();
    chooseRows();
    if (total) openWindow(state.w ?? rows.find((row) => own.hasLetters(row)) ?? rows[0] ?? 0, false);
    if (view.letters && Number.isFinite(asked.from) && asked.from !== null && asked.to > asked.from) showStretch(asked.from, asked.to);
    if (view.letters && Number.isFinite(asked.at) && asked.at !== null) read(asked.at);
    showTable();
    ready = true;
  }
