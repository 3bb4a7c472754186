// What is seen and heard of a file: its facts, its pictures and its player. Sources and results share this.

import { fileUrl } from "./api.js";
import { element } from "./element.js";
import { fileTrack, notesTrack } from "./mixer.js";
import { clock } from "./regions.js";

// How far up, in percent, frequencies are on the mel scale of the pictures.
const MARKS = [[23, "1 kHz"], [63, "5 kHz"]];

export function facts(file) {
  const words = [file.name];
  if (file.duration_s) words.push(clock(file.duration_s));
  if (file.notes) words.push(`${file.notes} notes`);
  if (file.sample_rate_hz) words.push(`${file.sample_rate_hz} Hz`);
  if (file.channels) words.push(file.channels === 1 ? "mono" : file.channels === 2 ? "stereo" : `${file.channels} channels`);
  return words.join(" · ");
}

// What is odd about a file, as a sentence after its facts.
export function remark(file) {
  return file.report ? `. ${file.report[0].toUpperCase()}${file.report.slice(1)}.`.replace(/\.+$/, ".") : "";
}

// Tracks to hear a score by: its parts as plain tones.
export function scoreTracks(notes) {
  const named = notes.parts.map((part, index) => [part.name || `part ${index + 1}`, index]);
  const used = new Set(notes.notes.map((note) => note[4]));
  return named.filter(([, index]) => used.has(index)).map(([name, index]) => ({
    ...notesTrack(name, notes, index, notes.duration_s), part: index, colour: notes.parts[index].colour,
  }));
}

export function spectrogram(file) {
  // The picture has axes around it; here only its inside is seen, below the waveform and as wide.
  const picture = element("img", {
    src: fileUrl(file.id, "mel.png"), loading: "lazy", alt: `Mel spectrogram of ${file.name}, 0 to 22 kHz`,
  });
  const mark = (share, text) => element("span", { class: "o-hertz", style: `bottom:${share}%`, "aria-hidden": "true" }, text);
  return element("div", { class: "o-mel" }, picture, ...MARKS.map(([share, text]) => mark(share, text)));
}

// Fill a place with timeline, spectrogram and player of one file; returns the timeline.
export async function showFile(place, file) {
  const timeline = element("ondes-timeline", { class: file.kind === "score" ? "o-roll" : "o-wave" });
  const player = element("ondes-player");
  place.replaceChildren(timeline, player);
  const data = await timeline.load(file.id, file.kind === "score" ? "notes" : "peaks");
  if (file.kind === "score") {
    showScorePlayer(player, data, [timeline]);
  } else {
    timeline.after(spectrogram(file));
    const track = fileTrack(file.name, fileUrl(file.id));
    player.show({
      tracks: [track], durationS: data.duration_s, timelines: [timeline], sampleRateHz: file.sample_rate_hz ?? 44100,
    });
  }
  return timeline;
}

// Parts of a score as plain tones, to mute and solo; muted ones turn faint on the roll.
export function showScorePlayer(player, notes, timelines) {
  const tracks = scoreTracks(notes);
  const onLevels = (levels) => {
    for (const timeline of timelines) {
      timeline.muted = new Set(tracks.filter((_, index) => !levels[index]).map((track) => track.part));
      timeline.draw();
    }
  };
  const colours = tracks.map((track) => track.colour);
  player.show({ tracks, durationS: notes.duration_s, timelines, colours, onLevels });
}
