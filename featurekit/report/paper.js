// What is different on paper: everything is unfolded, and a page with the best models of each target follows the summary.
const ROWS_ON_PAPER = 16; // trained models of all targets together, beside the baselines: as many as fit on one page
let wereFolded = [];

function rankingsOnPaper() {
  const sheet = document.createElement("div");
  sheet.className = "rankings";
  // Only the ranking of a target has columns that are shown on request.
  const tables = [...document.querySelectorAll("main > section")]
    .map((section) => section.querySelector("figure table[data-sortable]"))
    .filter((table) => table?.querySelector(".more"));
  const most = Math.max(3, Math.floor(ROWS_ON_PAPER / tables.length));
  for (const table of tables) {
    const copy = table.cloneNode(true);
    copy.classList.add("few");
    copy.querySelector(".groups")?.remove();
    const rows = [...copy.tBodies[0].rows];
    rows.forEach((row, place) => {
      row.hidden = false;
      if (place >= most && !row.querySelector(".tag")) row.remove();
    });
    const shown = copy.tBodies[0].rows.length;
    const heading = document.createElement("p");
    const caption = document.getElementById(table.getAttribute("aria-labelledby")).textContent.replace(/^Table \d+\. /, "");
    const which = table.closest("figure").id.replace("-", " ");
    heading.textContent = shown < rows.length ? `${caption}: ${shown} of ${rows.length}; all are in ${which}` : caption;
    sheet.append(heading, copy);
  }
  return sheet;
}

addEventListener("beforeprint", () => {
  if (document.querySelector(".rankings")) return;
  wereFolded = [...document.querySelectorAll("details:not([open])")];
  for (const details of wereFolded) details.open = true;
  const sheet = rankingsOnPaper();
  if (sheet.childElementCount) document.querySelector("main > section").append(sheet);
});

addEventListener("afterprint", () => {
  document.querySelector(".rankings")?.remove();
  for (const details of wereFolded) details.open = false;
});
