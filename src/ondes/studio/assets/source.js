// <ondes-source>: where a score or a sound comes in: dropped, chosen, an example, or what another tab made.
// Attributes: tab, field, accepts ("score" or "audio"), label, selects ("seconds", "bars").

import { upload } from "./api.js";
import { NoteEditor } from "./editor.js";
import { element, freshId, say, sentence } from "./element.js";
import { facts, remark, showFile } from "./showing.js";
import * as tabs from "./tabs.js";

const ENDINGS = {
  score: ".mid,.midi,.musicxml,.mxl,.xml,.abc",
  audio: ".wav,.flac,.ogg,.mp3,.aiff,.aif,.opus",
};
const NAMES = { score: "MIDI or MusicXML", audio: "WAV, FLAC, OGG or MP3" };

export class Source extends HTMLElement {
  connectedCallback() {
    if (this.zone) return;
    this.tab = this.getAttribute("tab");
    this.field = this.getAttribute("field");
    this.accepts = this.getAttribute("accepts");
    this.selects = this.getAttribute("selects");
    this.#build();
    tabs.register(this.tab, "source", this);
  }

  // What can be selected on the picture now.
  get selecting() {
    return this.selects === "bars" && tabs.tab(this.tab).verb !== "infill" ? null : this.selects;
  }

  #build() {
    const id = freshId();
    this.input = element("input", {
      type: "file", id, class: "o-file", accept: ENDINGS[this.accepts], onchange: () => this.send(this.input.files[0]),
    });
    this.label = element("label", { for: id, class: "o-zone-label" },
      element("strong", {}, this.getAttribute("label")),
      element("span", {}, ` Drop ${NAMES[this.accepts]} here, or press to choose.`));
    this.zone = element("div", { class: "o-zone" }, this.input, this.label, this.#offers());
    this.bar = element("progress", { max: 1, value: 0, hidden: true, "aria-label": "Sending the file" });
    this.problem = sentence("o-error", "alert");
    this.about = sentence("o-facts");
    this.place = element("div", { class: "o-place" });
    this.append(this.zone, this.bar, this.problem, this.about, this.place);
    for (const name of ["dragenter", "dragover"]) this.zone.addEventListener(name, (event) => this.#over(event, true));
    for (const name of ["dragleave", "drop"]) this.zone.addEventListener(name, (event) => this.#over(event, false));
    this.zone.addEventListener("drop", (event) => this.send(event.dataTransfer.files[0]));
  }

  #offers() {
    const row = element("div", { class: "o-offers" });
    for (const piece of ["prelude", "band"]) {
      const name = this.accepts === "score" ? piece : `${piece}-played`;
      row.append(element("button", { type: "button", class: "o-small", onclick: () => this.example(name) }, `Example: ${piece}`));
    }
    const latest = element("button", { type: "button", class: "o-small", onclick: () => this.take(tabs.latest(this.accepts)) },
      this.accepts === "score" ? "Use my latest notes" : "Use my latest sound");
    latest.hidden = !tabs.latest(this.accepts);
    tabs.onLatest(() => (latest.hidden = !tabs.latest(this.accepts)));
    row.append(latest);
    return row;
  }

  #over(event, inside) {
    event.preventDefault();
    this.zone.classList.toggle("over", inside);
  }

  // Send a file of this computer to the studio, then show it.
  async send(file) {
    if (!file) return;
    await this.#trying(async () => {
      this.bar.hidden = false;
      this.bar.value = 0;
      const stored = await upload(file, (share) => (this.bar.value = share));
      await this.take(stored);
    });
    this.input.value = "";
  }

  async example(name) {
    await this.#trying(async () => this.take(await tabs.example(name)));
  }

  // Show a file that the studio has, and use it from now on.
  async take(file) {
    if (!file) return;
    await this.#trying(async () => {
      if (file.kind !== this.accepts) {
        const found = file.kind === "score" ? "notes" : "sound";
        const wanted = this.accepts === "score" ? "notes" : "sound";
        throw new Error(`${file.name} is ${found}, this takes ${wanted}; give ${NAMES[this.accepts]}`);
      }
      this.file = file;
      say(this.about, file.job_id ? facts(file) : facts(file) + remark(file));
      const timeline = await showFile(this.place, file);
      if (!this.place.contains(timeline)) return; // another one was given meanwhile
      this.timeline = timeline;
      timeline.select(this.selecting); // as the verb is by now
      timeline.addEventListener("regions", () => tabs.regionsDrawn(this.tab, timeline));
      tabs.regionsAgain(this.tab);
      if (file.kind === "score") this.#offerEditing();
      this.dispatchEvent(new CustomEvent("taken", { detail: file, bubbles: true }));
    });
  }

  #offerEditing() {
    const open = () => {
      button.hidden = true;
      const editor = new NoteEditor(this.timeline, this.file.name, (edited) =>
        edited ? this.send(edited) : this.take(this.file));
      this.timeline.after(editor.element);
    };
    const button = element("button", { type: "button", class: "o-small", onclick: open }, "Edit notes");
    this.place.append(element("div", { class: "o-row" }, button));
  }

  async #trying(action) {
    say(this.problem, "");
    try {
      await action();
    } catch (error) {
      say(this.problem, error.message);
    }
    this.bar.hidden = true;
  }

  complain(text) {
    say(this.problem, text);
    this.input.focus();
  }
}
