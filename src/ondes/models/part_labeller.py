"""The separator's network: a transformer over the notes of a mixture that names the part of each."""

from __future__ import annotations

import math

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from ondes.models.note_denoiser import rotate
from ondes.representations.mixtures import MEASURES, RANK_KINDS, RANKS, MixtureFacts, PartSet

INSTRUMENTS = 129
"""General MIDI programs, then drums."""
PART_NUMBERS = 8
"""Most parts of one instrument that are told apart: first violins, second violins, ..."""
MOST_OF_ONE = 5
"""How many parts of one instrument a proposal counts: none to four."""
NEAREST = 8
"""Notes around each note whose labels it is told directly."""
SEMITONES_A_QUARTER = 4.0
"""So many semitones count as far as a quarter note, for what is near."""
SHORTEST_QUARTERS, LONGEST_QUARTERS = 0.5, 512.0
"""Periods of the rotary embedding of time, in quarter notes."""
SHORTEST_SEMITONES, LONGEST_SEMITONES = 4.0, 512.0
"""Periods of the rotary embedding of pitch."""


class Attention(nn.Module):
    """Attention with normalised queries and keys (Dehghani et al. 2023, arXiv 2302.05442)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.query_norm = nn.RMSNorm(width // heads, eps=1e-6)
        self.key_norm = nn.RMSNorm(width // heads, eps=1e-6)
        self.mixed = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.mixed.weight)  # a new layer adds nothing

    def forward(
        self,
        tokens: Float[Tensor, "batch tokens width"],
        others: Float[Tensor, "batch others width"],
        mask: Bool[Tensor, "batch 1 1 others"],
        angles: Tensor | None = None,
    ) -> Float[Tensor, "batch tokens width"]:
        """What each token takes from the others; `angles` turn the queries and keys of notes among themselves."""
        query = self.query_norm(self.query(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2))
        key, value = self.key_value(others).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        key = self.key_norm(key)
        if angles is not None:
            query, key = rotate(query, angles), rotate(key, angles)
        taken = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.mixed(taken.transpose(1, 2).flatten(2))


class GatedMlp(nn.Module):
    """SwiGLU (Shazeer 2020, arXiv 2002.05202) behind a norm."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width, eps=1e-6)
        self.expand = nn.Linear(width, 2 * hidden, bias=False)
        self.contract = nn.Linear(hidden, width, bias=False)
        nn.init.zeros_(self.contract.weight)

    def forward(self, tokens: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """What to add to the tokens."""
        value, opening = self.expand(self.norm(tokens)).chunk(2, dim=-1)
        return self.contract(value * functional.silu(opening))


class NoteBlock(nn.Module):
    """Notes hear each other, then the parts, then think."""

    def __init__(self, width: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width, eps=1e-6)
        self.notes = Attention(width, heads)
        self.parts_norm = nn.RMSNorm(width, eps=1e-6)
        self.parts = Attention(width, heads)
        self.mlp = GatedMlp(width, hidden)

    def forward(
        self,
        notes: Float[Tensor, "batch notes width"],
        parts: Float[Tensor, "batch parts width"],
        masks: tuple[Tensor, Tensor],
        angles: Tensor,
    ) -> Float[Tensor, "batch notes width"]:
        """The notes after the block; the masks are of the notes and of the parts."""
        normed = self.norm(notes)
        notes = notes + self.notes(normed, normed, masks[0], angles)
        notes = notes + self.parts(self.parts_norm(notes), parts, masks[1])
        return notes + self.mlp(notes)


class Neighbours(nn.Module):
    """What the labels of the notes that are nearest in time and pitch say, given where they lie from each note.

    Attention can learn the same; with as little data as ours it does not find out that known labels matter.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.label = nn.Linear(width, width // 2)
        self.place = nn.Linear(5, width // 2)
        self.say = nn.Linear(width // 2, width, bias=False)
        nn.init.zeros_(self.say.weight)

    def forward(
        self, labels: Float[Tensor, "batch notes width"], facts: MixtureFacts
    ) -> Float[Tensor, "batch notes width"]:
        """What to add to each note.

        Args:
            labels: What each label means.
            facts: Where the notes lie.
        """
        later = facts.onset[:, None] - facts.onset[..., None]
        higher = (facts.pitch[:, None] - facts.pitch[..., None]).to(later.dtype)
        # Of two equally far the lower and earlier one counts as nearer, whatever the order of the notes.
        far = later.abs() + higher.abs() / SEMITONES_A_QUARTER + 1e-4 * higher + 1e-3 * later
        itself = torch.eye(far.shape[1], dtype=torch.bool, device=far.device)
        far = far.masked_fill(~facts.valid[:, None] | itself, torch.inf)
        distance, near = far.topk(min(NEAREST, far.shape[1]), dim=2, largest=False)
        later, higher = later.gather(2, near), higher.gather(2, near) / 12
        places = torch.stack([later, later.abs(), higher, higher.abs(), (later == 0).to(later.dtype)], -1)
        said = self.label(labels)[torch.arange(len(near), device=near.device)[:, None, None], near]
        heard = functional.silu(said + self.place(places)).masked_fill(distance.isinf()[..., None], 0)
        return self.say(heard.sum(2) / NEAREST)


class PartLabeller(ModelMixin, ConfigMixin):
    """Scores how well each note of a mixture fits each of the parts asked for, some notes being labelled already.

    Masked (absorbing) diffusion over labels starts from none known and ends with all (Austin et al. 2021, arXiv
    2107.03006; Sahoo et al. 2024, arXiv 2406.07524); a classifier is the same network that has only ever seen none.
    The set of parts is an input: a part is the sum of what its instrument and its number among those of the same
    instrument mean, made aware of the other parts, and a note's score for it is a scaled product of the two. Attention
    among notes turns with their distance in time and, in other channels, in pitch, so it knows a chord from a melody
    wherever they lie.

    Args:
        width: Channels of a note.
        hidden: Channels inside the gated MLP.
        blocks: Number of blocks.
        heads: Attention heads.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(self, width: int = 192, hidden: int = 512, blocks: int = 5, heads: int = 6) -> None:
        super().__init__()
        self.pitch = nn.Embedding(128, width)
        self.pitch_class = nn.Embedding(12, width)
        self.ranks = nn.ModuleList(nn.Embedding(RANKS, width) for _ in range(RANK_KINDS))
        self.numbers = nn.Linear(MEASURES, width)
        self.instrument = nn.Embedding(INSTRUMENTS, width)
        self.part_number = nn.Embedding(PART_NUMBERS, width)
        self.nobody = nn.Parameter(torch.zeros(width))  # heard where no part is
        self.parts_norm = nn.RMSNorm(width, eps=1e-6)
        self.parts_attention = Attention(width, heads)
        self.parts_mlp = GatedMlp(width, hidden)
        self.label = nn.Linear(width, width, bias=False)
        self.neighbours = Neighbours(width)
        self.stack = nn.ModuleList(NoteBlock(width, hidden, heads) for _ in range(blocks))
        self.leave_norm = nn.RMSNorm(width, eps=1e-6)
        self.leave = nn.Linear(width, width, bias=False)
        self.part_key = nn.Linear(width, width, bias=False)
        self.proposal = nn.Linear(2 * width, INSTRUMENTS * MOST_OF_ONE)
        for layer in self.modules():
            if isinstance(layer, nn.Embedding):
                nn.init.normal_(layer.weight, std=0.3)

    def forward(
        self, facts: MixtureFacts, labels: Int64[Tensor, "batch notes"], parts: PartSet
    ) -> Float[Tensor, "batch notes parts"]:
        """Logits of the parts for each note, minus infinity where there is no part.

        Args:
            facts: The notes.
            labels: Index of the part of each note, -1 where it is not known.
            parts: What the indices mean.
        """
        known = self._parts(parts)
        notes = self._notes(facts, labels, known, parts.valid)
        scores = self.leave(self.leave_norm(notes)) @ self.part_key(known[:, :-1]).transpose(1, 2)
        return (scores / math.sqrt(notes.shape[-1])).masked_fill(~parts.valid[:, None], -torch.inf)

    def propose(self, facts: MixtureFacts) -> Float[Tensor, "batch instruments counts"]:
        """Logits of how many parts of each instrument play, from the notes alone."""
        batch, notes = facts.pitch.shape
        none = facts.pitch.new_zeros(batch, 0)
        parts = PartSet(none, none, none.bool())
        labels = facts.pitch.new_full((batch, notes), -1)
        heard = self.leave_norm(self._notes(facts, labels, self._parts(parts), parts.valid))
        wide = facts.valid[..., None]
        mean = (heard * wide).sum(1) / wide.sum(1).clamp(min=1)
        most = heard.masked_fill(~wide, -torch.inf).amax(1)
        return self.proposal(torch.cat([mean, most], -1)).unflatten(-1, (INSTRUMENTS, MOST_OF_ONE))

    def _parts(self, parts: PartSet) -> Float[Tensor, "batch parts_and_one width"]:
        """Each part, aware of the others; nobody comes last."""
        number = parts.number.clamp(max=PART_NUMBERS - 1)
        each = self.instrument(parts.instrument) + self.part_number(number)
        each = torch.cat([each, self.nobody.expand(len(each), 1, -1)], 1)
        normed = self.parts_norm(each)
        each = each + self.parts_attention(normed, normed, _with_nobody(parts.valid))
        return each + self.parts_mlp(each)

    def _notes(self, facts: MixtureFacts, labels: Tensor, known: Tensor, valid: Tensor) -> Tensor:
        """Hidden states of the notes."""
        pitch = facts.pitch
        notes = self.pitch(pitch) + self.pitch_class(pitch % 12) + self.numbers(facts.numbers)
        for column, table in enumerate(self.ranks):
            notes = notes + table(facts.ranks[..., column])
        # Label -1 picks nobody, who comes last.
        index = torch.where(labels < 0, known.shape[1] - 1, labels)[..., None].expand(-1, -1, known.shape[2])
        named = self.label(known).gather(1, index)
        notes = notes + named + self.neighbours(named, facts)
        angles = note_angles(facts.onset, pitch, known.shape[2] // self.config["heads"])[:, None]
        masks = facts.valid[:, None, None], _with_nobody(valid)
        for block in self.stack:
            notes = block(notes, known, masks, angles)
        return notes


def _with_nobody(valid: Bool[Tensor, "batch parts"]) -> Bool[Tensor, "batch 1 1 parts_and_one"]:
    return functional.pad(valid, (0, 1), value=True)[:, None, None]


def note_angles(
    onset: Float[Tensor, "batch notes"], pitch: Int64[Tensor, "batch notes"], head_size: int
) -> Float[Tensor, "batch notes half"]:
    """Angles of `ondes.models.note_denoiser.rotate`: half the channels turn with time, the others with pitch."""
    quarter = head_size // 4
    steps = torch.linspace(0, 1, quarter, device=onset.device)

    def rates(shortest: float, longest: float) -> Tensor:
        return 2 * math.pi / shortest * (shortest / longest) ** steps

    time = onset[..., None] * rates(SHORTEST_QUARTERS, LONGEST_QUARTERS)
    height = pitch[..., None] * rates(SHORTEST_SEMITONES, LONGEST_SEMITONES)
    return torch.cat([time, height], -1)
