// Small parts of the page: elements, texts, and the control of a label.

const KEEP = "keep"; // no new value; others are the number of a class, "none", or years

export const $ = (id) => document.getElementById(id);
export const percent = (share) => `${Math.round(100 * share)} %`;
export const counted = (n, one, many) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export const option = (value, text) => el("option", {value}, text);

export async function ask(place, sent) {
  let answer;
  try {
    answer = await fetch(place, sent);
  } catch {
    throw new Error("There is no answer. Is featurekit explore still running?");
  }
  if (!answer.ok) throw new Error((await answer.text()).trim());
  return answer.json();
}

export const isNumber = (column) => !column.classes.length;

export const shownValue = (column, value) => (value === null || value === undefined ? "no label" : isNumber(column) ? String(Math.round(10 * value) / 10) : column.shown[value]);

// The control that gives a label a new value, with the choice to keep it in front.
export function labelControl(column, now, attributes) {
  if (isNumber(column)) return el("input", {type: "number", min: 0, max: 116, step: "any", value: now ?? "", placeholder: "keep", ...attributes});
  const control = el("select", attributes, option(KEEP, "keep"), ...column.shown.map((shown, number) => option(String(number), shown)), option("none", "no label"));
  control.value = now === undefined ? KEEP : now === "" ? "none" : String(column.classes.indexOf(now));
  return control;
}

export function newValue(column, control) {
  if (isNumber(column)) return control.value === "" ? undefined : control.value;
  return control.value === KEEP ? undefined : control.value === "none" ? "" : column.classes[Number(control.value)];
}
