// Writes the notes of a roll as a Standard MIDI File: one track a part; tempo and metre bar by bar, so that what was
// edited here keeps its bars elsewhere.

const TICKS = 480; // of a quarter note
const DRUM_CHANNEL = 9;

// The bytes of a file of {parts, notes, bars, metres} as the API's view of a score gives them.
export function writeMidi(data) {
  const ticks = tickScale(data);
  const tracks = [conductor(data, ticks)];
  data.parts.forEach((part, index) => tracks.push(partTrack(data, part, index, ticks)));
  const head = [...text("MThd"), ...int32(6), 0, 1, ...int16(tracks.length), ...int16(TICKS)];
  return new Uint8Array([...head, ...tracks.flat()]);
}

// A function from seconds to ticks, straight within every bar.
function tickScale({ bars, metres }) {
  if (!metres?.length) return (seconds) => Math.round(seconds * 2 * TICKS);
  const starts = [0];
  for (const [, , quarters] of metres) starts.push(starts.at(-1) + quarters * TICKS);
  return (seconds) => {
    const found = bars.findLastIndex((bar) => bar <= seconds);
    const bar = Math.min(Math.max(found, 0), metres.length - 1);
    const share = (seconds - bars[bar]) / (bars[bar + 1] - bars[bar]);
    return Math.max(0, Math.round(starts[bar] + share * (starts[bar + 1] - starts[bar])));
  };
}

// Tempos and metres, each where it changes.
function conductor({ bars, metres }, ticks) {
  const events = [];
  let before = ["", 0];
  for (const [index, [numerator, denominator, quarters]] of (metres ?? []).entries()) {
    const at = ticks(bars[index]);
    const tempo = Math.round((1e6 * (bars[index + 1] - bars[index])) / quarters);
    const metre = `${numerator}/${denominator}`;
    if (metre !== before[0]) events.push([at, 0, [0xff, 0x58, 4, numerator, Math.round(Math.log2(denominator)), 24, 8]]);
    // Seconds are rounded to 0.1 ms, so that tempos differ where nothing changed.
    if (Math.abs(tempo - before[1]) > 2e-4 * tempo) events.push([at, 1, [0xff, 0x51, 3, ...int32(tempo).slice(1)]]);
    before = [metre, Math.abs(tempo - before[1]) > 2e-4 * tempo ? tempo : before[1]];
  }
  return track(events);
}

function partTrack(data, part, index, ticks) {
  const melodic = data.parts.slice(0, index).filter((each) => !each.is_drum).length % 15;
  const channel = part.is_drum ? DRUM_CHANNEL : melodic + (melodic >= DRUM_CHANNEL ? 1 : 0);
  const name = [...new TextEncoder().encode(part.name)].slice(0, 120);
  const events = [
    [0, 0, [0xff, 0x03, name.length, ...name]],
    [0, 1, [0xc0 | channel, part.program]],
  ];
  for (const [onset, release, pitch, velocity, owner] of data.notes) {
    if (owner !== index) continue;
    const from = ticks(onset);
    events.push([from, 3, [0x90 | channel, pitch, velocity]]);
    events.push([Math.max(ticks(release), from + 1), 2, [0x80 | channel, pitch, 0]]);
  }
  return track(events);
}

// Events [tick, order within a tick, bytes] as a track.
function track(events) {
  const bytes = [];
  let now = 0;
  for (const [at, , event] of events.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    bytes.push(...variable(at - now), ...event);
    now = at;
  }
  bytes.push(0, 0xff, 0x2f, 0);
  return [...text("MTrk"), ...int32(bytes.length), ...bytes];
}

const text = (word) => [...word].map((letter) => letter.charCodeAt(0));
const int16 = (value) => [(value >> 8) & 255, value & 255];
const int32 = (value) => [(value >>> 24) & 255, (value >> 16) & 255, (value >> 8) & 255, value & 255];

// A variable-length quantity: seven bits a byte, the highest bit says that more follow.
function variable(value) {
  const bytes = [value & 127];
  for (let rest = value >> 7; rest; rest >>= 7) bytes.unshift((rest & 127) | 128);
  return bytes;
}
