// <ondes-timeline>: a waveform or a piano roll over time, in which stretches can be selected with the mouse, a finger
// or the keyboard. Two canvases: the picture, drawn when it changes, and above it selection, cursor and playhead.

import { getView } from "./api.js";
import { clock, merged } from "./regions.js";

const RULER = 18; // pixels of the time axis
const KEY_STEP_S = 0.1;

export class Timeline extends HTMLElement {
  constructor() {
    super();
    this.regions = [];
    this.playheadS = null;
    this.durationS = 0;
    this.selects = null; // "seconds", "bars" or null
    this.cursorS = 0;
    this.muted = new Set(); // parts that are drawn faintly
  }

  connectedCallback() {
    if (this.picture) return;
    this.innerHTML = `<canvas></canvas><canvas class="over"></canvas><p class="o-hint" hidden></p>`;
    [this.picture, this.over] = this.querySelectorAll("canvas");
    this.hint = this.querySelector(".o-hint");
    this.resizing = new ResizeObserver(() => this.draw());
    this.resizing.observe(this);
    this.theme = new MutationObserver(() => this.draw());
    this.theme.observe(document.body, { attributes: true, attributeFilter: ["class"] });
    this.over.addEventListener("pointerdown", (event) => this.#press(event));
    this.over.addEventListener("keydown", (event) => this.#key(event));
  }

  // What to show: `peaks` or `notes` of a file.
  async load(fileId, view) {
    const data = await getView(fileId, view);
    this[view] = data;
    this.fileId = fileId;
    // The API's bars end with the end of the last one.
    this.bars = data.bars?.slice(0, -1) ?? null;
    this.durationS = Math.max(data.duration_s, data.bars?.at(-1) ?? 0, 0.01);
    this.#label(view);
    this.draw();
    return data;
  }

  select(kind) {
    this.selects = kind;
    this.classList.toggle("selectable", Boolean(kind));
    if (this.over) this.#label(this.notes ? "notes" : "peaks");
  }

  // Let an editor have the pointer and the keys, or none.
  edit(editor) {
    this.editor = editor;
    this.over.style.cursor = editor ? "default" : "";
    if (editor) {
      this.over.tabIndex = 0;
      this.over.removeAttribute("aria-hidden");
      this.over.setAttribute("role", "application");
      this.over.setAttribute("aria-label", "Piano roll: edit notes");
    } else {
      this.#label("notes");
    }
    this.draw();
  }

  #label(view) {
    const what = view === "notes" ? "Piano roll" : "Waveform";
    this.picture.setAttribute("role", "img");
    this.picture.setAttribute("aria-label", `${what}, ${clock(this.durationS)} long`);
    this.hint.hidden = !this.selects;
    if (this.selects) {
      const step = this.selects === "bars" ? "a bar" : `${KEY_STEP_S} s`;
      this.hint.textContent = `Drag to select. Keys: ← → move by ${step}, with Shift select, Delete removes, Escape clears.`;
      this.over.tabIndex = 0;
      this.over.setAttribute("role", "application");
      this.over.setAttribute("aria-label", `${what}: select ${this.selects}. ${this.hint.textContent}`);
    } else {
      this.regions = [];
      this.over.removeAttribute("tabindex");
      this.over.setAttribute("aria-hidden", "true");
    }
  }

  setRegions(regions, tell = false) {
    this.regions = merged(regions);
    this.#drawOver();
    if (tell) this.dispatchEvent(new CustomEvent("regions", { detail: this.regions, bubbles: true }));
  }

  // --- selecting -----------------------------------------------------------------------------------------------

  timeAt(event) {
    const box = this.over.getBoundingClientRect();
    const share = (event.clientX - box.left) / Math.max(box.width, 1);
    return Math.min(Math.max(share, 0), 1) * this.durationS;
  }

  // Ends of the stretch between two times: of whole bars on a roll, of 10 ms on a waveform.
  #stretch(from, to) {
    const [low, high] = from < to ? [from, to] : [to, from];
    if (this.selects === "bars" && this.bars?.length) {
      const borders = [...this.bars, this.durationS];
      return [borders.findLast((bar) => bar <= low) ?? 0, borders.find((bar) => bar >= high) ?? this.durationS];
    }
    return [Math.round(low * 100) / 100, Math.min(Math.round(high * 100) / 100, this.durationS)];
  }

  #press(event) {
    if (event.button !== 0) return;
    if (this.editor) {
      event.preventDefault();
      this.over.focus({ preventScroll: true });
      this.editor.press(event);
      return;
    }
    const from = this.timeAt(event);
    if (!this.selects) {
      this.dispatchEvent(new CustomEvent("seek", { detail: from, bubbles: true }));
      return;
    }
    event.preventDefault();
    this.over.focus({ preventScroll: true });
    // Of bars there is one range; a new one takes its place.
    const before = this.selects === "bars" ? [] : this.regions;
    const move = (moved) => {
      const [a, b] = this.#stretch(from, this.timeAt(moved));
      if (b > a) this.setRegions([...before, [a, b]]);
    };
    this.follow(event, move, (released) => {
      const [a, b] = this.#stretch(from, this.timeAt(released));
      const isClick = Math.abs(released.clientX - event.clientX) < 4;
      if (isClick) this.#clicked(from, before);
      else if (b > a) this.setRegions([...before, [a, b]], true);
    });
  }

  // Call back while a pressed pointer moves, and when it is released.
  follow(event, onMove, onUp = () => {}) {
    this.over.setPointerCapture(event.pointerId);
    this.over.addEventListener("pointermove", onMove);
    const up = (released) => {
      this.over.removeEventListener("pointermove", onMove);
      onUp(released);
    };
    this.over.addEventListener("pointerup", up, { once: true });
  }

  // Time and pitch under the pointer.
  pointAt(event) {
    const box = this.over.getBoundingClientRect();
    const { semitone, highest } = this.pitchScale(this.over.clientHeight - RULER);
    const pitch = Math.round(highest - (event.clientY - box.top) / semitone + 0.5);
    return { time: this.timeAt(event), pitch: Math.min(Math.max(pitch, 0), 127) };
  }

  // Index of the note under the pointer, the one drawn last of several; -1 where there is none.
  noteAt(event) {
    const { time, pitch } = this.pointAt(event);
    const slack = (3 / Math.max(this.over.clientWidth, 1)) * this.durationS;
    return this.notes.notes.findLastIndex(
      ([onset, release, each]) => Math.abs(each - pitch) < 1 && onset - slack <= time && time <= release + slack,
    );
  }

  // A click on a region removes it; elsewhere on a roll it adds the bar, on a waveform it moves the cursor.
  #clicked(time, before) {
    this.cursorS = time;
    const others = this.regions.filter(([from, to]) => time < from || time > to);
    if (others.length < this.regions.length) this.setRegions(others, true);
    else if (this.selects === "bars") this.setRegions([...before, this.#stretch(time, time + 1e-6)], true);
    else this.setRegions(before);
  }

  #key(event) {
    if (this.editor) {
      if (this.editor.key(event)) event.preventDefault();
      return;
    }
    if (!this.selects) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) {
      const from = this.cursorS;
      this.cursorS = this.#stepped(from, step);
      if (event.shiftKey) this.setRegions([...this.regions, this.#stretch(from, this.cursorS)], true);
      else this.#drawOver();
    } else if (event.key === "Delete" || event.key === "Backspace") {
      const under = this.regions.findIndex(([a, b]) => a <= this.cursorS && this.cursorS <= b);
      this.setRegions(this.regions.toSpliced(under, 1), true);
    } else if (event.key === "Escape") {
      this.setRegions([], true);
    } else if (event.key === "Home") {
      this.cursorS = 0;
      this.#drawOver();
    } else return;
    event.preventDefault();
  }

  #stepped(time, step) {
    if (this.selects === "bars" && this.bars?.length) {
      const borders = [...this.bars, this.durationS];
      const next = step > 0 ? borders.find((b) => b > time + 1e-6) : borders.findLast((b) => b < time - 1e-6);
      return next ?? (step > 0 ? this.durationS : 0);
    }
    return Math.min(Math.max(Math.round((time + step * KEY_STEP_S) * 1000) / 1000, 0), this.durationS);
  }

  // --- drawing -------------------------------------------------------------------------------------------------

  #context(canvas) {
    const scale = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = canvas;
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    const context = canvas.getContext("2d");
    context.scale(scale, scale);
    return { context, width, height: height - RULER };
  }

  colour(name) {
    return getComputedStyle(this).getPropertyValue(name).trim();
  }

  draw() {
    if (!this.picture?.clientWidth) return;
    const { context, width, height } = this.#context(this.picture);
    this.#ruler(context, width, height);
    if (this.peaks) this.#wave(context, width, height);
    if (this.notes) this.#roll(context, width, height);
    this.#drawOver();
  }

  #ruler(context, width, height) {
    const x = (time) => (time / this.durationS) * width;
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300];
    const step = steps.find((each) => x(each) >= 64) ?? 600;
    context.fillStyle = this.colour("--o-muted");
    context.strokeStyle = this.colour("--o-line");
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    for (let k = 0; k * step <= this.durationS; k++) {
      const at = x(k * step);
      context.fillRect(at, height, 1, 4);
      if (at < width - 34) context.fillText(clock(k * step), at + 3, height + RULER / 2 + 1);
    }
  }

  #wave(context, width, height) {
    const { minima, maxima } = this.peaks;
    const middle = height / 2;
    const loudest = Math.max(0.05, ...maxima.map(Math.abs), ...minima.map(Math.abs));
    context.fillStyle = this.colour("--o-line");
    context.fillRect(0, middle, width, 1);
    context.fillStyle = this.colour("--o-wave");
    for (let x = 0; x < width; x++) {
      const first = Math.floor((x / width) * maxima.length);
      const last = Math.max(first + 1, Math.floor(((x + 1) / width) * maxima.length));
      const high = Math.max(...maxima.slice(first, last)) / loudest;
      const low = Math.min(...minima.slice(first, last)) / loudest;
      context.fillRect(x, middle - high * (middle - 3), 1, Math.max(1, (high - low) * (middle - 3)));
    }
  }

  // Where a pitch is drawn: [its top, the height of one semitone].
  pitchScale(height) {
    let [lowest, highest] = [58, 62];
    for (const [, , pitch] of this.notes.notes) {
      lowest = Math.min(lowest, pitch - 2);
      highest = Math.max(highest, pitch + 2);
    }
    const semitone = height / (highest - lowest + 1);
    return { top: (pitch) => (highest - pitch) * semitone, semitone, highest };
  }

  #roll(context, width, height) {
    const { top, semitone } = this.pitchScale(height);
    const x = (time) => (time / this.durationS) * width;
    context.fillStyle = this.colour("--o-line");
    for (const bar of this.bars ?? []) context.fillRect(x(bar), 0, 1, height);
    for (let pitch = 0; pitch <= 127; pitch += 12) {
      if (top(pitch) < 0 || top(pitch) > height) continue;
      context.fillStyle = this.colour("--o-line");
      context.fillRect(0, top(pitch) + semitone, width, 1);
      context.fillStyle = this.colour("--o-muted");
      context.fillText(`C${pitch / 12 - 1}`, 2, Math.max(top(pitch) + semitone - 7, 7));
    }
    for (const [index, [onset, release, pitch, velocity, part]] of this.notes.notes.entries()) {
      context.globalAlpha = (this.muted.has(part) ? 0.15 : 1) * (0.45 + (0.55 * velocity) / 127);
      context.fillStyle = this.notes.parts[part].colour;
      const tall = Math.max(semitone - 0.5, 2);
      context.fillRect(x(onset), top(pitch), Math.max(x(release) - x(onset) - 0.5, 1.5), tall);
      if (this.chosen?.has(index)) {
        context.globalAlpha = 1;
        context.strokeStyle = this.colour("--o-text");
        context.lineWidth = 2;
        context.strokeRect(x(onset), top(pitch), Math.max(x(release) - x(onset), 3), tall);
      }
    }
    context.globalAlpha = 1;
    this.#barNumbers(context, x);
  }

  // As the option "Bars" counts them: from 1, and not all where they would touch.
  #barNumbers(context, x) {
    const bars = this.bars ?? [];
    if (bars.length < 2) return;
    const least = Math.min(...bars.slice(1).map((bar, index) => x(bar) - x(bars[index])));
    const every = [1, 2, 4, 8, 16, 32, 64, 128].find((each) => each * least >= 28) ?? 256;
    context.fillStyle = this.colour("--o-muted");
    for (let number = 0; number < bars.length; number += every) {
      // The first has the names of the octaves beside it.
      if (number) context.fillText(String(number + 1), x(bars[number]) + 3, 8);
    }
  }

  setPlayhead(seconds) {
    this.playheadS = seconds;
    this.#drawOver();
  }

  #drawOver() {
    if (!this.over?.clientWidth) return;
    const { context, width, height } = this.#context(this.over);
    const x = (time) => (time / this.durationS) * width;
    for (const [from, to] of this.regions) {
      context.fillStyle = this.colour("--o-region");
      context.fillRect(x(from), 0, x(to) - x(from), height);
      context.fillStyle = this.colour("--o-accent");
      context.fillRect(x(from), 0, 2, height);
      context.fillRect(x(to) - 2, 0, 2, height);
    }
    if (this.selects) {
      context.fillStyle = this.colour("--o-muted");
      context.fillRect(Math.min(x(this.cursorS), width - 1), 0, 1, height);
    }
    if (this.playheadS !== null) {
      context.fillStyle = this.colour("--o-text");
      context.fillRect(x(Math.min(this.playheadS, this.durationS)), 0, 2, height);
    }
  }
}
