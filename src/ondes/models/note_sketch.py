"""From notes to frames: an embedding a frame, and a sketch of the log-mel spectrogram the notes should make.

The sketch is a small differentiable additive synthesiser in the mel domain. Each note that takes part in a frame has
partials, whose place on the mel axis follows from the pitch and whose strength a small network gives, and a free
spectrum for everything that is not harmonic. Powers add over notes. So the network need not learn where a harmonic
lies, and a chord never heard before is the sum of notes heard before.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ondes.representations.mel import MelSpec, mel_filters
from ondes.representations.note_frames import FEATURES, INSTRUMENTS, NoteFrames, concert_key_hz

STEPS_PER_KEY = 8
"""Resolution of the table of partials, in parts of a semitone."""

LOWEST_KEY = -1.0
TABLE_KEYS = 137
"""The table of partials spans these keys: from below 8 Hz to 20.9 kHz; partials beyond are not sketched."""

TIME_CONSTANTS_S = (0.005, 0.02, 0.06, 0.2, 0.6, 2.0)
"""Decays offered to the network for the time since onset and the time to or since release."""

EDGE_S = 0.012
"""Width of the smooth step at an onset or release, about a hop."""


class FrameConditions(NamedTuple):
    """What notes say of frames.

    Attributes:
        sketch: Log-mel of the sketch, left and right (frames, 2, bands).
        embedding: Sum over the notes of what else there is to say (frames, width).
    """

    sketch: Tensor
    embedding: Tensor


def partial_table(spec: MelSpec) -> Float[Tensor, "steps bands"]:
    """Mel spectra of sinusoids of amplitude 1, one row an eighth of a semitone from `LOWEST_KEY` on.

    The transform of a periodic Hann window at the distance x of a bin, in bins, is N/2 sinc(x) / (1 - x^2).
    Sinusoids above half the sample rate have no spectrum.
    """
    key = LOWEST_KEY + torch.arange(TABLE_KEYS * STEPS_PER_KEY, dtype=torch.float64) / STEPS_PER_KEY
    place = concert_key_hz(key) * spec.fft_size / spec.sample_rate_hz
    distance = place[:, None] - torch.arange(spec.fft_size // 2 + 1, dtype=torch.float64)
    window = torch.sinc(distance) / (1 - distance.square() + 1e-12)
    magnitude = (spec.fft_size / 4) * window.abs() * (place < spec.fft_size / 2)[:, None]
    return (magnitude @ mel_filters(spec).double().T).float()


def time_features(time_s: Float[Tensor, " pairs"]) -> Float[Tensor, "pairs features"]:
    """A time since an event, as a network can use it: a smooth step, the distance near it, decays, a logarithm."""
    after = time_s.clamp(min=0)
    near = (time_s / EDGE_S).clamp(-4, 4)
    decays = [torch.exp(-after / tau) for tau in TIME_CONSTANTS_S]
    rows = [
        torch.sigmoid(4 * near),
        near / 4,
        (time_s / 4).clamp(-1, 2),
        torch.log(after + EDGE_S) / 4,
        *decays,
    ]
    return torch.stack(rows, -1)


class NoteSketch(nn.Module):
    """A small network for each note in each frame, and the sums over notes.

    Args:
        width: Channels inside the network for one note in one frame.
        embedding: Channels of the embedding.
        partials: Harmonics a note has.
        spec: The mel front end.
    """

    table: Tensor
    above: Tensor

    def __init__(self, width: int, embedding: int, partials: int, spec: MelSpec) -> None:
        super().__init__()
        self.partials, self.bands = partials, spec.bands
        self.floor = spec.floor
        self.instrument = nn.Embedding(INSTRUMENTS, 64)
        self.key = nn.Embedding(128, 32)
        times = 2 * (4 + len(TIME_CONSTANTS_S))
        self.enter = nn.Linear(64 + 32 + times + len(FEATURES) - 1, width)
        self.middle = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.levels = nn.Linear(width, partials + spec.bands + 1)
        self.say = nn.Linear(width, embedding)
        self.register_buffer("table", partial_table(spec).square(), persistent=False)
        # Keys of the harmonics above the fundamental: 12 log2 h semitones.
        self.register_buffer(
            "above", 12 * torch.log2(torch.arange(1, partials + 1).float()), persistent=False
        )
        nn.init.normal_(self.instrument.weight, std=0.3)
        nn.init.normal_(self.key.weight, std=0.3)
        with torch.no_grad():
            self.levels.weight.mul_(0.3)
            self.levels.bias.copy_(
                torch.cat([torch.full((partials,), -7.0), torch.full((spec.bands,), -9.0), torch.zeros(1)])
            )

    def forward(self, notes: NoteFrames) -> FrameConditions:
        """Sketch and embedding of `notes.frames` frames."""
        hidden = self._hidden(notes)
        levels = self.levels(hidden)
        power = self._power(notes, levels[:, : self.partials], levels[:, self.partials : -1])
        sides = self._sides(notes, levels[:, -1])
        total = power.new_zeros(notes.frames, 2 * self.bands)
        total = total.index_add(0, notes.frame, (sides[:, :, None] * power[:, None]).flatten(1))
        sketch = 0.5 * torch.log(total + self.floor**2).unflatten(1, (2, self.bands))
        embedding = hidden.new_zeros(notes.frames, self.say.out_features)
        return FrameConditions(sketch, embedding.index_add(0, notes.frame, self.say(hidden)))

    def _hidden(self, notes: NoteFrames) -> Tensor:
        since_onset, since_release, pitch, velocity, gain_db, pan = notes.features.unbind(1)
        key = pitch.round().clamp(0, 127)
        plain = torch.stack([pitch / 64 - 1, velocity, velocity.square(), gain_db / 20, pan], 1)
        known = [time_features(since_onset), time_features(since_release), plain]
        features = torch.cat([self.instrument(notes.instrument), self.key(key.long()), *known], 1)
        hidden = functional.silu(self.enter(features))
        for layer in self.middle:
            hidden = hidden + functional.silu(layer(hidden))
        return hidden

    def _power(self, notes: NoteFrames, harmonic: Tensor, free: Tensor) -> Tensor:
        """Power of each pair in each band, before gain and pan: (pairs, bands)."""
        step = ((notes.features[:, 2] - LOWEST_KEY) * STEPS_PER_KEY).round().long()
        strength = torch.exp(2 * harmonic.clamp(max=4))
        order = torch.argsort(step)
        places, counts = torch.unique_consecutive(step[order], return_counts=True)
        pieces = []
        for place, rows in zip(places.tolist(), strength[order].split(counts.tolist()), strict=True):
            at = place + (self.above * STEPS_PER_KEY).round().long()
            inside = (at >= 0) & (at < len(self.table))
            pieces.append(rows @ (self.table[at.clamp(0, len(self.table) - 1)] * inside[:, None]))
        shaped = torch.cat(pieces) if pieces else strength.new_zeros(0, self.bands)
        harmonics = torch.empty_like(shaped).index_copy(0, order, shaped)
        return harmonics + torch.exp(2 * free.clamp(max=6))

    def _sides(self, notes: NoteFrames, lean: Tensor) -> Tensor:
        """Power gains of left and right (pairs, 2): volume, constant-power pan, and the instrument's own lean."""
        gain_db, pan = notes.features[:, 4], notes.features[:, 5]
        angle = (pan + 1) * (math.pi / 4)
        sides = 2 * torch.stack([angle.cos().square(), angle.sin().square()], 1).clamp(min=1e-6)
        leans = torch.exp(torch.stack([lean, -lean], 1).clamp(-4, 4))
        return sides * leans * torch.exp(gain_db * (math.log(10) / 10))[:, None]
