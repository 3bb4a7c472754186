"""Renders: pitch, time, level and completeness of what the players make."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from ondes.controls import Controls, Steps
from ondes.datasets import render
from ondes.datasets.channels import to_layers, to_midi_file
from ondes.datasets.render import find_soundfont, is_compressed, open_renderer
from ondes.errors import UserError
from ondes.score import notes_to_score, read_score, to_notes

needs_fluidsynth = pytest.mark.skipif(
    shutil.which("fluidsynth") is None, reason="fluidsynth is not installed"
)
BACKENDS = ["midirenderer", pytest.param("fluidsynth", marks=needs_fluidsynth)]


def level_db(samples):
    return 10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-20)


@pytest.mark.parametrize("backend", BACKENDS)
def test_rendered_a4_is_440_hz_within_5_cents(soundfont, notes_of, backend):
    audio = open_renderer(soundfont, backend).render(notes_of([(0.0, 2.0, 69, 100, 0)], (19,)))
    mono = audio.samples.mean(axis=0)[22050:66150]
    size = 2**20
    spectrum = np.abs(np.fft.rfft(mono * np.hanning(len(mono)), size))
    hz = np.fft.rfftfreq(size, 1 / 44100)
    near = (hz > 400) & (hz < 480)
    peak = hz[near][spectrum[near].argmax()]
    assert abs(1200 * np.log2(peak / 440)) < 5


@pytest.mark.parametrize("backend", BACKENDS)
def test_onsets_stand_within_5_ms_of_their_times(soundfont, notes_of, backend):
    times = np.cumsum(np.random.default_rng(0).uniform(0.4, 0.6, 20))
    notes = notes_of([(t, t + 0.1, 42, 110, 0) for t in times], (-1,))
    samples = np.abs(open_renderer(soundfont, backend).render(notes).samples).max(axis=0)
    errors_s = []
    for time_s in times:
        start = int((time_s - 0.05) * 44100)
        stretch = samples[start : start + 4410]
        errors_s.append((start + np.argmax(stretch > 0.02 * stretch.max())) / 44100 - time_s)
    assert np.abs(errors_s).max() < 0.005
    assert abs(np.mean(errors_s)) < 0.0015


@pytest.mark.parametrize("backend", BACKENDS)
def test_length_is_the_score_and_the_tail_to_the_sample(soundfont, notes_of, backend):
    notes = replace(notes_of([(0.25, 0.5, 60, 80, 0)]), duration_s=1.2345)
    audio = open_renderer(soundfont, backend, tail_s=0.5).render(notes)
    assert audio.sample_rate_hz == 44100
    assert audio.samples.shape == (2, round(1.7345 * 44100))
    assert audio.samples.dtype == np.float32


@needs_fluidsynth
def test_both_backends_play_at_one_level(soundfont, notes_of):
    rows = [(0.25 * i, 0.25 * i + 0.3, 48 + 3 * i % 24, 90, i % 3) for i in range(16)]
    rows += [(0.5 * i, 0.5 * i + 0.1, (36, 38)[i % 2], 100, 3) for i in range(8)]
    notes = notes_of(rows, (0, 48, 24, -1))
    ours, other = (
        open_renderer(soundfont, name).render(notes).samples for name in ("midirenderer", "fluidsynth")
    )
    assert abs(level_db(ours) - level_db(other)) < 1


def test_halving_cc7_takes_off_12_db(soundfont, notes_of):
    quiet = Controls(volume=Steps(np.zeros(1), np.full(1, 50.0), 100.0))
    renderer = open_renderer(soundfont, "midirenderer")
    rows = [(0.0, 1.0, 60, 127, 0)]
    loud, soft = (renderer.render(notes_of(rows, (0,), (c,))).samples for c in (Controls(), quiet))
    assert level_db(loud) - level_db(soft) == pytest.approx(40 * np.log10(2), abs=0.05)


def test_loud_scores_exceed_full_scale_and_are_not_clipped(soundfont, notes_of):
    rows = [(0.0, 1.0, 40 + i, 127, part) for i in range(8) for part in range(3)]
    loudest = tuple(Controls(volume=Steps(np.zeros(1), np.full(1, 127.0), 100.0)) for _ in range(3))
    renderer = open_renderer(soundfont, "midirenderer")
    loud = renderer.render(notes_of(rows, (61, 61, 61), loudest)).samples
    normal = renderer.render(notes_of(rows, (61, 61, 61))).samples
    assert np.abs(loud).max() > 1
    assert level_db(loud) - level_db(normal) == pytest.approx(40 * np.log10(1.27), abs=0.2)


def test_forty_held_piano_notes_keep_their_voices(soundfont, notes_of):
    rows = [(0.01 * i, 2.0, 36 + i, 60, 0) for i in range(40)]
    renderer = open_renderer(soundfont, "midirenderer")
    whole = renderer.render(notes_of(rows)).samples[:, :88200]
    halves = sum(renderer.render(notes_of(rows[i : i + 10])).samples[:, :88200] for i in range(0, 40, 10))
    assert level_db(whole - halves) < level_db(whole) - 40


def test_eighteen_parts_of_different_programs_all_sound(soundfont, notes_of):
    programs = tuple(range(0, 90, 5))
    notes = notes_of([(0.3 * part, 0.3 * part + 0.25, 60, 100, part) for part in range(18)], programs)
    samples = open_renderer(soundfont, "midirenderer").render(notes).samples
    for part in range(18):
        start = int((0.3 * part + 0.05) * 44100)
        assert level_db(samples[:, start : start + 8000]) > -60


def test_overlapping_notes_of_one_pitch_go_to_different_passes(notes_of):
    notes = notes_of([(0.0, 2.0, 60, 80, 0), (1.0, 1.5, 60, 80, 0), (2.0, 3.0, 60, 80, 0)])
    assert [layer.indices for layer in to_layers(notes, polyphony=24)] == [[0, 2], [1]]


def test_layers_hold_every_note_once_and_drums_sit_on_channel_10(notes_of):
    rng = np.random.default_rng(1)
    rows = [
        (t, t + 3.0, int(rng.integers(20, 100)), 80, int(rng.integers(0, 20))) for t in rng.uniform(0, 5, 300)
    ]
    notes = notes_of(rows, (*range(18), -1, -1))
    layers = to_layers(notes, polyphony=24)
    assert sorted(i for layer in layers for i in layer.indices) == list(range(300))
    for layer in layers:
        assert len(set(layer.channels.values())) == len(layer.channels)
        assert all((channel == 9) == (part >= 18) for part, channel in layer.channels.items())


def test_the_written_file_reads_back_as_the_notes(notes_of):
    bend = Steps(np.array([0.5, 0.75]), np.array([3.0, 0.0]), 0.0)
    swell = Steps(np.array([0.1, 0.2]), np.array([90.0, 110.0]), 127.0)
    part = Controls(bend=bend, expression=swell, pan_position=Steps(np.zeros(1), np.array([20.0]), 64.0))
    notes = notes_of([(0.1, 0.9, 60, 80, 0), (0.4, 1.1, 64, 90, 0)], (40,), (part,))
    (layer,) = to_layers(notes, polyphony=24)
    back = to_notes(read_score(to_midi_file(notes, layer, duration_s=2.0)))
    assert back.onset_s == pytest.approx(notes.onset_s, abs=1e-4)
    assert back.release_s == pytest.approx(notes.release_s, abs=1e-4)
    assert back.program.tolist() == [40, 40]
    times_s = np.array([0.05, 0.15, 0.3, 0.6, 0.8])
    back_part = back.parts[0].controls
    assert back_part.bend_semitones(times_s) == pytest.approx(part.bend_semitones(times_s), abs=1e-3)
    assert back_part.gain_db(times_s) == pytest.approx(part.gain_db(times_s))
    assert back_part.pan(times_s) == pytest.approx(part.pan(times_s))


def test_pedal_makes_notes_ring(soundfont, notes_of):
    pedal = Controls(sustain=Steps(np.array([0.0, 1.5]), np.array([127.0, 0.0]), 0.0))
    renderer = open_renderer(soundfont, "midirenderer")
    rows = [(0.0, 0.2, 60, 100, 0), (1.8, 2.0, 40, 1, 0)]
    dry, held = (to_notes(notes_to_score(notes_of(rows, (0,), (c,)))) for c in (Controls(), pedal))
    early = slice(int(1.0 * 44100), int(1.4 * 44100))
    difference = level_db(renderer.render(held).samples[:, early]) - level_db(
        renderer.render(dry).samples[:, early]
    )
    assert difference > 20


@pytest.mark.parametrize("backend", BACKENDS)
def test_light_reverb_adds_a_tail_and_dry_adds_none(soundfont, notes_of, backend):
    notes = notes_of([(0.0, 0.1, 76, 110, 0)], (115,))
    renderer = open_renderer(soundfont, backend)
    dry, light = (renderer.render(notes, reverb=name).samples for name in ("dry", "light"))
    tail = slice(int(0.6 * 44100), int(1.0 * 44100))
    assert level_db(dry[:, tail]) < -100
    assert -85 < level_db(light[:, tail]) < -50


@needs_fluidsynth
def test_both_halls_die_away_alike(soundfont, notes_of):
    notes = notes_of([(0.0, 0.1, 60, 110, 0), (0.0, 0.1, 76, 110, 1)], (13, 115))
    tails = []
    for backend in ("midirenderer", "fluidsynth"):
        renderer = open_renderer(soundfont, backend)
        dry, light = (renderer.render(notes, reverb=name).samples for name in ("dry", "light"))
        wet = (light - dry).reshape(2, -1, 4410)
        tails.append([level_db(wet[:, step]) for step in (2, 4, 6, 8)])
    difference = np.diff(tails, axis=0)
    assert np.ptp(difference) < 1.5  # the decay
    assert (
        np.abs(difference).max() < 7
    )  # the level, which the SoundFont's own sends change; 0 to 1 with FluidR3


def test_a_score_without_notes_is_silence(soundfont, notes_of):
    audio = open_renderer(soundfont, "midirenderer").render(replace(notes_of([]), duration_s=1.0))
    assert audio.duration_s == 3.0
    assert not audio.samples.any()


def test_bad_soundfonts_are_refused_in_one_line(tmp_path, soundfont):
    text = tmp_path / "a.sf2"
    text.write_text("hello")
    compressed = tmp_path / "b.sf3"
    head = bytearray(soundfont.read_bytes()[:4096])
    head[head.find(b"ifil") + 8] = 3
    compressed.write_bytes(head)
    assert is_compressed(compressed)
    with pytest.raises(UserError, match=r"missing\.sf2 does not exist"):
        open_renderer(tmp_path / "missing.sf2")
    with pytest.raises(UserError, match="is not a SoundFont"):
        open_renderer(text)
    with pytest.raises(UserError, match="use the fluidsynth backend"):
        open_renderer(compressed, "midirenderer")
    with pytest.raises(UserError, match="did you mean 'fluidsynth'"):
        open_renderer(soundfont, "fluidsyn")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_truncated_soundfont_is_one_line(tmp_path, soundfont, notes_of, backend):
    broken = tmp_path / "broken.sf2"
    broken.write_bytes(soundfont.read_bytes()[:100_000])
    with pytest.raises(UserError, match="cannot play with"):
        open_renderer(broken, backend).render(notes_of([(0.0, 0.2, 60, 80, 0)]))


def test_unknown_reverb_is_refused(soundfont, notes_of):
    with pytest.raises(UserError, match="unknown reverb 'wet'"):
        open_renderer(soundfont, "midirenderer").render(notes_of([]), reverb="wet")


def test_soundfont_is_found_by_the_environment(monkeypatch, soundfont, tmp_path):
    monkeypatch.setenv("ONDES_SOUNDFONT", str(soundfont))
    assert find_soundfont() == soundfont
    monkeypatch.setenv("ONDES_SOUNDFONT", str(tmp_path / "none.sf2"))
    with pytest.raises(UserError, match="does not exist"):
        find_soundfont()
    monkeypatch.delenv("ONDES_SOUNDFONT")
    monkeypatch.setattr(render, "SOUNDFONT_FOLDERS", (str(tmp_path),))
    with pytest.raises(UserError, match="fluid-soundfont-gm"):
        find_soundfont()
