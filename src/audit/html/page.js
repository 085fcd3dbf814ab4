"use strict";
(() => {
  const lower = (text) => text.toLowerCase();
  const groups = [...document.querySelectorAll("#changes tbody")].map((body) => {
    const button = body.querySelector(".group button");
    const name = lower(button.textContent);
    const rows = [...body.rows].slice(1).map((row, index) => ({
      row, index,
      text: `${name} ${lower(row.textContent)}`,
      cells: [...row.cells].map((cell) => lower(cell.dataset.sort ?? cell.textContent)),
    }));
    return { body, button, rows };
  });
  const total = groups.reduce((sum, { rows }) => sum + rows.length, 0);
  const search = document.querySelector("#search");
  const kind = document.querySelector("#kind");
  const sort = document.querySelector("#sort");
  const fold = document.querySelector("#fold");
  const shown = document.querySelector("#shown");
  const marks = [...document.querySelectorAll("[data-only]")];
  const heads = [...document.querySelectorAll("#changes thead th")];
  const order = new Intl.Collator("en", { numeric: true });

  const setFolded = ({ body, button }, folded) => {
    body.classList.toggle("folded", folded);
    button.setAttribute("aria-expanded", String(!folded));
  };

  const filter = () => {
    const words = lower(search.value).split(/\s+/).filter(Boolean);
    const only = new Set(marks.filter((b) => b.getAttribute("aria-pressed") === "true").map((b) => b.dataset.only));
    const all = only.size === 0 && kind.value === "" && words.length === 0;
    let count = 0;
    for (const { body, rows } of groups) {
      let inGroup = 0;
      for (const { row, text } of rows) {
        const fits = (only.size === 0 || only.has(row.dataset.mark)) &&
          (kind.value === "" || row.dataset.kind === kind.value) && words.every((word) => text.includes(word));
        row.hidden = !fits;
        if (fits) inGroup += 1;
      }
      body.hidden = inGroup === 0;
      // What was looked for is shown, folded or not.
      body.classList.toggle("found", !all);
      count += inGroup;
    }
    shown.textContent = count === total ? `${count} changes` : `${count} of ${total} changes`;
  };

  const sortBy = (column, direction) => {
    const sign = direction === "descending" ? -1 : 1;
    for (const { body, rows } of groups) {
      const sorted = [...rows];
      if (column !== null) {
        sorted.sort((a, b) => sign * order.compare(a.cells[column], b.cells[column]) || a.index - b.index);
      }
      body.append(...sorted.map(({ row }) => row));
    }
    heads.forEach((head, index) => {
      if (index === column) head.setAttribute("aria-sort", direction); else head.removeAttribute("aria-sort");
    });
    sort.value = column === null ? "" : String(column);
  };

  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const now = head.getAttribute("aria-sort");
    if (now === "descending") sortBy(null); else sortBy(column, now === "ascending" ? "descending" : "ascending");
  }));
  sort.addEventListener("change", () => sortBy(sort.value === "" ? null : Number(sort.value), "ascending"));
  search.addEventListener("input", filter);
  kind.addEventListener("change", filter);
  for (const mark of marks) {
    mark.addEventListener("click", () => {
      mark.setAttribute("aria-pressed", String(mark.getAttribute("aria-pressed") !== "true"));
      filter();
    });
  }
  for (const group of groups) {
    group.button.addEventListener("click", () => setFolded(group, group.button.getAttribute("aria-expanded") === "true"));
  }
  fold.addEventListener("click", () => {
    const folded = fold.getAttribute("aria-pressed") !== "true";
    fold.setAttribute("aria-pressed", String(folded));
    groups.forEach((group) => setFolded(group, folded));
  });
  // Of many workspaces those are open that are to be looked at.
  if (groups.length > 12) {
    groups.filter(({ body }) => "quiet" in body.dataset).forEach((group) => setFolded(group, true));
  }
  filter();
})();
