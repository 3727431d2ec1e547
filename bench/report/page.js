// Tables sort by the clicked column. The page is complete without this script.
const number = (cell) => parseFloat(cell.textContent.replace("−", "-"));

function sortBy(header) {
  const table = header.closest("table"), body = table.tBodies[0];
  const down = header.getAttribute("aria-sort") !== "descending";
  const value = (row) => row.cells[header.cellIndex];
  const compare = (a, b) => {
    const [x, y] = [number(value(a)), number(value(b))];
    if (Number.isNaN(x) && Number.isNaN(y)) return value(a).textContent.localeCompare(value(b).textContent);
    return Number.isNaN(x) ? -1 : Number.isNaN(y) ? 1 : x - y;
  };
  const rows = [...body.rows].sort((a, b) => (down ? -compare(a, b) : compare(a, b)));
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
  body.append(...rows);
}

for (const header of document.querySelectorAll("table.sortable th[scope=col]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...header.childNodes);
  button.addEventListener("click", () => sortBy(header));
  header.append(button);
}

// A closed <details> is not printed, so printing opens all. A link into one opens it.
addEventListener("beforeprint", () => document.querySelectorAll("main > section details").forEach((part) => { part.open = true; }));
function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let part = target?.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
  target?.scrollIntoView();
}
addEventListener("hashchange", reveal);
reveal();
