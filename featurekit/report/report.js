"use strict";
// The page is complete without this: it only adds sorting, filtering, copying and marking, and hides columns until they are asked for.

const said = document.getElementById("said");
const textOf = (cell) => {
  const tag = cell.querySelector(".tag");
  return cell.querySelector("bdi").textContent + (tag ? ` (${tag.textContent})` : "");
};
const numberOf = (cell) => (cell.dataset.value === undefined ? null : Number(cell.dataset.value));

// A spreadsheet would run a cell that begins like a formula; a number never does.
const isNumber = /^-?\d+(\.\d+)?(e-?\d+)?$/;
const isFormula = /^[\s\u200b]*[=+\-@\uff1d\uff0b\uff0d\uff20\u2212]|^[\t\r\n]/;
function csvField(text) {
  const harmless = isFormula.test(text) && !isNumber.test(text) ? `'${text}` : text;
  return /[",\r\n']/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

const othersOf = (cell) => (cell.dataset.others ? cell.dataset.others.split("|") : []);

function csvOf(table) {
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const lines = [heads.flatMap((head) => {
    const name = head.dataset.heading;
    return [name, ...othersOf(head).map((other) => `${name}, ${other}`)];
  })];
  for (const row of table.tBodies[0].rows) {
    if (row.hidden) continue; // what was filtered away is not copied
    lines.push([...row.cells].flatMap((cell, i) => {
      const first = cell.dataset.value ?? (textOf(cell) === "—" ? "" : textOf(cell));
      const others = othersOf(cell);
      return [first, ...othersOf(heads[i]).map((_, place) => others[place] ?? "")];
    }));
  }
  return lines.map((line) => line.map(csvField).join(",")).join("\r\n") + "\r\n";
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // A page opened from a file may not be given the clipboard; the old way still works there.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "hidden";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

function copyButton(describedBy, what, csv) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy as CSV";
  button.setAttribute("aria-describedby", describedBy);
  button.addEventListener("click", async () => {
    const done = await copy(csv());
    button.textContent = done ? "Copied" : "Not copied";
    said.textContent = done ? `The ${what} was copied as CSV.` : "The browser did not allow copying.";
    setTimeout(() => { button.textContent = "Copy as CSV"; }, 2000);
    button.focus();
  });
  return button;
}

// figcaption must stay a child of its figure, so the row of its words and the button goes inside it.
function addToCaption(caption, button) {
  const head = document.createElement("div");
  head.className = "head";
  const words = document.createElement("span");
  words.append(...caption.childNodes);
  head.append(words, button);
  caption.append(head);
}

function sortBy(table, head, column) {
  const rows = [...table.tBodies[0].rows];
  const numeric = head.classList.contains("number");
  const before = head.getAttribute("aria-sort");
  // The first time, the best comes first.
  const down = before ? before === "ascending" : numeric && !head.hasAttribute("data-low");
  const turn = down ? -1 : 1;
  rows.sort((one, other) => {
    if (!numeric) return turn * textOf(one.cells[column]).localeCompare(textOf(other.cells[column]), "en", { numeric: true });
    const [a, b] = [numberOf(one.cells[column]), numberOf(other.cells[column])];
    if (a === null || b === null) return (a === null) - (b === null); // what is missing comes last either way
    return turn * (a - b);
  });
  table.tBodies[0].append(...rows);
  for (const other of table.tHead.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  said.textContent = `Sorted by ${head.dataset.heading}, ${down ? "descending" : "ascending"}.`;
}

// Every word has to occur somewhere in the row.
function filterBy(table, text, counted) {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = [...table.tBodies[0].rows];
  for (const row of rows) {
    const own = [...row.cells].map(textOf).join(" ").toLowerCase();
    row.hidden = !wanted.every((word) => own.includes(word));
  }
  const shown = rows.filter((row) => !row.hidden).length;
  said.textContent = `${shown} of ${rows.length} rows are shown.`;
  counted.textContent = !wanted.length ? "" : shown ? `${shown} of ${rows.length} rows` : "No row has these words";
}

for (const table of document.querySelectorAll("table")) {
  const box = table.closest(".scroll");
  const named = document.getElementById(table.getAttribute("aria-labelledby"));
  const title = named.textContent.trim();
  const caption = named.parentElement;
  const button = copyButton(named.id, "table", () => csvOf(table));
  if (caption.tagName === "SUMMARY") {
    box.before(button);
  } else {
    addToCaption(caption, button);
  }

  if (table.hasAttribute("data-sortable") && table.tBodies[0].rows.length >= 8) {
    const filter = document.createElement("input");
    filter.type = "search";
    filter.className = "filter";
    filter.placeholder = "Filter rows";
    filter.setAttribute("aria-label", `Filter the rows of: ${title}`);
    const counted = document.createElement("span");
    counted.className = "counted";
    counted.setAttribute("aria-hidden", "true"); // the same is said aloud
    filter.addEventListener("input", () => filterBy(table, filter.value, counted));
    button.before(counted, filter);
  }

  if (table.querySelector(".more")) {
    const widen = document.createElement("button");
    widen.type = "button";
    widen.className = "copy";
    widen.setAttribute("aria-describedby", named.id);
    widen.addEventListener("click", () => {
      const few = table.classList.toggle("few");
      widen.textContent = few ? "More columns" : "Fewer columns";
      widen.setAttribute("aria-expanded", String(!few));
    });
    widen.click();
    button.before(widen);
  }

  if (table.hasAttribute("data-sortable")) {
    const row = table.tHead.rows[table.tHead.rows.length - 1];
    [...row.cells].forEach((head, column) => {
      const sort = document.createElement("button");
      sort.type = "button";
      sort.className = "sort";
      sort.append(...head.childNodes);
      sort.addEventListener("click", () => sortBy(table, head, column));
      head.append(sort);
    });
  }

  for (const row of table.tBodies[0].rows) {
    const number = row.cells[0].querySelector("bdi").textContent.match(/^M\d+(?= ·|$)/);
    if (number) row.dataset.model = number[0];
  }

  // A column of one model.
  const heads = table.tHead.rows[table.tHead.rows.length - 1].cells;
  [...heads].forEach((head, column) => {
    const number = head.dataset.heading.match(/^M\d+(?= ·)/);
    if (!number || column === 0) return;
    for (const cell of [head, ...[...table.tBodies[0].rows].map((row) => row.cells[column])]) {
      cell.dataset.model = number[0];
    }
  });

  // Only a box that scrolls is a stop for the keyboard; in one that does not, the headings stay in sight.
  new ResizeObserver(() => {
    box.classList.remove("fits");
    const fits = box.scrollWidth <= box.clientWidth;
    box.classList.toggle("fits", fits);
    if (!fits) {
      box.tabIndex = 0;
      box.setAttribute("role", "region");
      box.setAttribute("aria-labelledby", table.getAttribute("aria-labelledby"));
    } else {
      for (const name of ["tabindex", "role", "aria-labelledby"]) box.removeAttribute(name);
    }
  }).observe(box);
}

// A model is marked wherever it is: by the pointer for as long as it is there, by the list until another choice.
function mark(number, name) {
  for (const part of document.querySelectorAll("[data-model]")) {
    part.classList.toggle(name, part.dataset.model === number);
  }
}

const numbers = [...new Set([...document.querySelectorAll("[data-model]")].map((part) => part.dataset.model))];
const bar = document.querySelector("nav");
if (numbers.length > 1) {
  const picker = document.createElement("select");
  const label = document.createElement("label");
  label.className = "picker";
  picker.add(new Option("none", ""));
  numbers.sort((one, other) => one.slice(1) - other.slice(1));
  for (const number of numbers) {
    const row = document.querySelector(`.legend tr[data-model="${number}"]`);
    picker.add(new Option(row ? `${number} · ${textOf(row.cells[1])} · ${textOf(row.cells[2])}` : number, number));
  }
  // What is folded and about the chosen model is unfolded for as long as it is chosen.
  let unfolded = [];
  picker.addEventListener("change", () => {
    mark(picker.value, "picked");
    for (const details of unfolded) details.open = false;
    unfolded = picker.value ? [...document.querySelectorAll("details:not([open])")].filter((details) =>
      details.querySelector("summary").textContent.includes(` of ${picker.value} · `)
      || details.querySelector("th[data-heading].picked")) : [];
    for (const details of unfolded) details.open = true;
    const found = document.querySelectorAll("tr.picked, thead .picked, .plot.wide .picked").length;
    said.textContent = picker.value ? `${picker.value} is marked in ${found} rows, columns and figures.` : "No model is marked.";
  });
  label.append("Mark a model ", picker);
  bar.append(label);
  for (const part of document.querySelectorAll("[data-model]")) {
    part.addEventListener("pointerenter", () => mark(part.dataset.model, "lit"));
    part.addEventListener("pointerleave", () => mark("", "lit"));
  }
}

// Headings and links stop below the bar, however many lines it has.
new ResizeObserver(() => {
  document.documentElement.style.setProperty("--bar", `${bar.offsetHeight}px`);
}).observe(bar);

// A figure brings its numbers with it.
for (const plot of document.querySelectorAll(".plot.wide")) {
  const figure = plot.closest(".block");
  const caption = figure.querySelector("figcaption, summary");
  const csv = () => figure.dataset.csv.replaceAll("\n", "\r\n");
  const button = copyButton(caption.querySelector("[id]").id, "figure's data", csv);
  if (caption.tagName === "SUMMARY") plot.before(button);
  else addToCaption(caption, button);
}

// A link to a folded table unfolds it in every browser, and shows its caption.
function unfold() {
  const wanted = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const details = wanted?.closest("details");
  if (!details) return;
  details.open = true;
  details.scrollIntoView();
}
addEventListener("hashchange", unfold);
unfold();
