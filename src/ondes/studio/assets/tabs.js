// What the page knows of its tabs: their elements, plans and controls; which file was made last; the two ways between
// typed regions and drawn ones. All of it lives in this browser tab alone, so people never see each other's work.

import { getFile } from "./api.js";
import { formatBars, formatRegions, parseBars, parseRegions } from "./regions.js";

const known = new Map(); // tab -> { sources: Map(field -> element), job, restoring, handed, typed }
const lastMade = {};
const listeners = new Set();
const waiting = new Map(); // "tab/field" -> file, for tabs that have not been opened yet

export function tab(name) {
  if (!known.has(name)) known.set(name, { sources: new Map(), job: null, restoring: null, handed: null, typed: "" });
  return known.get(name);
}

export function register(name, what, element) {
  if (what === "source") tab(name).sources.set(element.field, element);
  else tab(name)[what] = element;
  const key = `${name}/${element.field}`;
  if (what === "source" && waiting.has(key)) {
    element.take(waiting.get(key));
    waiting.delete(key);
  }
}

export const latest = (kind) => lastMade[kind] ?? null;
export const onLatest = (listener) => listeners.add(listener);

export function made(file) {
  lastMade[file.kind] = file;
  for (const listener of listeners) listener();
}

export const example = (name) => getFile(`example:${name}`);

// Give a file to a source of another tab, and go there.
export function giveTo(name, field, file) {
  const source = tab(name).sources.get(field);
  if (source) source.take(file);
  else waiting.set(`${name}/${field}`, file);
  openTab(name);
}

export function openTab(name) {
  const title = document.querySelector("ondes-tabs")?.titles[name];
  const buttons = [...document.querySelectorAll("button[role=tab]")];
  buttons.find((button) => button.textContent.trim() === title)?.click();
}

// --- regions: typed text and drawn stretches say the same -------------------------------------------------------

// Bars are selected to be filled in; to the other verbs of Compose they are a number.
export function verbChosen(name, verb) {
  tab(name).verb = verb;
  document.getElementById(`${name}-body`)?.setAttribute("data-verb", verb);
  for (const source of tab(name).sources.values()) source.timeline?.select(source.selecting);
  regionsAgain(name);
}

const field = (name) => tab(name).job?.plan.regions; // name of the option that holds them

const selecting = (name) => [...tab(name).sources.values()].find((source) => source.selecting && source.timeline);

export function regionsDrawn(name, timeline) {
  const text = timeline.selects === "bars" ? formatBars(timeline.regions, timeline.bars) : formatRegions(timeline.regions);
  tab(name).typed = text;
  if (field(name)) setControls(name, { [field(name)]: text });
}

// Gradio says only after a while what was handed over to a box. Where more was drawn meanwhile, that is old news, until
// somebody types there.
export function regionsTyped(name, text) {
  const { handed } = tab(name);
  if (handed !== null && handed !== (text ?? "")) return;
  tab(name).typed = text ?? "";
  regionsAgain(name);
}

document.addEventListener("input", (event) => {
  for (const [name, each] of known) {
    if (field(name) && event.target.closest(`#${name}-${field(name)}`)) each.handed = null;
  }
});

export function regionsAgain(name) {
  const timeline = selecting(name)?.timeline;
  if (!timeline) return;
  const { typed } = tab(name);
  const { bars, durationS } = timeline;
  timeline.setRegions(timeline.selects === "bars" ? parseBars(typed, bars ?? [], durationS) : parseRegions(typed, durationS));
}

// --- controls: Gradio owns their values; a hidden button of each tab hands new ones over --------------------------

export function setControls(name, values) {
  const each = tab(name);
  each.restoring = { ...each.restoring, ...values };
  if (field(name) in values) each.handed = String(values[field(name)] ?? "");
  document.getElementById(`${name}-restore`)?.click();
}

const AS_IT_IS = { __type__: "update" }; // leaves a control alone, whatever was done to it since the button was pressed

// Called by that button; returns what the controls shall be, in order.
export function restored(name) {
  const wanted = tab(name).restoring ?? {};
  tab(name).restoring = null;
  return tab(name).job.plan.fields.map((each) => (each.name in wanted ? wanted[each.name] : AS_IT_IS));
}
