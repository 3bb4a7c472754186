// Earlier runs of one tab: their seeds, to show again or to make once more. Kept in this browser tab's session storage,
// so that it outlives a reload and is nobody else's.

import { element } from "./element.js";

const MOST = 20;
const SIGNS = { done: "done", failed: "failed", cancelled: "cancelled", running: "at work", queued: "waiting" };

export class History {
  constructor(tab, onRecall) {
    this.key = `ondes-history-${tab}`;
    this.onRecall = onRecall;
    this.entries = JSON.parse(sessionStorage.getItem(this.key) ?? "[]");
    this.list = element("ol", { class: "o-history" });
    this.element = element("details", { class: "o-details" }, element("summary", {}, "Seeds of earlier runs"), this.list);
    this.#draw();
  }

  get last() {
    return this.entries[0] ?? null;
  }

  entry(id) {
    return this.entries.find((each) => each.id === id) ?? null;
  }

  add(entry) {
    this.entries = [entry, ...this.entries].slice(0, MOST);
    this.#keep();
  }

  forget(id) {
    this.entries = this.entries.filter((each) => each.id !== id);
    this.#keep();
  }

  update(job) {
    const found = this.entry(job.id);
    if (!found || found.state === job.state) return;
    found.state = job.state;
    this.#keep();
  }

  #keep() {
    sessionStorage.setItem(this.key, JSON.stringify(this.entries));
    this.#draw();
  }

  #draw() {
    this.element.hidden = !this.entries.length;
    this.list.replaceChildren(...this.entries.map((entry) => this.#row(entry)));
  }

  #row(entry) {
    const button = (text, again) =>
      element("button", {
        type: "button", class: "o-small", onclick: () => this.onRecall(entry, again),
        "aria-label": `${text}: seed ${entry.seed}`,
      }, text);
    const time = new Date(entry.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const words = element("span", { class: "o-name" },
      element("strong", {}, `Seed ${entry.seed}`),
      ` ${time}${entry.state ? ", " + (SIGNS[entry.state] ?? entry.state) : ""}`);
    return element("li", {}, words, button("Show", false), button("Same again", true));
  }
}
