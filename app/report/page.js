"use strict";
// Sorts the table by a column's keys; switches lines, and shows one's interval; copies; opens what is folded for print.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((each) => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows], key = (row) => row.cells[column].dataset.key;
    const value = (text) => text === "inf" ? Infinity : text === "-inf" ? -Infinity : Number(text);
    const numbers = rows.every((row) => key(row) !== "" && (key(row) === "nan" || !Number.isNaN(value(key(row)))));
    rows.sort((one, other) => {
      if (!numbers) return (down ? -1 : 1) * key(one).localeCompare(key(other), undefined, { numeric: true });
      const [a, b] = [value(key(one)), value(key(other))];
      // What is no number comes last in both directions.
      if (!Number.isFinite(a) || !Number.isFinite(b)) return Number.isFinite(b) - Number.isFinite(a);
      return (down ? -1 : 1) * (a - b);
    });
    table.tBodies[0].append(...rows);
  }));
}
const panels = document.querySelector(".panels");
for (const button of document.querySelectorAll(".legend button")) {
  const lines = panels.querySelectorAll(`[data-line="${button.dataset.line}"]`);
  const light = (on) => {
    panels.classList.toggle("lit", on && button.getAttribute("aria-pressed") === "true");
    for (const line of lines) line.classList.toggle("lit", on);
  };
  for (const event of ["pointerenter", "focus"]) button.addEventListener(event, () => light(true));
  for (const event of ["pointerleave", "blur"]) button.addEventListener(event, () => light(false));
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", on);
    for (const line of lines) line.classList.toggle("off", !on);
    light(on);
  });
}
for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy), status = button.parentElement.querySelector("[role=status]");
    try {
      await navigator.clipboard.writeText(text.textContent);
      status.textContent = "copied";
    } catch {
      // A browser that keeps the clipboard from a file on disk: the text is selected for Ctrl+C.
      text.parentElement.open = true;
      getSelection().selectAllChildren(text);
      status.textContent = "selected: press Ctrl+C";
    }
  });
}
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  opened.forEach((each) => { each.open = true; });
});
addEventListener("afterprint", () => opened.forEach((each) => { each.open = false; }));
