"use strict";
(() => {
  const body = document.querySelector("#changes tbody");
  const rows = [...body.rows].map((row, index) => ({
    row, index,
    text: row.textContent.toLowerCase(),
    cells: [...row.cells].map((cell) => (cell.dataset.sort ?? cell.textContent).toLowerCase()),
  }));
  const search = document.querySelector("#search");
  const kind = document.querySelector("#kind");
  const sort = document.querySelector("#sort");
  const shown = document.querySelector("#shown");
  const marks = [...document.querySelectorAll("[data-only]")];
  const heads = [...document.querySelectorAll("#changes th")];
  const order = new Intl.Collator("en", { numeric: true });

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const only = new Set(marks.filter((b) => b.getAttribute("aria-pressed") === "true").map((b) => b.dataset.only));
    let count = 0;
    for (const { row, text } of rows) {
      const fits = (only.size === 0 || only.has(row.dataset.mark)) &&
        (kind.value === "" || row.dataset.kind === kind.value) && words.every((word) => text.includes(word));
      row.hidden = !fits;
      if (fits) count += 1;
    }
    shown.textContent = count === rows.length ? `${count} changes` : `${count} of ${rows.length} changes`;
  };

  const sortBy = (column, direction) => {
    const sorted = [...rows];
    if (column !== null) {
      const sign = direction === "descending" ? -1 : 1;
      sorted.sort((a, b) => sign * order.compare(a.cells[column], b.cells[column]) || a.index - b.index);
    }
    body.append(...sorted.map(({ row }) => row));
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
  filter();
})();
