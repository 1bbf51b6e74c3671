// The page of the faces. All text of the data is inserted as text, never as markup.

import {FaceMap} from "./map.js";
import {Marks} from "./marks.js";
import {$, ask, counted, el, isNumber, labelControl, newValue, option, percent, shownValue} from "./parts.js";

const COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8c6d31"];
// Both are seen on white and on black.
const SCALE = ["#3a63c8", "#2f83c9", "#2a9aa6", "#3a9d6b", "#8a9a2e", "#c98f1c", "#d96a22", "#cf3a2f"];
const ORDERED = [...SCALE, "#9b2f7d"];
const LEFT = "#9aa2a9"; // of a face without a label
const A_PAGE = 60; // faces that the list grows by

const marks = new Marks();
const selected = new Set(); // positions of faces
let data, map, columnOf, shownFaces = [], nListed = 0;
let region = null;

function target() {
  return data.targets[Number($("target")?.value ?? 0)];
}


function isWrong(one, face) {
  const truth = columnOf[one.name].values[face];
  const said = one.predicted[face];
  if (truth === null || said === null) return null;
  return isNumber(columnOf[one.name]) ? Math.abs(said - truth) : truth !== said;
}

// ---- filters

function pick(name, label, options) {
  return el("label", {}, label, el("select", {id: name, name}, ...options));
}

function range(name, label, unit, lowest, highest) {
  const box = (end, what, value) => el("input", {type: "number", id: `${name}-${end}`, min: lowest, max: highest, step: "any", placeholder: String(value), "aria-label": `${label}, ${what}`});
  return el("fieldset", {}, el("legend", {}, label), el("span", {}, box("from", "from", lowest), " to ", box("to", "to", highest), ` ${unit}`));
}

const classesOf = (column) => [option("", "any"), ...column.shown.map((shown, number) => option(String(number), shown)), option("none", "no label")];

// Which model is shown of a target, why, and how another one is.
function shownModel(one) {
  const onMap = one.features === data.features ? "on the features of the map" : "of all features: none is on those of the map";
  return `Shown: ${one.model}, ${data.asked ? "as asked for" : `the best model ${onMap}`}. To see another: featurekit explore --model NAME`;
}

function makeFilters() {
  const parts = [];
  const one = target();
  const form = $("filters");
  if (data.targets.length) {
    const titled = (entry) => `${columnOf[entry.name].title} (${entry.model})`;
    const choice = pick("target", "Target (model)", data.targets.map((entry, number) => option(String(number), titled(entry))));
    choice.querySelector("select").value = $("target")?.value ?? "0";
    const column = columnOf[one.name];
    choice.querySelector("select").setAttribute("aria-describedby", "shown");
    parts.push(choice, el("p", {className: "note", id: "shown"}, el("bdi", {}, shownModel(one))));
    if (isNumber(column)) parts.push(range("error", "Error at least", "years", 0, 100));
    else {
      parts.push(pick("result", "Result", [option("", "any"), option("wrong", "wrong"), option("right", "right"), option("none", "no prediction")]));
      parts.push(pick("predicted", "Predicted", classesOf(column).slice(0, -1)));
      if (one.confidence.some((value) => value !== null)) parts.push(range("confidence", "Confidence", "%", 0, 100));
      if (one.suspicion.some(Boolean)) parts.push(el("label", {className: "tick"}, el("input", {type: "checkbox", id: "suspects"}), `Suspicious labels only (${one.suspicion.filter(Boolean).length})`));
    }
  }
  for (const column of data.columns) {
    if (isNumber(column)) parts.push(range(`of-${column.name}`, column.title, "years", 0, 116));
    else parts.push(pick(`of-${column.name}`, column.title, classesOf(column)));
  }
  parts.push(pick("marks", "Marks", [option("", "any"), option("some", "marked"), option("none", "not marked")]));
  parts.push(el("label", {}, "File name contains", el("input", {type: "search", id: "file"})));
  parts.push(el("button", {type: "reset", className: "copy"}, "Reset"));
  form.replaceChildren(...parts);
  for (const box of form.querySelectorAll("fieldset input[id$=-to]")) if (box.id === "error-to") box.parentElement.replaceChildren(form.querySelector("#error-from"), " years");
}

const valueOf = (id) => $(id)?.value ?? "";

function isIn(id, value, scale = 1) {
  const [from, to] = [valueOf(`${id}-from`), valueOf(`${id}-to`)];
  if (from === "" && to === "") return true;
  if (value === null) return false;
  return (from === "" || scale * value >= Number(from) - 1e-9) && (to === "" || scale * value <= Number(to) + 1e-9);
}

const isClass = (id, value) => {
  const wanted = valueOf(id);
  return wanted === "" || (wanted === "none" ? value === null : value === Number(wanted));
};

function matches(face) {
  const one = target();
  if (one) {
    const wrong = isWrong(one, face);
    const result = valueOf("result");
    if (result && (result === "none" ? wrong !== null : wrong !== (result === "wrong"))) return false;
    if (!isIn("error", wrong) || !isIn("confidence", one.confidence[face], 100) || !isClass("predicted", one.predicted[face])) return false;
    if ($("suspects")?.checked && !one.suspicion[face]) return false;
  }
  for (const column of data.columns) {
    const id = `of-${column.name}`;
    if (isNumber(column) ? !isIn(id, column.values[face]) : !isClass(id, column.values[face])) return false;
  }
  const wanted = valueOf("marks");
  if (wanted && marks.of.has(data.rows[face]) !== (wanted === "some")) return false;
  if (!data.images[face].toLowerCase().includes(valueOf("file").toLowerCase())) return false;
  return map.contains(face);
}

// ---- colours

function makeColorings() {
  const options = data.columns.map((column) => option(`of-${column.name}`, column.title));
  data.targets.forEach((one, number) => {
    const {title} = columnOf[one.name];
    options.push(option(`error-${number}`, `Error of ${title}`));
    if (one.confidence.some((value) => value !== null)) options.push(option(`confidence-${number}`, `Confidence of ${title}`));
  });
  options.push(option("marks", "Marks"));
  $("coloring").replaceChildren(...options);
}

function scaled(values, low, high, unit) {
  const color = (value) => (value === null ? LEFT : SCALE[Math.min(SCALE.length - 1, Math.max(0, Math.floor((SCALE.length * (value - low)) / (high - low || 1))))]);
  const edge = (number) => Math.round(10 * (low + (number * (high - low)) / SCALE.length)) / 10;
  const legend = SCALE.map((one, number) => [one, number < SCALE.length - 1 ? `${edge(number)}–${edge(number + 1)}${unit}` : `from ${edge(number)}${unit}`]);
  return [values.map(color), legend];
}

function colored() {
  const [kind, ...rest] = $("coloring").value.split("-");
  const name = rest.join("-");
  if (kind === "of") {
    const column = columnOf[name];
    if (isNumber(column)) return scaled(column.values, 0, 80, " years");
    const list = column.ordered || column.classes.length > COLORS.length ? ORDERED : COLORS;
    const at = (number) => list[column.classes.length <= list.length ? number : Math.floor((number * list.length) / column.classes.length)];
    const counts = column.classes.map(() => 0);
    for (const value of column.values) if (value !== null) counts[value]++;
    const legend = column.shown.map((shown, number) => [at(number), `${shown} (${counts[number]})`]);
    if (column.values.includes(null)) legend.push([LEFT, "no label"]);
    return [column.values.map((value) => (value === null ? LEFT : at(value))), legend.slice(0, 26)];
  }
  if (kind === "marks") {
    const colors = data.rows.map((row) => (marks.of.has(row) ? (marks.of.get(row).exclude ? COLORS[1] : COLORS[4]) : LEFT));
    return [colors, [[COLORS[1], "excluded"], [COLORS[4], "another mark"], [LEFT, "no mark"]]];
  }
  const one = data.targets[Number(name)];
  if (kind === "confidence") return scaled(one.confidence.map((value) => (value === null ? null : 100 * value)), 0, 100, " %");
  const wrong = data.rows.map((_, face) => isWrong(one, face));
  if (isNumber(columnOf[one.name])) return scaled(wrong, 0, 20, " years");
  return [wrong.map((is) => (is === null ? LEFT : is ? COLORS[1] : COLORS[5])), [[COLORS[1], "wrong"], [COLORS[5], "right"], [LEFT, "no prediction"]]];
}

function paintMap() {
  const [colors, legend] = colored();
  const isShown = new Uint8Array(data.rows.length);
  const isSelected = new Uint8Array(data.rows.length);
  for (const face of shownFaces) isShown[face] = 1;
  for (const face of selected) isSelected[face] = 1;
  map.show(colors, isShown, isSelected);
  $("legend").replaceChildren(...legend.map(([color, text]) => {
    const dot = el("i");
    dot.style.background = color;
    return el("li", {}, dot, el("bdi", {}, text));
  }));
}

// ---- the list

const ORDERS = {
  data: ["order of the data set", () => true, () => 0],
  suspicious: ["most suspicious label first", (one) => one.suspicion.some(Boolean), (one, face) => one.suspicion[face] || Infinity],
  confident: ["wrong and most confident first", (one) => one.confidence.some((value) => value !== null), (one, face) => (isWrong(one, face) ? -one.confidence[face] : 2)],
  doubtful: ["least confident first", (one) => one.confidence.some((value) => value !== null), (one, face) => one.confidence[face] ?? 2],
  error: ["largest error first", (one) => isNumber(columnOf[one.name]), (one, face) => -(isWrong(one, face) ?? -1)],
};

function makeOrders() {
  const one = target();
  const before = $("order").value;
  $("order").replaceChildren(...Object.entries(ORDERS).filter(([key, [, has]]) => key === "data" || (one && has(one))).map(([key, [text]]) => option(key, text)));
  if ([...$("order").options].some((entry) => entry.value === before)) $("order").value = before;
}

function update() {
  if (!data) return;
  shownFaces = [...data.rows.keys()].filter(matches);
  const one = target();
  const [, , key] = ORDERS[$("order").value];
  if (one) {
    const keys = new Map(shownFaces.map((face) => [face, key(one, face)]));
    shownFaces.sort((first, second) => keys.get(first) - keys.get(second) || first - second);
  }
  const n = shownFaces.length;
  $("count").textContent = n === data.rows.length ? `All ${counted(n, "face", "faces")}` : `${n.toLocaleString("en")} of ${counted(data.rows.length, "face", "faces")}`;
  $("said").textContent = `${counted(n, "face is", "faces are")} shown.`;
  $("all").disabled = !n;
  nListed = 0;
  $("cards").replaceChildren();
  list();
  paintMap();
  sayMarks();
}

function list() {
  const next = shownFaces.slice(nListed, nListed + A_PAGE);
  $("cards").append(...next.map(card));
  nListed += next.length;
  $("more").hidden = nListed >= shownFaces.length;
}

function picture(face, side) {
  const image = el("img", {src: `face/${data.rows[face]}.jpg`, width: side, height: side, loading: "lazy", alt: ""});
  image.addEventListener("error", () => { image.alt = "The image is not available."; }, {once: true});
  return image;
}

function saying(one, face) {
  const column = columnOf[one.name];
  const said = one.predicted[face];
  const sure = one.confidence[face];
  const words = `${shownValue(column, column.values[face])} → ${said === null ? "no prediction" : shownValue(column, said)}`;
  return [words.replaceAll("-", "\u2011").replaceAll(" ", "\u00a0"), sure === null ? "" : percent(sure)]; // an age group stays on one line
}

function markWords(row) {
  const {exclude, labels, note} = marks.get(row);
  const words = exclude ? ["excluded"] : [];
  for (const [label, value] of labels) {
    const column = columnOf[label];
    const number = column.classes.indexOf(value);
    words.push(`new ${column.title}: ${value === "" ? "no label" : number >= 0 ? column.shown[number] : value}`);
  }
  if (note) words.push(`“${note}”`);
  return words.join(", ");
}

function card(face) {
  const one = target();
  const name = data.images[face];
  const tick = el("input", {type: "checkbox", checked: selected.has(face), "aria-label": `Select ${name}`});
  const open = el("button", {type: "button", className: "pixels", "aria-label": `Open ${name}`}, picture(face, 64));
  const words = one ? saying(one, face).filter(Boolean) : data.columns.filter((column) => column.values[face] !== null).slice(0, 2).map((column) => shownValue(column, column.values[face]));
  const [first = "", ...others] = words;
  const about = el("div", {}, el("p", {}, el("label", {}, tick, el("bdi", {}, first))));
  if (others.length) about.append(el("p", {}, el("bdi", {}, others.join(", "))));
  about.append(el("p", {className: "file", title: name}, el("bdi", {}, name.split("/").pop())));
  const marked = markWords(data.rows[face]);
  if (marked) about.append(el("p", {className: "marked"}, el("bdi", {}, marked)));
  const made = el("li", {className: `${one && isWrong(one, face) === true ? "wrong" : ""}${selected.has(face) ? " picked" : ""}`}, open, about);
  made.dataset.face = face;
  tick.addEventListener("change", () => select([face], tick.checked));
  open.addEventListener("click", () => openFace(face));
  return made;
}

function redraw(faces) {
  const wanted = new Set(faces);
  for (const one of $("cards").children) {
    const face = Number(one.dataset.face);
    if (!wanted.has(face)) continue;
    const isFocused = one.contains(document.activeElement) && document.activeElement.type === "checkbox";
    const made = card(face);
    one.replaceWith(made);
    if (isFocused) made.querySelector("input").focus();
  }
  paintMap();
  sayMarks();
}

function select(faces, is) {
  for (const face of faces) if (is) selected.add(face); else selected.delete(face);
  redraw(faces);
}

// ---- one face

async function openFace(face) {
  const row = data.rows[face];
  const close = el("button", {type: "button", className: "copy"}, "Close");
  close.addEventListener("click", () => $("face").close());
  const facts = [];
  for (const column of data.columns) if (column.values[face] !== null) facts.push([column.title, shownValue(column, column.values[face])]);
  for (const one of data.targets) facts.push([`${columnOf[one.name].title}: label → prediction (${one.model})`, `${saying(one, face).filter(Boolean).join(", ")}${one.suspicion[face] ? `, suspicious label no. ${one.suspicion[face]}` : ""}`]);
  if (data.subjects[face]) facts.push(["Subject", data.subjects[face]]);
  const table = el("table", {}, el("tbody", {}, ...facts.map(([what, value]) => el("tr", {}, el("th", {scope: "row"}, el("bdi", {}, what)), el("td", {}, el("bdi", {}, value))))));
  const near = el("ul", {className: "near", id: "near"});
  $("face").replaceChildren(
    el("div", {className: "head"}, el("h2", {id: "face-name"}, el("bdi", {}, data.images[face])), close),
    el("div", {className: "big"}, picture(face, 144), table),
    markForm(face),
    el("h2", {}, "Nearest neighbours"),
    el("p", {className: "note"}, `The faces with the most similar vectors (${data.features}), by cosine similarity.`),
    near,
  );
  if (!$("face").open) $("face").showModal();
  $("face").scrollTop = 0;
  try {
    const found = await ask(`neighbours/${row}.json`);
    near.replaceChildren(...found.map(([other, similarity]) => neighbour(data.rows.indexOf(other), similarity)));
  } catch (error) {
    near.replaceChildren(el("li", {className: "trouble"}, error.message));
  }
}

function neighbour(face, similarity) {
  const open = el("button", {type: "button", className: "pixels", "aria-label": `Open ${data.images[face]}`}, picture(face, 88));
  open.addEventListener("click", () => openFace(face));
  const one = target();
  const words = one ? shownValue(columnOf[one.name], columnOf[one.name].values[face]) : "";
  return el("li", {}, open, el("p", {}, el("bdi", {}, `${similarity.toFixed(3)}${words ? `, ${words}` : ""}`)));
}

function markForm(face) {
  const row = data.rows[face];
  const one = marks.get(row);
  const change = (how) => {
    marks.change(row, how);
    redraw([face]);
  };
  const exclude = el("input", {type: "checkbox", checked: one.exclude});
  exclude.addEventListener("change", () => change((now) => { now.exclude = exclude.checked; }));
  const parts = [el("label", {className: "tick"}, exclude, "Exclude this face")];
  for (const name of data.labels) {
    const column = columnOf[name];
    const control = labelControl(column, one.labels.get(name), {});
    control.addEventListener("change", () => {
      if (!control.reportValidity()) return;
      const value = newValue(column, control);
      change((now) => (value === undefined ? now.labels.delete(name) : now.labels.set(name, value)));
    });
    parts.push(el("label", {}, `Replace ${column.title}`, control));
  }
  const note = el("input", {type: "text", maxLength: 1000, value: one.note});
  note.addEventListener("change", () => change((now) => { now.note = note.value.trim(); }));
  parts.push(el("label", {}, "Note", note));
  const form = el("form", {className: "marks", "aria-label": "Marks of this face"}, ...parts);
  form.addEventListener("submit", (event) => event.preventDefault());
  return form;
}

// ---- marks of the selected faces, and writing

function makeActions() {
  $("action").replaceChildren(
    option("exclude", "excluded"),
    ...data.labels.map((name) => option(`label-${name}`, `with another ${columnOf[name].title}`)),
    option("note", "with a note"),
    option("clear", "with nothing: clear their marks"),
  );
  makeValue();
}

function makeValue() {
  const action = $("action").value;
  const attributes = {id: "given", "aria-label": "Value"};
  if (action.startsWith("label-")) $("value").replaceChildren(labelControl(columnOf[action.slice(6)], undefined, attributes));
  else if (action === "note") $("value").replaceChildren(el("input", {type: "text", maxLength: 1000, ...attributes, "aria-label": "Note"}));
  else $("value").replaceChildren();
  sayApply();
}

// Without a face, or without the new label, there is nothing to apply.
function sayApply() {
  const action = $("action").value;
  const isOpen = action.startsWith("label-") && newValue(columnOf[action.slice(6)], $("given")) === undefined;
  $("apply").disabled = !selected.size || isOpen;
}

function apply(event) {
  event.preventDefault();
  const action = $("action").value;
  const column = columnOf[action.slice(6)];
  const value = action.startsWith("label-") ? newValue(column, $("given")) : null;
  for (const face of selected) {
    marks.change(data.rows[face], (now) => {
      if (action === "exclude") now.exclude = true;
      else if (action === "note") now.note = $("given").value.trim();
      else if (action === "clear") Object.assign(now, {exclude: false, labels: new Map(), note: ""});
      else if (value === undefined) now.labels.delete(column.name);
      else now.labels.set(column.name, value);
    });
  }
  redraw([...selected]);
}

function sayMarks(trouble = "") {
  const n = marks.of.size;
  $("selected").textContent = selected.size ? `${counted(selected.size, "face is", "faces are")} selected.` : "No face is selected.";
  sayApply();
  $("bar").classList.toggle("busy", selected.size > 0);
  $("write").disabled = marks.areWritten;
  const what = n ? counted(n, "marked face", "marked faces") : "No marks";
  $("state").textContent = trouble || (marks.areWritten ? (n || marks.version ? `${what}, as in ${data.file}` : what) : `${what}, not written yet`);
  $("state").className = trouble ? "trouble" : "";
}

async function write() {
  $("write").disabled = true;
  try {
    const sent = {version: marks.version, marks: marks.list()};
    const {version} = await ask("marks.json", {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(sent)});
    marks.settled(version);
    sayMarks();
    $("said").textContent = `The marks are written to ${data.file}.`;
  } catch (error) {
    sayMarks(error.message);
  }
}

// ---- the start

function start(read) {
  data = read;
  columnOf = Object.fromEntries(data.columns.map((column) => [column.name, column]));
  document.title = `Faces of ${data.dataset}`;
  $("dataset").textContent = data.dataset;
  $("synthetic").hidden = !data.synthetic;
  const of = data.n_all > data.rows.length ? ` of ${data.n_all.toLocaleString("en")}` : "";
  $("facts").textContent = `${data.rows.length.toLocaleString("en")}${of} faces · vectors of ${data.features} · this page is on this machine only`;
  $("how").textContent = `Each dot is a face, at its place on a ${data.method} map of the vectors${data.shares ? `, which shows ${Math.round(data.shares[0] + data.shares[1])} % of their variance` : ""}. Click a dot to open the face; draw a rectangle to show only the faces in it.`;
  map = new FaceMap($("map"), data.x, data.y, {
    onOpen: openFace,
    onRegion: (chosen) => {
      region = chosen;
      $("zoom").disabled = !region;
      $("whole").disabled = !region && map.view === map.whole;
      update();
    },
  });
  makeFilters();
  makeColorings();
  if (data.targets.length) $("coloring").value = "error-0";
  makeOrders();
  makeActions();
  update();
}

$("filters").addEventListener("input", (event) => {
  if (event.target.id === "target") {
    makeFilters();
    makeOrders();
    $("coloring").value = `error-${event.target.value}`;
    $("target").focus();
  }
  update();
});
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("filters").addEventListener("reset", (event) => {
  event.preventDefault(); // it would change the target too
  makeFilters();
  $("filters").querySelector("[type=reset]").focus();
  map.choose(null);
});
$("coloring").addEventListener("change", paintMap);
$("order").addEventListener("change", update);
$("zoom").addEventListener("click", () => {
  map.zoom(region);
  map.choose(null);
});
$("whole").addEventListener("click", () => {
  map.zoom(null);
  map.choose(null);
});
$("more").addEventListener("click", list);
$("all").addEventListener("click", () => select(shownFaces, true));
$("none").addEventListener("click", () => select([...selected], false));
$("action").addEventListener("change", makeValue);
$("value").addEventListener("input", sayApply);
$("bar").addEventListener("submit", apply);
$("write").addEventListener("click", write);
addEventListener("beforeunload", (event) => {
  if (!marks.areWritten) event.preventDefault();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => data && paintMap());

try {
  const [read, kept] = await Promise.all([ask("faces.json"), ask("marks.json")]);
  marks.read(kept);
  start(read);
} catch (error) {
  $("facts").textContent = error.message;
  $("facts").className = "facts trouble";
}
