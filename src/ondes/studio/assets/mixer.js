// Plays tracks that belong together (the parts of a piece; a result and its source) from one clock, to the sample:
// switching between them or muting one never moves the position.

const RAMP_S = 0.008; // mutes glide, so that they do not click
const MOST_BYTES = 1.5e9; // of decoded samples; beyond, the browser would rather die than say so

export class Mixer {
  // Tracks are {name, load(context) -> AudioBuffer}; `onChange` hears of every change of state.
  constructor(tracks, sampleRateHz, onChange) {
    this.sampleRateHz = sampleRateHz;
    this.tracks = tracks.map((track) => ({ ...track, muted: false, solo: false }));
    this.only = null; // index of the one track that is heard, where tracks are alternatives
    this.onChange = onChange ?? (() => {});
    this.positionS = 0;
    this.volume = 1;
    this.sources = [];
  }

  async #ready() {
    if (this.context) return;
    this.context = new AudioContext({ sampleRate: this.sampleRateHz });
    this.master = new GainNode(this.context, { gain: this.volume });
    this.master.connect(this.context.destination);
    const load = (track) => track.load(this.context);
    const buffers = await Promise.all(this.tracks.map(load));
    this.tracks.forEach((track, index) => {
      track.buffer = buffers[index];
      track.gain = new GainNode(this.context, { gain: this.#level(index) });
      track.gain.connect(this.master);
    });
    const bytes = buffers.reduce((sum, each) => sum + 4 * each.length * each.numberOfChannels, 0);
    if (bytes > MOST_BYTES) throw new Error("this is too long to be mixed here; download the files instead");
  }

  get durationS() {
    return Math.max(0, ...this.tracks.map((track) => track.buffer?.duration ?? 0));
  }

  get isPlaying() {
    return this.sources.length > 0;
  }

  get nowS() {
    if (!this.isPlaying) return this.positionS;
    const at = this.positionS + this.context.currentTime - this.startedAt;
    return Math.max(this.positionS, Math.min(at, this.durationS));
  }

  async play() {
    await this.#ready();
    await this.context.resume();
    if (this.isPlaying) return;
    if (this.positionS >= this.durationS - 0.01) this.positionS = 0;
    this.startedAt = this.context.currentTime + 0.02;
    for (const track of this.tracks) {
      const source = new AudioBufferSourceNode(this.context, { buffer: track.buffer });
      source.connect(track.gain);
      source.start(this.startedAt, Math.min(this.positionS, track.buffer.duration));
      this.sources.push(source);
    }
    this.#follow();
    this.onChange();
  }

  pause() {
    if (!this.isPlaying) return;
    this.positionS = this.nowS;
    this.#silence();
    this.onChange();
  }

  async seek(seconds) {
    const goesOn = this.isPlaying;
    this.#silence();
    this.positionS = Math.max(0, seconds);
    if (goesOn) await this.play();
    this.onChange();
  }

  #silence() {
    for (const source of this.sources) source.stop();
    this.sources = [];
  }

  #follow() {
    const tick = () => {
      if (!this.isPlaying) return;
      if (this.nowS >= this.durationS - 1e-3) {
        this.#silence();
        this.positionS = 0;
      }
      this.onChange();
      if (this.isPlaying) requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  #level(index) {
    const track = this.tracks[index];
    if (this.only !== null && track.alternative) return index === this.only ? 1 : 0;
    const anySolo = this.tracks.some((each) => each.solo);
    return track.muted || (anySolo && !track.solo) ? 0 : 1;
  }

  // What is heard of each track, 0 or 1.
  get levels() {
    return this.tracks.map((_, index) => this.#level(index));
  }

  #apply() {
    this.tracks.forEach((track, index) => {
      track.gain?.gain.setTargetAtTime(this.#level(index), this.context.currentTime, RAMP_S);
    });
    this.onChange();
  }

  toggle(index, what) {
    this.tracks[index][what] = !this.tracks[index][what];
    this.#apply();
  }

  hearOnly(index) {
    this.only = index;
    this.#apply();
  }

  setVolume(volume) {
    this.volume = volume;
    if (this.master) this.master.gain.value = volume;
  }

  close() {
    this.#silence();
    this.context?.close();
  }
}

// A track of an audio file of the studio.
export function fileTrack(name, url) {
  const load = async (context) => {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`${name} is no longer there; make it again`);
    return context.decodeAudioData(await answer.arrayBuffer());
  };
  return { name, load };
}

// A plain rendering of one part's notes, to hear a score without a model: one oscillator a note.
export function notesTrack(name, notes, part, durationS) {
  const isDrum = notes.parts[part].is_drum;
  const load = (context) => {
    const rate = 22050;
    const offline = new OfflineAudioContext(1, Math.ceil((durationS + 0.5) * rate), rate);
    for (const [onset, release, pitch, velocity, owner] of notes.notes) {
      if (owner === part) plainNote(offline, onset, isDrum ? onset + 0.06 : release, pitch, velocity, isDrum);
    }
    return offline.startRendering();
  };
  return { name, load };
}

function plainNote(context, onset, release, pitch, velocity, isDrum) {
  const loud = 0.12 * (velocity / 127) ** 1.5;
  const end = Math.max(release, onset + 0.05);
  const gain = new GainNode(context, { gain: 0 });
  gain.gain.setValueAtTime(0, onset);
  gain.gain.linearRampToValueAtTime(loud, onset + 0.008);
  gain.gain.exponentialRampToValueAtTime(loud * 0.3, end);
  gain.gain.linearRampToValueAtTime(0, end + 0.03);
  const frequency = isDrum ? 60 + 40 * (pitch - 35) : 440 * 2 ** ((pitch - 69) / 12);
  const tone = new OscillatorNode(context, { type: isDrum ? "square" : "triangle", frequency });
  tone.connect(gain).connect(context.destination);
  tone.start(onset);
  tone.stop(end + 0.04);
}
