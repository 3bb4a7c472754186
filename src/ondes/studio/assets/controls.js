// From the values of a tab's controls to a task for the API, and from a refusal to the control that caused it.

import { element } from "./element.js";

// {task} or {wrong, field}: what stands in a text box is checked here against the bounds that the server has too,
// so that the sentence comes at once and beside the box.
export function taskOf(plan, values, sources) {
  const task = { ...plan.fixed };
  for (const source of plan.sources) {
    const file = sources.get(source.field)?.file;
    if (file) task[source.field] = file.id;
  }
  for (const [index, field] of plan.fields.entries()) {
    if (!belongs(plan, field, values)) continue;
    const { value, wrong } = read(field, values[index], task.verb);
    if (wrong) return { wrong, field: field.name };
    if (value !== undefined) task[field.name] = value;
  }
  const missing = plan.sources.find((source) => !(source.field in task) && needed(source, task));
  if (missing) return { wrong: `${missing.label} is missing; drop a file, or choose an example.`, field: missing.field };
  for (const source of plan.sources) if (source.verbs && !source.verbs.includes(task.verb)) delete task[source.field];
  return { task };
}

const needed = (source, task) => (source.verbs ? source.verbs.includes(task.verb) : !source.optional);

// Options of another verb than the chosen one are not asked for.
function belongs(plan, field, values) {
  if (!field.verbs) return true;
  const at = plan.fields.findIndex((each) => each.name === "verb");
  return at < 0 || field.verbs.includes(values[at]);
}

function read(field, given, verb) {
  const isEmpty = given === null || given === undefined || given === "" || (Array.isArray(given) && !given.length);
  if (isEmpty) return field.required ? { wrong: `${field.label} is missing; ${field.help}` } : { value: undefined };
  if (field.type === "bars") return bars(field, given, verb);
  if (field.type === "list") return { value: Array.isArray(given) ? given : [given] };
  if (field.type !== "number" && field.type !== "integer") return { value: given };
  const number = Number(String(given).trim().replace(",", "."));
  const range = `${field.label} goes from ${field.minimum ?? "0"} to ${field.maximum ?? "any number"}`;
  if (Number.isNaN(number)) return { wrong: `${field.label} is “${given}”, which is no number; ${range}.` };
  if (field.type === "integer" && !Number.isInteger(number)) return { wrong: `${field.label} is ${given}; give a whole number.` };
  if (number < (field.minimum ?? -Infinity) || number > (field.maximum ?? Infinity)) return { wrong: `${field.label} is ${given}; ${range}.` };
  return { value: number };
}

// "8" is a number of bars, "9-12" the first and the last.
function bars(field, given, verb) {
  const match = /^\s*(\d+)\s*(?:-\s*(\d+)\s*)?$/.exec(String(given));
  if (!match) return { wrong: `${field.label} is “${given}”; write 8 for so many, or 9-12 for one range of bars.` };
  const [first, last] = [Number(match[1]), Number(match[2] ?? match[1])];
  return { value: match[2] || verb === "infill" ? [first, last] : first };
}

// Show a sentence beside the control (or source) it is about; false where there is none. An empty one clears all.
export function complainAt(plan, field, text, sources) {
  for (const each of plan.fields) mark(plan, each.name, "");
  if (!text) return true;
  const named = field ?? plan.fields.map((each) => each.name).find((name) => new RegExp(`^${name}\\b`).test(text));
  if (sources?.get(named)) {
    sources.get(named).complain(text);
    return true;
  }
  return Boolean(named) && mark(plan, named, text);
}

function mark(plan, name, text) {
  const block = document.getElementById(`${plan.tab}-${name}`);
  if (!block) return false;
  block.querySelector(":scope > .o-error")?.remove();
  const input = block.querySelector("input, textarea, select");
  input?.toggleAttribute("aria-invalid", Boolean(text));
  if (!text) return true;
  const folded = block.closest(".o-more-options")?.querySelector("button.label-wrap:not(.open)");
  folded?.click();
  block.append(element("p", { class: "o-error", role: "alert" }, text));
  input?.focus();
  return true;
}
