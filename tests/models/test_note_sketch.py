from __future__ import annotations

import math

import pytest
import torch

from ondes.models.note_sketch import LOWEST_KEY, STEPS_PER_KEY, NoteSketch, partial_table, time_features
from ondes.representations.mel import MEL, to_log_mel
from ondes.representations.note_frames import NoteFrames, concert_key_hz, to_note_frames
from plain_notes import plain_notes  # pyright: ignore[reportMissingImports]

FRAMES = 24


@pytest.fixture(scope="module")
def sketch() -> NoteSketch:
    torch.manual_seed(3)
    return NoteSketch(width=8, embedding=4, partials=6, spec=MEL)


@pytest.fixture(scope="module")
def chord() -> NoteFrames:
    rows = [(0.0, 0.1, 50, 90, 0), (0.02, 0.2, 62, 70, 0), (0.1, 0.15, 69, 127, 0)]
    return to_note_frames(plain_notes(rows), start_frame=0, frames=FRAMES)


def with_features(notes: NoteFrames, **columns: float) -> NoteFrames:
    """The same pairs with some columns overwritten."""
    names = {"pitch": 2, "gain_db": 4, "pan": 5}
    features = notes.features.clone()
    for name, value in columns.items():
        features[:, names[name]] = value
    return NoteFrames(notes.frame, notes.instrument, features, notes.frames)


def chosen(notes: NoteFrames, rows: torch.Tensor) -> NoteFrames:
    """Some pairs, in the given order."""
    return NoteFrames(notes.frame[rows], notes.instrument[rows], notes.features[rows], notes.frames)


@pytest.mark.parametrize("key", [33.0, 48.0, 60.25, 69.0, 88.5, 108.0])
def test_a_row_of_the_table_is_the_spectrum_of_a_real_sine(key: float) -> None:
    hz = float(concert_key_hz(torch.tensor(key, dtype=torch.float64)))
    time_s = torch.arange(24 * MEL.hop_samples, dtype=torch.float64) / MEL.sample_rate_hz
    heard = to_log_mel(torch.sin(2 * math.pi * hz * time_s))[:, 6:18].exp().mean(1)
    row = partial_table(MEL)[round((key - LOWEST_KEY) * STEPS_PER_KEY)].double()
    loud = row > 0.01 * row.max()
    assert torch.allclose(row[loud], heard[loud], rtol=0.02)


def test_partials_beyond_the_table_are_silent(sketch: NoteSketch, chord: NoteFrames) -> None:
    high = with_features(chord, pitch=130.0)
    levels = torch.zeros(len(chord), 6)
    power = sketch._power(high, levels, torch.full((len(chord), 128), -40.0))
    fundamental = partial_table(MEL)[(130 + 1) * STEPS_PER_KEY].square()
    assert torch.allclose(power, fundamental.expand(len(chord), -1), rtol=1e-5)


def test_without_notes_the_sketch_is_the_floor(sketch: NoteSketch) -> None:
    made = sketch(to_note_frames(plain_notes([]), start_frame=0, frames=FRAMES))
    assert torch.allclose(made.sketch, torch.full((FRAMES, 2, 128), math.log(MEL.floor)))
    assert torch.equal(made.embedding, torch.zeros(FRAMES, 4))


def test_powers_add_over_notes(sketch: NoteSketch, chord: NoteFrames) -> None:
    # Each pair's own row tells which note it is of.
    first = chord.features[:, 2] == 50
    parts = [sketch(chosen(chord, rows.nonzero()[:, 0])) for rows in (first, ~first)]
    floor = MEL.floor**2
    power = torch.stack([(2 * part.sketch.double()).exp() - floor for part in parts]).sum(0) + floor
    whole = sketch(chord)
    assert torch.allclose(whole.sketch.double(), 0.5 * torch.as_tensor(power).log(), atol=1e-4)
    assert torch.allclose(whole.embedding, parts[0].embedding + parts[1].embedding, atol=1e-6)


def test_the_order_of_notes_changes_nothing(sketch: NoteSketch, chord: NoteFrames) -> None:
    shuffled = chosen(chord, torch.randperm(len(chord), generator=torch.Generator().manual_seed(0)))
    for ours, theirs in zip(sketch(chord), sketch(shuffled), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_sides_follow_gain_and_pan_by_closed_forms(sketch: NoteSketch, chord: NoteFrames) -> None:
    even = torch.zeros(len(chord))
    softer = sketch._sides(with_features(chord, gain_db=-12.0), even)
    assert torch.allclose(softer, torch.full_like(softer, 10**-1.2))
    right = sketch._sides(with_features(chord, pan=1.0), even)[0]
    assert right.tolist() == pytest.approx([2e-6, 2.0])
    left = sketch._sides(with_features(chord, pan=-0.5), even)[0]
    assert left.tolist() == pytest.approx([2 * math.cos(math.pi / 8) ** 2, 2 * math.sin(math.pi / 8) ** 2])
    leaning = sketch._sides(chord, torch.full((len(chord),), 0.3))[0]
    assert leaning.tolist() == pytest.approx([math.exp(0.3), math.exp(-0.3)], rel=1e-5)


def test_bands_without_a_partial_hold_the_free_spectrum_alone(sketch: NoteSketch, chord: NoteFrames) -> None:
    free = torch.randn(len(chord), 128, generator=torch.Generator().manual_seed(1))
    silent = torch.full((len(chord), 6), -40.0)
    assert torch.allclose(sketch._power(chord, silent, free), torch.exp(2 * free), rtol=1e-5)


def test_a_partial_lies_at_its_multiple_of_the_pitch(sketch: NoteSketch, chord: NoteFrames) -> None:
    levels = torch.full((len(chord), 6), -40.0)
    levels[:, 2] = 0.5
    power = sketch._power(with_features(chord, pitch=60.0), levels, torch.full((len(chord), 128), -40.0))
    third = round((60 + 12 * math.log2(3) - LOWEST_KEY) * STEPS_PER_KEY)
    expected = (partial_table(MEL)[third].square() * math.exp(1)).expand(len(chord), -1)
    assert torch.allclose(power, expected, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("pitch", [-30.0, 0.0, 127.0, 160.0])
def test_bent_far_beyond_the_table_everything_stays_finite(
    pitch: float, sketch: NoteSketch, chord: NoteFrames
) -> None:
    assert all(bool(part.isfinite().all()) for part in sketch(with_features(chord, pitch=pitch)))


def test_gradients_are_finite_and_reach_every_weight(chord: NoteFrames) -> None:
    torch.manual_seed(0)
    sketch = NoteSketch(width=8, embedding=4, partials=6, spec=MEL)
    made = sketch(chord)
    (made.sketch.square().mean() + made.embedding.square().mean()).backward()
    for name, weight in sketch.named_parameters():
        assert weight.grad is not None, name
        assert bool(weight.grad.isfinite().all()), name
        assert float(weight.grad.abs().max()) > 0, name


def test_time_features_step_at_the_event_and_decay_after_it() -> None:
    features = time_features(torch.tensor([-10.0, 0.0, 0.2, 100.0]))
    assert features[:, 0].tolist() == pytest.approx([0, 0.5, 1, 1], abs=1e-6)
    assert features[2, 4:].tolist() == pytest.approx(
        [math.exp(-0.2 / tau) for tau in (0.005, 0.02, 0.06, 0.2, 0.6, 2.0)]
    )
    assert bool(features.isfinite().all())


def test_a_small_sketch_learns_a_tone() -> None:
    torch.manual_seed(0)
    sketch = NoteSketch(width=16, embedding=2, partials=2, spec=MEL)
    notes = to_note_frames(plain_notes([(0.0, 0.4, 69, 100, 0)]), start_frame=4, frames=16)
    time_s = torch.arange(40 * MEL.hop_samples) / MEL.sample_rate_hz
    tone = to_log_mel(0.3 * torch.sin(2 * math.pi * 440 * time_s))[:, 8:24].T[:, None]
    optimiser = torch.optim.Adam(sketch.parameters(), lr=0.03)
    losses = []
    for _ in range(60):
        loss = (sketch(notes).sketch - tone).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.25 * losses[0]
    peak = sketch(notes).sketch[8, 0].argmax()
    assert int(peak) == int(tone[8, 0].argmax())
