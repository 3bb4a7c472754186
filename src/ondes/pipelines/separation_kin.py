"""Ensembles that training hardly had, read as others that are written alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ondes.pipelines.separation_parts import Labels
from ondes.representations.ensembles import PartSpec, parse_ensemble
from ondes.representations.note_sequence import DRUMS

Kin = Mapping[str, Mapping[str, Any]]
"""Name of an ensemble to the one it is like ("like", part for part), to temperatures and worths of its own, and to the
notes that each of its parts has at once ("polyphony"), as voices have one."""

Pair = tuple[int, int]


def read_as(labels: Labels, kin: Kin) -> tuple[Labels, Mapping[str, Any]]:
    """The labels as the network is told them, and what else is said of an ensemble that is all of them, if anything.

    An ensemble among others, such as four parts of "string ensemble" in an orchestra, is told as its kin, too, unless
    those parts play themselves or there are more of its instruments.

    Raises:
        UserError: If an ensemble is unknown.
        ValueError: If two that are alike have different numbers of parts.
    """
    told, about = {pair: pair for pair in labels.pairs}, {}
    for name, more in kin.items():
        own, like = (Labels.of(parse_ensemble(words)).pairs for words in (name, more["like"]))
        if _stands_for(own, like, told):
            told |= dict(zip(own, like, strict=True))
            about = more if len(own) == len(labels.pairs) else about
    return replace(labels, told=tuple(told[pair] for pair in labels.pairs)), about


def sung(about: Mapping[str, Any], parts: Sequence[PartSpec]) -> tuple[int, ...] | None:
    """Most notes at once of each part, where an ensemble by itself has such a number; drums play any number."""
    most = about.get("polyphony")
    if most is None:
        return None
    return tuple(0 if part.instrument == DRUMS else int(most) for part in parts)


def _stands_for(own: Sequence[Pair], like: Sequence[Pair], told: Mapping[Pair, Pair]) -> bool:
    """Whether an ensemble plays whole and alone of its instruments, and the one it is like does not."""
    instruments = {instrument for instrument, _ in own}
    playing = {pair for pair in told if pair[0] in instruments}
    return playing == set(own) and not (set(like) - set(own)) & set(told.values())
