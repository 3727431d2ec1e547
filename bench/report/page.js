// Sorting and filtering. The page says all it has to say without them.
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

const form = document.querySelector("#filter");
if (form) {
  const examples = [...document.querySelectorAll("details.example")];
  const apply = () => {
    const wanted = Object.fromEntries(new FormData(form));
    const filtered = Object.values(wanted).some(Boolean);
    let shown = 0;
    for (const example of examples) {
      const fits = ["pair", "bucket", "right"].every((key) => !wanted[key] || example.dataset[key] === wanted[key])
        && example.textContent.toLowerCase().includes(wanted.words.toLowerCase());
      example.hidden = !fits;
      shown += fits;
    }
    for (const pair of document.querySelectorAll("details.pair")) {
      pair.hidden = !pair.querySelector("details.example:not([hidden])");
      pair.open = filtered;
    }
    document.querySelector("#shown").textContent = `${shown} of ${examples.length} shown`;
  };
  form.hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  apply();
}
