// The examples: unpacked, filtered by the page's address, and drawn one page at a time.
const PAGE = 25, UNREAD = "(not readable)";
const form = document.querySelector("#filter"), list = document.querySelector("#questions");
const pages = document.querySelector("#pages"), FIELDS = ["pair", "ops", "last", "model", "error", "right", "words", "page"];
let data, questions, state = {};

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

const make = (tag, className = "", ...children) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
};

// An example is [id, description, right answer, boxes, answers]; see examples.py.
const read = ([id, description, gold, boxes, answers]) => boxes.map(([ops, last, changedBy, contents], box) => ({
  id, description, gold, ops, last, changedBy, contents, box,
  anchor: `example-${id}-box${box}`,
  answers: answers.map(([text, errors, said, thinking]) => ({ text, errors, thinking, error: errors[box], said: errors[box] ? said[box] || UNREAD : contents })),
}));

function columns() {
  const pair = data.pairs.find(([id]) => id === state.pair);
  return pair ? [pair[1], pair[2]] : data.models;
}

function fits(question, shown, chosen) {
  const answer = (model) => question.answers[data.models.indexOf(model)];
  const errors = chosen.map((model) => answer(model).error);
  const [base, variant] = [!answer(shown[0]).error, !answer(shown[shown.length - 1]).error];
  const right = { base: base && !variant, variant: variant && !base, both: base && variant, neither: !base && !variant };
  return (!state.ops || (state.ops === "1+" ? question.ops > 0 : question.ops === Number(state.ops)))
    && (!state.last || (question.last || "none") === state.last)
    && (!state.error || errors.some((error) => (state.error === "right" ? !error : state.error === "wrong" ? error : error === state.error)))
    && (!state.right || right[state.right])
    && (!state.words || `${question.id} ${question.description} ${chosen.map((model) => answer(model).text + answer(model).thinking).join(" ")}`.toLowerCase().includes(state.words.toLowerCase()));
}

// The text, split before each box's name. The asked box is marked, and wrong boxes are underlined.
function statement(text, asked, errors = []) {
  const before = new RegExp(`(?=${data.names.join("|")})`);
  return text.split(before).map((piece) => {
    const box = data.names.findIndex((name) => piece.startsWith(name));
    const [, clause, rest] = piece.match(/^([^]*?)([,.]?\s*)$/);
    const part = make(box === asked ? "mark" : "span", box >= 0 && errors[box] ? "differs" : "", clause);
    return [part, rest];
  }).flat();
}

function describe(question) {
  const [initial, ...operations] = question.description.split(/(?<=\.) /);
  const told = operations.map((sentence, index) => make(question.changedBy.includes(index + 1) ? "mark" : "span", "", sentence));
  const spaced = told.flatMap((part) => [" ", part]);
  return make("p", "description", ...statement(initial, question.box), ...spaced);
}

function open(question, shown) {
  const side = [make("div", "", make("h4", "", "right answer"), make("p", "", ...statement(question.gold, question.box)))];
  for (const model of shown) {
    const answer = question.answers[data.models.indexOf(model)];
    const thinking = answer.thinking ? [make("p", "thinking", answer.thinking)] : [];
    side.push(make("div", "", make("h4", "", model), make("p", "", ...statement(answer.text, question.box, answer.errors)), ...thinking));
  }
  const link = make("a", "", "Link to this example");
  link.setAttribute("href", `#${question.anchor}?pair=${encodeURIComponent(state.pair)}`);
  return make("div", "", describe(question), make("div", "columns", ...side), make("p", "quiet", link));
}

function line(question, shown, opened) {
  const details = make("details"), summary = make("summary");
  const last = question.last ? `, last: ${question.last}` : "";
  summary.append(make("span", "", `${data.names[question.box]} of ${question.id}`, make("small", "", `${question.ops} operation${question.ops === 1 ? "" : "s"}${last}`)));
  summary.append(make("span", "", make("small", "", "right answer"), question.contents));
  for (const model of shown) {
    const { error, said } = question.answers[data.models.indexOf(model)];
    const note = error && said !== UNREAD ? [" ", make("span", "error", `(${error})`)] : [];
    summary.append(make("span", "", make("small", "", model), make("span", `said ${error ? "wrong" : "right"}`, said, ...note)));
  }
  details.append(summary);
  details.addEventListener("toggle", () => { if (details.open && details.children.length === 1) details.append(open(question, shown)); });
  details.open = opened;
  const item = make("li", "", details);
  item.id = question.anchor;
  return item;
}

function draw(anchor = "") {
  const shown = columns(), chosen = shown.includes(state.model) ? [state.model] : shown;
  const found = anchor ? questions.filter((question) => question.anchor === anchor) : questions.filter((question) => fits(question, shown, chosen));
  const last = Math.max(Math.ceil(found.length / PAGE), 1), page = Math.min(Number(state.page) || 1, last);
  list.replaceChildren(...found.slice((page - 1) * PAGE, page * PAGE).map((question) => line(question, shown, Boolean(anchor))));
  document.querySelector("#count").textContent = anchor && !found.length ? "This run has no such example." : `${found.length.toLocaleString("en")} of ${questions.length.toLocaleString("en")} boxes`;
  pages.hidden = last === 1;
  pages.querySelector("span").textContent = `page ${page} of ${last}`;
  pages.querySelector("[name=back]").disabled = page === 1;
  pages.querySelector("[name=next]").disabled = page === last;
}

// #examples?pair=...&ops=3 is a filter. #example-s0012-7-box3 is one example.
function follow() {
  const [anchor, query = ""] = decodeURI(location.hash.slice(1)).split("?");
  const one = anchor.startsWith("example-");
  if (anchor && !one && anchor !== "examples") return;
  const given = new URLSearchParams(query);
  state = Object.fromEntries(FIELDS.map((name) => [name, given.get(name) || ""]));
  state.pair ||= data.pairs.length ? data.pairs[0][0] : "all";
  fill("model", columns());
  for (const name of FIELDS) if (form.elements[name]) form.elements[name].value = state[name];
  draw(one ? anchor : "");
  if (anchor) document.querySelector(one ? `[id="${CSS.escape(anchor)}"]` : "#examples")?.scrollIntoView();
}

function fill(name, values, labels = values) {
  const select = form.elements[name];
  select.replaceChildren(...[...select.options].filter((option) => option.defaultSelected || option.dataset.fixed), ...values.map((value, index) => new Option(labels[index], value)));
}

function remember(changes) {
  state = { ...state, page: "", ...changes };
  const kept = Object.entries(state).filter(([, value]) => value);
  history.replaceState(null, "", `#examples?${new URLSearchParams(kept)}`);
}

function listen() {
  form.addEventListener("input", () => {
    const before = state.pair;
    remember(Object.fromEntries(new FormData(form)));
    if (state.pair !== before) { state.model = ""; fill("model", columns()); }
    draw();
  });
  form.addEventListener("reset", (event) => { event.preventDefault(); location.hash = "#examples"; follow(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  pages.addEventListener("click", ({ target }) => {
    if (target.name) { remember({ page: String((Number(state.page) || 1) + (target.name === "next" ? 1 : -1)) }); draw(); list.scrollIntoView(); }
  });
  addEventListener("hashchange", follow);
}

unpack(document.querySelector("#packed").textContent).then((found) => {
  data = found;
  questions = data.examples.flatMap(read);
  for (const select of form.querySelectorAll("select")) for (const option of select.options) option.dataset.fixed = "1";
  const unique = (values) => [...new Set(values)].sort();
  fill("pair", [...data.pairs.map(([id]) => id), "all"], [...data.pairs.map(([, base, variant]) => `${base} → ${variant}`), "all models"]);
  fill("ops", unique(questions.map((question) => String(question.ops))));
  fill("last", unique(questions.map((question) => question.last || "none")));
  fill("error", unique(questions.flatMap((question) => question.answers.map((answer) => answer.error))).filter(Boolean));
  form.hidden = false;
  listen();
  follow();
});
