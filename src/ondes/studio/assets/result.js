// What a finished job made: pictures, player with A/B and parts, downloads, and where it can be used next.

import { fileUrl, getView } from "./api.js";
import { element } from "./element.js";
import { fileTrack, notesTrack } from "./mixer.js";
import { facts, remark, showScorePlayer, spectrogram } from "./showing.js";
import * as tabs from "./tabs.js";

const link = (text, url, name) => element("a", { class: "o-button o-download", href: url, download: name }, text);
const stem = (file) => file.name.replace(/\.[^.]+$/, "");
const partName = (file) => stem(file).replace(/^\d+-/, "");

// Which of a job's files are results to choose between, and which are parts of the first.
export function sorted(files, wantsStems) {
  const sounds = files.filter((file) => file.kind === "audio");
  const scores = files.filter((file) => file.kind === "score");
  const others = files.filter((file) => !["audio", "score"].includes(file.kind));
  if (wantsStems && sounds.length > 1) return { results: [sounds[0]], stems: sounds.slice(1), others };
  return { results: sounds.length ? sounds : scores, stems: [], others };
}

// Fill a place with all of it. `sources` are the files the job was given, by field.
export async function showResult(place, job, sources) {
  const { results, stems, others } = sorted(job.files, job.task.stems);
  if (!results.length) return;
  const body = element("div", { class: "o-place" });
  const more = element("div", { class: "o-more" });
  const show = async (file) => {
    for (const each of place.querySelectorAll("ondes-player")) each.mixer?.close();
    await (file.kind === "score" ? showScore(body, file, sources) : showSound(body, file, stems, sources));
    more.replaceChildren(downloads(file, stems, others, results), destinations(file));
    tabs.made(file);
  };
  const parts = results.length > 1 ? [chooser(results, show)] : [];
  place.replaceChildren(...parts, body, more);
  await show(results[0]);
}

function chooser(results, show) {
  const select = element("select", { "aria-label": "Which result", onchange: () => show(results[select.selectedIndex]) },
    ...results.map((file) => element("option", {}, file.name)));
  return element("label", { class: "o-chooser" }, "Result ", select);
}

async function showScore(body, file, sources) {
  const heading = element("p", { class: "o-facts" }, facts(file) + remark(file));
  const timeline = element("ondes-timeline", { class: "o-roll" });
  const player = element("ondes-player");
  const before = Object.values(sources).find((source) => source.kind === "score");
  const parts = element("div");
  body.replaceChildren(heading, parts, player);
  parts.append(timeline);
  const notes = await timeline.load(file.id, "notes");
  if (!before) return showScorePlayer(player, notes, [timeline]);
  // A/B of scores: each a mix of plain tones; parts can be muted where there is nothing to compare with.
  const source = await getView(before.id, "notes");
  const whole = (name, data) => ({ ...together(name, data), alternative: true });
  player.show({
    tracks: [whole("Result", notes), whole(`Source: ${before.name}`, source)],
    durationS: notes.duration_s, timelines: [timeline],
  });
  const solo = element("details", {}, element("summary", {}, "Listen to single parts"));
  const partPlayer = element("ondes-player");
  solo.append(partPlayer);
  body.append(solo);
  showScorePlayer(partPlayer, notes, [timeline]);
}

// All parts of a score as one track.
function together(name, notes) {
  const load = async (context) => {
    const parts = await Promise.all(notes.parts.map((_, part) => notesTrack("", notes, part, notes.duration_s).load(context)));
    const mix = context.createBuffer(1, Math.max(...parts.map((each) => each.length)), parts[0].sampleRate);
    const out = mix.getChannelData(0);
    for (const each of parts) each.getChannelData(0).forEach((sample, i) => (out[i] += sample));
    return mix;
  };
  return { name, load };
}

async function showSound(body, file, stems, sources) {
  const heading = element("p", { class: "o-facts" }, facts(file) + remark(file));
  const timeline = element("ondes-timeline", { class: "o-wave" });
  const player = element("ondes-player");
  body.replaceChildren(heading, timeline, spectrogram(file), player);
  const peaks = await timeline.load(file.id, "peaks");
  const timelines = [timeline];
  const score = Object.values(sources).find((source) => source.kind === "score");
  let colours = [];
  if (score) {
    const roll = await rollAbove(timeline, score);
    timelines.unshift(roll);
    colours = partColours(roll.notes, stems.length);
  }
  const sound = (name, each) => fileTrack(name, fileUrl(each.id));
  let tracks;
  if (stems.length) {
    tracks = stems.map((each) => sound(partName(each), each));
  } else {
    tracks = [{ ...sound("Result", file), alternative: true }];
    const several = Object.values(sources).filter((source) => source.kind === "audio").length > 1;
    for (const [field, source] of Object.entries(sources)) {
      const role = several ? `${field[0].toUpperCase()}${field.slice(1)}` : "Source";
      const other = source.kind === "audio" ? sound(`${role}: ${source.name}`, source) : await plain(source);
      tracks.push({ ...other, alternative: true });
    }
  }
  player.show({ tracks, durationS: peaks.duration_s, timelines, colours, sampleRateHz: file.sample_rate_hz });
}

const plain = async (score) => together("Source: plain tones", await getView(score.id, "notes"));

// A score above its sound, a second as wide as there.
async function rollAbove(timeline, score) {
  const roll = element("ondes-timeline", { class: "o-roll" });
  timeline.before(roll);
  await roll.load(score.id, "notes");
  roll.durationS = Math.max(roll.durationS, timeline.durationS);
  roll.draw();
  return roll;
}

// Colours of the parts with notes, where there is a file for each of them.
function partColours(notes, count) {
  const used = new Set(notes.notes.map((note) => note[4]));
  const colours = notes.parts.map((part) => part.colour).filter((_, index) => used.has(index));
  return colours.length === count ? colours : [];
}

function downloads(file, stems, others, results) {
  const row = element("div", { class: "o-row", role: "group", "aria-label": "Downloads" });
  if (file.kind === "audio") {
    row.append(link("WAV", fileUrl(file.id, "wav"), `${stem(file)}.wav`), link("FLAC", fileUrl(file.id, "flac"), `${stem(file)}.flac`));
    if (!/\.(wav|flac)$/.test(file.name)) row.append(link(file.name.split(".").at(-1).toUpperCase(), fileUrl(file.id), file.name));
    row.append(link("Spectrogram PNG", fileUrl(file.id, "mel.png"), `${stem(file)}.png`));
  } else {
    row.append(link("MIDI", fileUrl(file.id), file.name), link("Piano roll PNG", fileUrl(file.id, "roll.png"), `${stem(file)}.png`));
  }
  for (const each of stems) row.append(link(`Part: ${partName(each)}`, fileUrl(each.id), each.name));
  const record = recordOf(file, others, results);
  if (record) row.append(link("Replay JSON", fileUrl(record.id), record.name));
  for (const each of others) if (each.kind !== "record") row.append(link(each.name, fileUrl(each.id), each.name));
  return row;
}

// The record of one of several results has its place in the list.
function recordOf(file, others, results) {
  const records = others.filter((each) => each.kind === "record");
  return records.find((each) => each.name.startsWith(stem(file))) ?? records[results.indexOf(file)] ?? records[0];
}

function destinations(file) {
  const { uses } = document.querySelector("ondes-tabs");
  const fitting = uses.filter((use) => use.accepts === file.kind);
  const row = element("div", { class: "o-row", role: "group", "aria-label": "Use this result in another tab" },
    element("span", { class: "o-muted" }, "Use it in"));
  for (const use of fitting) {
    row.append(element("button", { type: "button", class: "o-small", onclick: () => tabs.giveTo(use.tab, use.field, file) }, use.title));
  }
  return row;
}
