// Plays audio while the studio makes it: 16-bit samples arrive by fetch and are scheduled one after the other, so
// that no sound card knows where one block ends. `window.ondesStats` has what tests measure.

const START_S = 0.12; // how much audio must be there before it begins; more only delays the first sound
const AGAIN_S = 1.5; // how much must be there before it goes on after a gap: one long gap is better than many
const USUAL_RATE_HZ = 44100;
const LATENESS_S = 0.02; // blocks are scheduled at least so far ahead

export class LivePlayer {
  constructor(jobId, clickedAt, onState) {
    this.jobId = jobId;
    this.clickedAt = clickedAt;
    this.onState = onState ?? (() => {});
    this.abort = new AbortController();
    this.waiting = []; // received, not yet scheduled
    this.stats = {
      job: jobId, first_block_ms: null, first_sound_ms: null, gaps: 0, gap_s: 0, received_s: 0, blocks: 0,
      sample_rate_hz: null, channels: null, ended: false,
    };
    window.ondesStats = this.stats;
    // Opening the sound card takes up to half a second: it is done while the first block is made.
    this.context = new AudioContext({ sampleRate: USUAL_RATE_HZ });
  }

  // Resolves when the last block has been received.
  async play() {
    try {
      const answer = await fetch(`/v1/stream/${this.jobId}`, { signal: this.abort.signal });
      if (!answer.ok) return;
      const reader = answer.body.getReader();
      let pending = new Uint8Array(0);
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        pending = this.#take(joined(pending, value));
      }
      if (this.waiting.length) this.#begin();
    } catch (error) {
      if (error.name !== "AbortError") console.warn(`listening stopped: ${error.message}`);
    } finally {
      this.stats.ended = true;
      if (this.beganAt === undefined) this.stop(); // nothing was streamed
      this.onState(this);
    }
  }

  // Bytes that are left over: half a header or half a sample.
  #take(bytes) {
    let rest = bytes;
    if (!this.format) {
      const found = wavFormat(bytes);
      if (!found) return bytes;
      this.format = found;
      Object.assign(this.stats, { sample_rate_hz: found.rate, channels: found.channels });
      rest = bytes.subarray(found.begins);
    }
    const frame = 2 * this.format.channels;
    const whole = Math.floor(rest.length / frame) * frame;
    if (whole) this.#block(rest.slice(0, whole));
    return rest.slice(whole);
  }

  #block(bytes) {
    const { rate, channels } = this.format;
    const samples = new Int16Array(bytes.buffer, 0, bytes.length / 2);
    const frames = samples.length / channels;
    this.stats.first_block_ms ??= performance.now() - this.clickedAt;
    this.stats.blocks += 1;
    this.stats.received_s += frames / rate;
    if (this.context?.sampleRate !== rate) {
      this.context?.close();
      this.context = new AudioContext({ sampleRate: rate });
    }
    const buffer = this.context.createBuffer(channels, frames, rate);
    for (let channel = 0; channel < channels; channel++) {
      const out = buffer.getChannelData(channel);
      for (let i = 0; i < frames; i++) out[i] = samples[i * channels + channel] / 32768;
    }
    if (this.#ranDry()) {
      this.stats.gaps += 1;
      this.silentSince = this.next;
      this.next = undefined;
    }
    if (this.next === undefined) this.#wait(buffer);
    else this.#schedule(buffer);
    this.onState(this);
  }

  #ranDry() {
    return this.next !== undefined && this.context.state === "running" && this.next < this.context.currentTime;
  }

  #wait(buffer) {
    this.waiting.push(buffer);
    const there = this.waiting.reduce((sum, each) => sum + each.duration, 0);
    if (there >= (this.beganAt === undefined ? START_S : AGAIN_S)) this.#begin();
  }

  #begin() {
    this.context.resume().catch(() => {}); // it may be stopped before the sound card is open
    this.next = this.context.currentTime + LATENESS_S;
    if (this.beganAt === undefined) {
      this.beganAt = this.next;
      this.stats.first_sound_ms = performance.now() - this.clickedAt + 1000 * LATENESS_S;
    } else {
      this.stats.gap_s += this.next - this.silentSince;
    }
    for (const buffer of this.waiting) this.#schedule(buffer);
    this.waiting = [];
  }

  #schedule(buffer) {
    const source = new AudioBufferSourceNode(this.context, { buffer });
    source.connect(this.context.destination);
    source.start(this.next);
    this.next += buffer.duration;
  }

  get playedS() {
    if (this.beganAt === undefined) return 0;
    const heard = Math.min(this.context.currentTime, this.next ?? this.silentSince) - this.beganAt - this.stats.gap_s;
    return Math.max(0, heard);
  }

  get isHeard() {
    if (this.beganAt === undefined || this.context.state !== "running") return false;
    return this.next === undefined || this.context.currentTime < this.next;
  }

  async pause() {
    await (this.context?.state === "running" ? this.context.suspend() : this.context?.resume());
    this.onState(this);
  }

  stop() {
    this.abort.abort();
    if (this.context && this.context.state !== "closed") this.context.close();
    this.context = undefined;
    this.beganAt = undefined;
  }
}

function joined(first, second) {
  if (!first.length) return second;
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

// Rate, channels and where the samples begin, once the header of a WAV file is there; else null.
export function wavFormat(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 12;
  let format = null;
  while (at + 8 <= bytes.length) {
    const name = String.fromCharCode(...bytes.subarray(at, at + 4));
    const size = view.getUint32(at + 4, true);
    if (name === "data") return format && { ...format, begins: at + 8 };
    if (name === "fmt " && at + 24 <= bytes.length) {
      format = { channels: view.getUint16(at + 10, true), rate: view.getUint32(at + 12, true) };
    }
    at += 8 + size + (size % 2);
  }
  return null;
}
