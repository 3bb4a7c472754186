// Editing the notes of a source on its roll, by mouse and keys. What was edited becomes a MIDI file, goes to the studio
// like any other, and takes the place of the source.

import { element, say, sentence } from "./element.js";
import { writeMidi } from "./midi.js";

const SHORTEST_S = 0.05;
const MOST_UNDO = 50;
const HINT =
  "Click a note or drag a box to choose notes (Shift adds); drag them, or use the arrow keys; a double click writes a note. " +
  "Tab and Shift+Tab go from note to note, Delete removes, Ctrl+A chooses all, Ctrl+Z undoes.";

export class NoteEditor {
  // `onDone` gets a File with the edited score, or nothing where all was left as it was.
  constructor(timeline, name, onDone) {
    this.timeline = timeline;
    this.name = name.replace(/(\.edited)?\.[^.]+$/, "");
    this.onDone = onDone;
    this.data = structuredClone(timeline.notes);
    this.past = [];
    timeline.notes = this.data;
    timeline.chosen = new Set();
    timeline.edit(this);
    this.#build();
    this.#show();
  }

  #build() {
    const button = (label, action) => element("button", { type: "button", class: "o-small", onclick: action }, label);
    this.parts = element("select", { "aria-label": "Part of the chosen and of new notes", onchange: () => this.#toPart() },
      ...this.data.parts.map((part, index) => element("option", { value: index }, part.name || `part ${index + 1}`)));
    this.state = sentence("o-facts");
    this.element = element("div", { class: "o-editor", role: "group", "aria-label": "Edit notes" },
      element("p", { class: "o-hint" }, HINT),
      element("div", { class: "o-row" },
        element("label", {}, "Part ", this.parts),
        button("Semitone up", () => this.#move(0, 1)), button("Semitone down", () => this.#move(0, -1)),
        button("Delete", () => this.#delete()), button("Undo", () => this.#undo()),
        button("Use edited notes", () => this.finish(true)), button("Discard", () => this.finish(false))),
      this.state);
  }

  get chosen() {
    return this.timeline.chosen;
  }

  #show() {
    const count = this.data.notes.length;
    say(this.state, `${count} notes, ${this.chosen.size} chosen${this.past.length ? `, ${this.past.length} changes` : ""}.`);
    this.timeline.draw();
  }

  #remember() {
    this.past = [...this.past, structuredClone(this.data.notes)].slice(-MOST_UNDO);
  }

  #undo() {
    if (!this.past.length) return;
    this.data.notes = this.past.pop();
    this.chosen.clear();
    this.#show();
  }

  #delete() {
    if (!this.chosen.size) return;
    this.#remember();
    this.data.notes = this.data.notes.filter((_, index) => !this.chosen.has(index));
    this.chosen.clear();
    this.#show();
  }

  #toPart() {
    if (!this.chosen.size) return;
    this.#remember();
    for (const index of this.chosen) this.data.notes[index][4] = Number(this.parts.value);
    this.#show();
  }

  #move(seconds, semitones) {
    if (!this.chosen.size) return;
    this.#remember();
    this.#shift(this.data.notes, seconds, semitones);
    this.#show();
  }

  // Move the chosen ones of `from` into place, never out of the piece.
  #shift(from, seconds, semitones) {
    for (const index of this.chosen) {
      const [onset, release, pitch, velocity, part] = from[index];
      const start = Math.max(0, onset + seconds);
      const moved = Math.min(127, Math.max(0, pitch + semitones));
      this.data.notes[index] = [start, start + release - onset, moved, velocity, part];
    }
  }

  // A sixteenth of the first bar: what one step of an arrow key and of the mouse is.
  get stepS() {
    const { bars } = this.data;
    return bars?.length > 1 ? (bars[1] - bars[0]) / 16 : 0.125;
  }

  press(event) {
    const { time, pitch } = this.timeline.pointAt(event);
    const found = this.timeline.noteAt(event);
    if (event.detail === 2 && found < 0) return this.#write(time, pitch);
    if (found < 0) return this.#box(event);
    if (!this.chosen.has(found) && !event.shiftKey) this.chosen.clear();
    this.chosen.add(found);
    this.parts.value = this.data.notes[found][4];
    this.#drag(event, time, pitch);
    return this.#show();
  }

  #drag(event, time, pitch) {
    const before = structuredClone(this.data.notes);
    let hasMoved = false;
    this.timeline.follow(event, (moved) => {
      const at = this.timeline.pointAt(moved);
      const seconds = Math.round((at.time - time) / this.stepS) * this.stepS;
      const semitones = at.pitch - pitch;
      if (!hasMoved && !seconds && !semitones) return;
      if (!hasMoved) this.past.push(before);
      hasMoved = true;
      this.#shift(before, seconds, semitones);
      this.#show();
    });
  }

  #box(event) {
    if (!event.shiftKey) this.chosen.clear();
    const start = this.timeline.pointAt(event);
    const before = new Set(this.chosen);
    this.timeline.follow(event, (moved) => {
      const end = this.timeline.pointAt(moved);
      const [from, to] = [Math.min(start.time, end.time), Math.max(start.time, end.time)];
      const [low, high] = [Math.min(start.pitch, end.pitch), Math.max(start.pitch, end.pitch)];
      this.chosen.clear();
      for (const index of before) this.chosen.add(index);
      this.data.notes.forEach(([onset, release, pitch], index) => {
        if (onset < to && release > from && pitch >= low && pitch <= high) this.chosen.add(index);
      });
      this.#show();
    });
    this.#show();
  }

  #write(time, pitch) {
    this.#remember();
    const onset = Math.floor(time / this.stepS) * this.stepS;
    this.data.notes.push([onset, onset + Math.max(2 * this.stepS, SHORTEST_S), pitch, 80, Number(this.parts.value)]);
    this.chosen.clear();
    this.chosen.add(this.data.notes.length - 1);
    this.#show();
  }

  // Whether the key meant something here.
  key(event) {
    const steps = { ArrowLeft: [-this.stepS, 0], ArrowRight: [this.stepS, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (steps) this.#move(steps[0], steps[1] * (event.shiftKey ? 12 : 1));
    else if (event.key === "Delete" || event.key === "Backspace") this.#delete();
    else if (event.key === "a" && (event.ctrlKey || event.metaKey)) this.#chooseAll();
    else if (event.key === "z" && (event.ctrlKey || event.metaKey)) this.#undo();
    else if (event.key === "Tab") return this.#next(event.shiftKey ? -1 : 1);
    else return false;
    return true;
  }

  #chooseAll() {
    this.data.notes.forEach((_, index) => this.chosen.add(index));
    this.#show();
  }

  // The note after or before the chosen one; past the ends the key leaves the roll, as everywhere.
  #next(step) {
    const order = [...this.data.notes.keys()].sort((a, b) => this.data.notes[a][0] - this.data.notes[b][0]);
    const at = order.indexOf([...this.chosen].at(-1));
    const to = at < 0 ? (step > 0 ? 0 : order.length - 1) : at + step;
    if (to < 0 || to >= order.length) return false;
    this.chosen.clear();
    this.chosen.add(order[to]);
    this.#show();
    return true;
  }

  finish(keeps) {
    this.timeline.edit(null);
    this.timeline.chosen = null;
    this.element.remove();
    const changed = keeps && this.past.length > 0;
    this.onDone(changed ? new File([writeMidi(this.data)], `${this.name}.edited.mid`, { type: "audio/midi" }) : null);
  }
}
