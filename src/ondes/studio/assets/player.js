// <ondes-player>: one transport for a source or a result: play, position, volume; parts to mute or solo; alternatives
// to switch between (A/B) at the same position. Timelines given to it show the playhead and set the position.

import { element, freshId, say, sentence } from "./element.js";
import { Mixer } from "./mixer.js";
import { clock } from "./regions.js";

const playing = new Set(); // one sounds at a time on the page

export function silenceOthers(but = null) {
  for (const each of playing) if (each !== but) each.mixer?.pause();
}

export class Player extends HTMLElement {
  // Tracks as Mixer's, those that exclude each other with `alternative: true`; `colours` of parts; timelines.
  show({ tracks, durationS, timelines = [], colours = [], onLevels = null, sampleRateHz = 44100 }) {
    this.mixer?.close();
    this.onLevels = onLevels;
    this.timelines = timelines;
    this.knownS = durationS;
    this.mixer = new Mixer(tracks, sampleRateHz, () => this.#changed());
    const alternatives = tracks.filter((track) => track.alternative);
    if (alternatives.length) this.mixer.only = tracks.indexOf(alternatives[0]);
    this.button = element("button", { class: "o-button o-play", type: "button", onclick: () => this.toggle() }, "▶ Play");
    this.slider = element("input", {
      type: "range", min: 0, max: durationS, step: 0.01, value: 0, "aria-label": "Position in seconds",
      oninput: () => this.mixer.seek(Number(this.slider.value)),
    });
    this.time = element("span", { class: "o-time" }, `0:00.0 / ${clock(durationS)}`);
    const volume = element("input", {
      type: "range", min: 0, max: 1, step: 0.01, value: 1, class: "o-volume", "aria-label": "Volume",
      oninput: (event) => this.mixer.setVolume(Number(event.target.value)),
    });
    this.problem = sentence("o-error", "alert");
    const transport = element("div", { class: "o-transport" }, this.button, this.slider, this.time, volume);
    this.replaceChildren(transport, this.problem);
    if (alternatives.length > 1) this.prepend(this.#switch(tracks));
    const parts = tracks.filter((track) => !track.alternative);
    if (parts.length > 1) this.append(this.#parts(tracks, colours));
    for (const timeline of timelines) {
      timeline.addEventListener("seek", (event) => this.mixer.seek(event.detail));
    }
  }

  #switch(tracks) {
    const name = freshId();
    const box = element("fieldset", { class: "o-switch" }, element("legend", {}, "Listen to"));
    tracks.forEach((track, index) => {
      if (!track.alternative) return;
      const radio = element("input", {
        type: "radio", name, value: index, checked: this.mixer.only === index,
        onchange: () => this.mixer.hearOnly(index),
      });
      box.append(element("label", {}, radio, element("span", {}, track.name)));
    });
    return box;
  }

  #parts(tracks, colours) {
    const list = element("ul", { class: "o-parts", "aria-label": "Parts" });
    tracks.forEach((track, index) => {
      if (track.alternative) return;
      const press = (what, sign, word) =>
        element(
          "button",
          {
            type: "button", class: "o-small", "aria-pressed": "false", "aria-label": `${word} ${track.name}`,
            title: word, onclick: (event) => {
              this.mixer.toggle(index, what);
              event.currentTarget.setAttribute("aria-pressed", String(this.mixer.tracks[index][what]));
              this.onLevels?.(this.mixer.levels);
            },
          },
          sign,
        );
      const dot = element("span", { class: "o-dot", style: `background:${colours[index] ?? "var(--o-wave)"}` });
      list.append(element("li", {}, dot, element("span", { class: "o-name" }, track.name),
        press("muted", "Mute", "Mute"), press("solo", "Solo", "Solo")));
    });
    return list;
  }

  async toggle() {
    if (this.mixer.isPlaying) return this.mixer.pause();
    silenceOthers(this);
    playing.add(this);
    say(this.problem, "");
    try {
      if (!this.mixer.context) this.button.textContent = "… Loading";
      await this.mixer.play();
    } catch (error) {
      say(this.problem, `This cannot be played: ${error.message}`);
    }
    this.#changed();
  }

  #changed() {
    const now = this.mixer.nowS;
    const whole = this.mixer.durationS || this.knownS;
    this.button.textContent = this.mixer.isPlaying ? "❚❚ Pause" : "▶ Play";
    this.slider.max = whole;
    this.slider.value = now;
    this.slider.setAttribute("aria-valuetext", `${now.toFixed(1)} seconds`);
    this.time.textContent = `${clock(now)} / ${clock(whole)}`;
    for (const timeline of this.timelines) timeline.setPlayhead(now);
  }

  disconnectedCallback() {
    this.mixer?.pause();
    playing.delete(this);
  }
}
