"""The composer's network: a bidirectional transformer in which every note is one position."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from ondes.representations.note_conditions import (
    DENSITIES,
    INSTRUMENTS,
    KEYS,
    LENGTHS,
    METRE_NAMES,
    TEMPOS,
)
from ondes.representations.note_sequence import STEPS_PER_QUARTER
from ondes.representations.note_tokens import FIELDS, SIZES

Conditions = Mapping[str, Tensor]
"""What is asked of each example, by name; a missing one is unknown. See `NoteTransformer.forward`."""

LEVEL_FREQUENCIES = 32
NEARBY = 5
"""Notes that are mixed before the first block."""
LONGEST_INDEX, LONGEST_BAR = 1000.0, 64.0
"""Slowest wavelengths of the rotary axes over 2 pi, in notes and in bars."""

FACTORS = {"pitch": 12, "position": STEPS_PER_QUARTER}
"""Fields whose classes have a meaning modulo something: octaves, and quarters."""


class RotaryAngles(nn.Module):
    """Cosines and sines of rotary position embeddings (Su et al. 2021, arXiv 2104.09864) on two axes.

    Three quarters of a head's pairs of channels turn with the index of the note, the others with the bar it is in, as
    far as that is known: two notes see how many notes and how many bars they are apart.
    """

    rates: Tensor

    def __init__(self, head_size: int) -> None:
        super().__init__()
        half = head_size // 2
        bars = half // 4
        index_rates = LONGEST_INDEX ** (-torch.arange(half - bars) / max(half - bars, 1))
        bar_rates = LONGEST_BAR ** (-torch.arange(bars) / max(bars, 1))
        rates = torch.zeros(2, half)
        rates[0, : half - bars], rates[1, half - bars :] = index_rates, bar_rates
        self.register_buffer("rates", rates, persistent=False)

    def forward(self, bars: Float[Tensor, "batch notes"]) -> tuple[Tensor, Tensor]:
        """Cosines and sines (batch, 1, notes, half of a head)."""
        index = torch.arange(bars.shape[1], device=bars.device, dtype=bars.dtype)
        angles = index[:, None] * self.rates[0] + bars[..., None] * self.rates[1]
        return angles.cos()[:, None], angles.sin()[:, None]


class NoteBlock(nn.Module):
    """Self-attention and an MLP, each scaled, shifted and gated by the conditions.

    Adaptive norm as in DiT (Peebles and Xie 2022, arXiv 2212.09748), with one network for all blocks and a learned
    offset a block (PixArt, Chen et al. 2023, arXiv 2310.00426). Queries and keys are normalised, so that attention
    cannot grow without bounds; each head learns how sharp it is.
    """

    def __init__(self, width: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.attended = nn.Linear(width, width, bias=False)
        self.sharpness = nn.Parameter(torch.ones(heads))
        self.expand = nn.Linear(width, 2 * hidden, bias=False)
        self.contract = nn.Linear(hidden, width, bias=False)
        self.offset = nn.Parameter(torch.zeros(6, width))
        # A new block adds nothing.
        nn.init.zeros_(self.attended.weight)
        nn.init.zeros_(self.contract.weight)

    def forward(
        self,
        notes: Float[Tensor, "batch notes width"],
        modulation: Float[Tensor, "batch 6 width"],
        angles: tuple[Tensor, Tensor],
        seen: Bool[Tensor, "batch 1 1 notes"] | None,
    ) -> Float[Tensor, "batch notes width"]:
        """Notes after attention and MLP."""
        scale, shift, gate, mlp_scale, mlp_shift, mlp_gate = (modulation + self.offset)[:, :, None].unbind(1)
        notes = notes + (1 + gate) * self._attend(_normed(notes) * (1 + scale) + shift, angles, seen)
        value, opening = self.expand(_normed(notes) * (1 + mlp_scale) + mlp_shift).chunk(2, dim=-1)
        return notes + (1 + mlp_gate) * self.contract(value * functional.silu(opening))

    def _attend(self, notes: Tensor, angles: tuple[Tensor, Tensor], seen: Tensor | None) -> Tensor:
        query, key, value = self.qkv(notes).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key = (_rotated(_normed(heads), *angles) for heads in (query, key))
        query = query * self.sharpness[:, None, None]
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        return self.attended(mixed.transpose(1, 2).flatten(2))


def _normed(values: Tensor) -> Tensor:
    return functional.layer_norm(values, values.shape[-1:])


def _rotated(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = heads.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


class NoteTransformer(ModelMixin, ConfigMixin):
    """Predicts what is hidden of notes, from what is known of them and of the piece.

    With `kind` "tokens" a note is one class a field, MASK where hidden, and the answer are logits a field: a denoiser
    of masked diffusion, which needs no level (Sahoo et al. 2024, arXiv 2406.07524, section 3.5). With "features" a note
    is a row of noisy numbers and the answer has its shape.

    Args:
        fields: Names of the fields of a note; "pitch", "position" and "bar" get what they mean as well as their class.
        sizes: Classes of each; the next number is MASK.
        width: Channels of a note.
        depth: Blocks.
        heads: Attention heads.
        hidden: Channels inside a gated MLP.
        metres: Names of the metres that can be asked for.
        styles: Names of the styles that can be asked for.
        kind: "tokens" or "features".
        feature_size: Numbers of a note of the kind "features".

    Raises:
        ValueError: If the settings contradict each other.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        fields: Sequence[str] = FIELDS,
        sizes: Sequence[int] = SIZES,
        width: int = 192,
        depth: int = 6,
        heads: int = 4,
        hidden: int = 384,
        metres: Sequence[str] = METRE_NAMES,
        styles: Sequence[str] = (),
        kind: str = "tokens",
        feature_size: int = 0,
    ) -> None:
        super().__init__()
        if kind not in ("tokens", "features") or len(fields) != len(sizes):
            raise ValueError(f"kind {kind!r} with {len(fields)} fields and {len(sizes)} sizes")
        self.fields, self.sizes = tuple(fields), tuple(sizes)
        if kind == "tokens":
            self.factors = [(self.fields.index(name), by) for name, by in FACTORS.items() if name in fields]
            tables = [*sizes]
            for field, by in self.factors:
                tables += [by, math.ceil(sizes[field] / by)]
            # One table for all, one row more for each MASK.
            self.starts = [sum(tables[:table]) + table for table in range(len(tables))]
            self.embedding = nn.Embedding(sum(tables) + len(tables), width)
            self.nearby = nn.Conv1d(width, width, NEARBY, padding=NEARBY // 2, bias=False)
            nn.init.normal_(self.embedding.weight, std=0.1)
            self.leave = nn.Linear(width, width, bias=False)
            nn.init.eye_(self.leave.weight)
            self.frequency = nn.Parameter(torch.zeros(sum(sizes)))
        else:
            self.enter = nn.Linear(2 * feature_size, width)
            self.level = nn.Linear(2 * LEVEL_FREQUENCIES, width)
            self.nearby = nn.Conv1d(width, width, NEARBY, padding=NEARBY // 2, bias=False)
            self.leave = nn.Linear(width, feature_size)
            nn.init.zeros_(self.leave.weight)
        classes = {"key": KEYS, "metre": len(metres), "tempo": TEMPOS, "density": DENSITIES}
        classes |= {"style": len(styles), "length": LENGTHS}
        self.asked = nn.ModuleDict({name: nn.Embedding(count + 1, width) for name, count in classes.items()})
        self.ensemble = nn.Linear(INSTRUMENTS, width)
        self.mix = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.modulate = nn.Linear(width, 6 * width)
        self.greet = nn.Linear(width, width)
        self.angles = RotaryAngles(width // heads)
        self.stack = nn.ModuleList(NoteBlock(width, hidden, heads) for _ in range(depth))
        self.leave_scale = nn.Parameter(torch.ones(width))
        for table in self.asked.values():
            nn.init.normal_(table.weight, std=0.1)  # pyright: ignore[reportArgumentType]
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)

    def forward(
        self,
        notes: Int[Tensor, "batch notes fields"] | Float[Tensor, "batch notes features"],
        valid: Bool[Tensor, "batch notes"] | None = None,
        conditions: Conditions | None = None,
        level: Float[Tensor, " batch"] | None = None,
        known: Bool[Tensor, "batch notes features"] | None = None,
    ) -> tuple[Tensor, ...] | Tensor:
        """Logits of every field, each (batch, notes, size); or, with `kind` "features", numbers of the notes' shape.

        Args:
            notes: Classes, MASK where hidden; or noisy features, clean where `known`.
            valid: False where there is no note but padding, all of it at the end; the answer there has no meaning.
            conditions: Classes (batch,), 0 where unknown: "key" (12 major, then 12 minor), "metre", "tempo", "density",
                "style", "length"; "ensemble": parts of each instrument, float (batch, 129), which counts where
                "ensemble_known" (batch,) is true.
            level: Noise of the features, 0 to 1; tokens show by their MASKs how much is hidden.
            known: Features that are given; none if missing.
        """
        wish = self._wish(conditions or {}, len(notes))
        if notes.is_floating_point():
            if level is None:
                raise ValueError("features need the level of their noise")
            given = torch.zeros_like(notes, dtype=torch.bool) if known is None else known
            entered = self.enter(torch.cat([notes, given.to(notes.dtype)], -1))
            wish = wish + self.level(_sinusoids(level))
            bars = notes.new_zeros(notes.shape[:2])
        else:
            entered, bars = self._embed(notes), self._known_bars(notes)
        mixed = self.mix(wish)
        modulation = self.modulate(mixed).unflatten(1, (6, -1))
        angles = self.angles(bars.to(entered.dtype))
        seen = None if valid is None or bool(valid.all()) else valid[:, None, None]
        hidden = self._mixed(entered, valid) + self.greet(mixed)[:, None]
        for block in self.stack:
            hidden = block(hidden, modulation, angles, seen)
        answer = self.leave(_normed(hidden) * self.leave_scale)
        return answer if notes.is_floating_point() else self._logits(answer)

    def _mixed(self, alone: Tensor, valid: Tensor | None) -> Tensor:
        """Each note and a mixture of those around it (batch, notes, width).

        Without, training with as little data as ours does not find out that neighbours matter: attention begins by
        looking everywhere alike.
        """
        if valid is not None:
            alone = alone * valid[..., None]
        return alone + self.nearby(alone.transpose(1, 2)).transpose(1, 2)

    def _embed(self, tokens: Tensor) -> Tensor:
        """Sum of the embeddings of a note's classes and of what they mean (batch, notes, width)."""
        columns = list(tokens.unbind(-1))
        for field, by in self.factors:
            size = self.sizes[field]
            masked, rows = tokens[..., field] == size, math.ceil(size / by)
            columns.append(torch.where(masked, by, tokens[..., field] % by))
            columns.append(torch.where(masked, rows, tokens[..., field] // by))
        rows = torch.stack(columns, -1) + torch.tensor(self.starts, device=tokens.device)
        summed = functional.embedding_bag(rows.flatten(0, 1), self.embedding.weight, mode="sum")
        return summed.unflatten(0, rows.shape[:2])

    def _logits(self, answer: Tensor) -> tuple[Tensor, ...]:
        """How near an answer is to the embedding of each class, with what that means, and how frequent the class is.

        The table is that of the input (Press and Wolf 2017, arXiv 1608.05859): copying a neighbour needs no learning.
        """
        weights = self.embedding.weight
        tables = []
        for field, size in enumerate(self.sizes):
            classes = torch.arange(size, device=weights.device)
            table = weights[self.starts[field] + classes]
            for number, (factored, by) in enumerate(self.factors):
                if factored == field:
                    modulo, whole = (self.starts[len(self.sizes) + 2 * number + part] for part in (0, 1))
                    table = table + weights[modulo + classes % by] + weights[whole + classes // by]
            tables.append(table)
        logits = functional.linear(answer, torch.cat(tables), self.frequency)
        return logits.split(self.sizes, dim=-1)

    def _known_bars(self, tokens: Tensor) -> Tensor:
        """Bar of each note as far as the known distances from note to note tell (batch, notes)."""
        if "bar" not in self.fields:
            return torch.zeros_like(tokens[..., 0])
        column = self.fields.index("bar")
        distance = tokens[..., column]
        return torch.where(distance == self.sizes[column], 0, distance).cumsum(1)

    def _wish(self, conditions: Conditions, batch: int) -> Tensor:
        """One vector for all conditions (batch, width)."""
        # Not `self.device` and `self.dtype`: diffusers walks through all modules for each.
        like = self.leave_scale
        unknown = torch.zeros(batch, dtype=torch.long, device=like.device)
        total: Tensor = sum(table(conditions.get(name, unknown)) for name, table in self.asked.items())  # pyright: ignore[reportAssignmentType]
        if "ensemble" in conditions:
            counts = conditions["ensemble"].to(like.dtype)
            there = conditions["ensemble_known"][:, None].to(counts.dtype)
            total = total + there * self.ensemble(counts)
        return total


def _sinusoids(level: Tensor) -> Tensor:
    rates = torch.exp(torch.linspace(0, math.log(1000.0), LEVEL_FREQUENCIES, device=level.device)) * math.pi
    phases = level[:, None].float() * rates
    return torch.cat([phases.cos(), phases.sin()], -1)
