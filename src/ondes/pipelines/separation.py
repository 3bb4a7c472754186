"""Separation: every note of an unlabelled score gets its part, and none is lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from jaxtyping import Int64

from ondes.errors import UserError, nearest
from ondes.models.part_labeller import PartLabeller
from ondes.pipelines.separation_anchor import Anchored
from ondes.pipelines.separation_confidence import UNCHANGED, Worth
from ondes.pipelines.separation_constraints import PartRules, limits_of
from ondes.pipelines.separation_kin import read_as, sung
from ondes.pipelines.separation_notes import MixtureNotes, mixed, notes_to_separate
from ondes.pipelines.separation_parts import (
    Labels,
    already_separate,
    asked,
    kept_parts,
    known_parts,
    labels_for,
    parts_of_tracks,
    proposed,
    warn_if_separate,
    with_drums,
)
from ondes.pipelines.separation_result import Separation, explain, separation_of
from ondes.pipelines.separation_windows import (
    Labelling,
    Sampling,
    classify_windows,
    count_parts,
    label_windows,
)
from ondes.pipelines.stored import StoredPipeline
from ondes.representations.ensembles import PartSpec
from ondes.representations.note_sequence import DRUMS, NoteSequence
from ondes.score import ScoreSource, read_score

if TYPE_CHECKING:
    from symusic.core import ScoreTick

Progress = Callable[[float, float], None]
"""Called with the notes that have their part and with all, after every window; what it raises stops the work."""

METHODS = ("auto", "diffusion", "classifier")


@dataclass(frozen=True)
class _Order:
    """What the arguments of a call come to."""

    method: str
    sampling: Sampling
    rules: PartRules
    allow_doubling: bool


class SeparationPipeline(StoredPipeline):
    """Gives each note of a score to one of the parts asked for, by diffusion over labels; the notes stay untouched.

    Args:
        network: Names the parts of notes some of which are labelled.
        classifier: One of the same size that labels each note by itself; `network` does that, too, if it is missing.
        window_notes: Notes that the network sees at once.
        overlap_notes: How many of them are of the window before and have their labels already.
        default_steps: Steps of the first window where the caller names none.
        default_temperature: Of alternatives after the first, which takes the likeliest labels.
        order: "confidence" or "random": which labels are revealed first.
        calibration: Divides the network's logits, so that stated probabilities hold (Guo et al. 2017, arXiv
            1706.04599).
        classifier_calibration: The same of the classifier.
        doubling_probability: Least probability of a further part for a note, where doubling is allowed.
        kin: Ensembles that training hardly had, see `ondes.pipelines.separation_kin`; their temperatures are
            "calibration" and "classifier_calibration", their worths "worth" and "classifier_worth".
        anchor: How much diffusion holds on to the classifier where no part is known, 0 to 1; see `Anchored.least`.
        worth: What a stated probability is worth as confidence, see `ondes.pipelines.separation_confidence`.
        classifier_worth: The same of the classifier.
    """

    _optional_components: ClassVar[list[str]] = ["classifier"]  # diffusers adds lists to it

    def __init__(
        self,
        network: PartLabeller,
        classifier: PartLabeller | None = None,
        window_notes: int = 256,
        overlap_notes: int = 128,
        default_steps: int = 8,
        default_temperature: float = 1.0,
        order: str = "confidence",
        calibration: float = 1.0,
        classifier_calibration: float = 1.0,
        doubling_probability: float = 0.3,
        kin: dict[str, Any] | None = None,
        anchor: float | None = None,
        worth: Sequence[float] = UNCHANGED,
        classifier_worth: Sequence[float] = UNCHANGED,
    ) -> None:
        super().__init__()
        self.register_modules(network=network, classifier=classifier)
        self.register_to_config(
            window_notes=window_notes,
            overlap_notes=overlap_notes,
            default_steps=default_steps,
            default_temperature=default_temperature,
            order=order,
            calibration=calibration,
            classifier_calibration=classifier_calibration,
            doubling_probability=doubling_probability,
            kin=kin,
            anchor=anchor,
            worth=list(worth),
            classifier_worth=list(classifier_worth),
        )
        for model in self._networks():
            model.eval()

    def _networks(self) -> list[PartLabeller]:
        return [self.network] if self.classifier is None else [self.network, self.classifier]

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | Path, **settings: Any
    ) -> SeparationPipeline:
        """Load a model.

        Args:
            pretrained_model_name_or_path: A bundled name ("separate-small"), a folder that `save_pretrained` wrote, the
                folder `model` of a training run, or the id of a model on the Hub, which alone reaches the network.
            settings: As of diffusers' `from_pretrained`.

        Raises:
            UserError: If there is no such model, or its weights are damaged or do not fit.
        """
        return cls._opened(
            pretrained_model_name_or_path,
            kind="separator",
            network=PartLabeller,
            around=cls,
            settings=settings,
        )

    def defaults(self) -> dict[str, Any]:
        """Settings of the sampler where a caller names none."""
        return {"steps": int(self.config["default_steps"])}

    @torch.no_grad()
    def __call__(
        self,
        score: Any,
        *,
        into: str | Sequence[PartSpec] | None = None,
        given: ScoreSource | None = None,
        keep: bool = False,
        n: int = 1,
        method: str = "auto",
        steps: int | None = None,
        temperature: float | None = None,
        seed: int = 0,
        allow_doubling: bool = False,
        ranges: bool = False,
        polyphony: int | Sequence[int] | None = None,
        no_crossing: bool = False,
        playable_hands: bool = False,
        progress: Progress | None = None,
    ) -> Any:
        """The parts of a score.

        Args:
            score: Anything `ondes.read_score` takes, or a list of such, of which each is what it would be alone.
                Several tracks are merged; notes of the drum channel stay drums.
            into: Who plays: an ensemble's name, a list of instruments, or parts. The network proposes if missing.
            given: A score that holds some of the same notes in their parts; the rest is completed.
            keep: Tracks whose instrument is asked for keep their notes; the others are separated. Without `into` a
                score that is separate already comes back as it is.
            n: How many alternatives.
            method: "diffusion", or "classifier", which labels each note by itself, all at once. "auto" takes what is
                better: the classifier where one answer is wanted, no part is known and no temperature is given; else,
                or where the model has none, diffusion.
            steps: Of the sampler, for the first window.
            temperature: Of every alternative; where missing the first takes the likeliest labels.
            seed: Of the first alternative; the next has the next.
            allow_doubling: A note may play in several parts, if it fits them well.
            ranges: Parts keep to their compass.
            polyphony: Most notes at once in each part, or of each part in turn; 0 stands for any number.
            no_crossing: Parts that are higher by nature stay higher.
            playable_hands: Each hand of a keyboard or harp keeps to five fingers and a tenth.
            progress: See `Progress`.

        Returns:
            A `Separation`, or a list of such for a list.

        Raises:
            UserError: If the score has no notes, or a wish makes no sense.
        """
        order = self._order(
            n, method, steps, temperature, seed, PartRules(ranges, None, no_crossing, playable_hands)
        )
        order = _Order(order.method, order.sampling, order.rules, allow_doubling)
        many = [read_score(one) for one in (score if isinstance(score, list) else [score])]
        known = None if given is None else read_score(given)
        made = []
        for index, one in enumerate(many):
            share = shared_progress(progress, index, many)
            made.append(self._separated(one, asked(into), known, order, polyphony, share, keep=keep))
        return made if isinstance(score, list) else made[0]

    def _order(
        self,
        n: int,
        method: str,
        steps: int | None,
        temperature: float | None,
        seed: int,
        rules: PartRules,
    ) -> _Order:
        """Settings of the sampler, checked.

        Raises:
            UserError: If one makes no sense.
        """
        steps = int(self.config["default_steps"]) if steps is None else steps
        if n < 1:
            raise UserError(f"{n} alternatives: 1 or more are allowed")
        if steps < 1:
            raise UserError(f"{steps} steps: 1 or more are allowed")
        if method not in METHODS:
            raise UserError(f"no such method: {method!r}; {nearest(method, METHODS)}")
        if temperature is not None and not 0 <= temperature <= 5:
            raise UserError(f"temperature {temperature}: 0 to 5 is allowed")
        others = float(self.config["default_temperature"]) if temperature is None else temperature
        first = 0.0 if temperature is None else temperature
        sampling = Sampling(
            steps,
            (first, *[others] * (n - 1)),
            tuple(range(seed, seed + n)),
            str(self.config["order"]),
            1.0,
            int(self.config["window_notes"]),
            int(self.config["overlap_notes"]),
        )
        if method == "auto" and (self.classifier is None or n > 1 or temperature is not None):
            method = "diffusion"
        return _Order(method, sampling, rules, allow_doubling=False)

    def _separated(
        self,
        score: ScoreTick,
        into: tuple[PartSpec, ...] | None,
        given: ScoreTick | None,
        order: _Order,
        polyphony: int | Sequence[int] | None,
        progress: Progress | None,
        *,
        keep: bool,
    ) -> Separation:
        """One score in its parts."""
        notes = notes_to_separate(score)
        sequence = mixed(score, notes, ~notes.is_drum)
        parts, known = self._cast(score, notes, sequence, into, given, keep=keep)
        rules = PartRules(
            order.rules.ranges,
            limits_of(polyphony, parts),
            order.rules.no_crossing,
            order.rules.playable_hands,
        )
        labels, about = read_as(Labels.of(parts, hands=rules.playable_hands), self.config["kin"] or {})
        kept = rules if rules.polyphony is not None else replace(rules, polyphony=sung(about, parts))
        method = order.method
        if method == "auto":
            method = "diffusion" if (known[~notes.is_drum] >= 0).any() else "classifier"
        order = _Order(method, order.sampling, kept, order.allow_doubling)
        _, worth = self._stated_by(order.method, about)
        made = self._labelled(sequence, labels, known, order, about, progress)
        if rules:
            explain(made.broken[0], sequence, kept, parts)
        doubling = self._least_doubling(order)
        return separation_of(
            score,
            notes,
            sequence,
            parts,
            labels,
            known,
            made,
            rules,
            doubling,
            worth,
            keep_silent=into is not None,
        )

    def _asked_network(self, method: str) -> PartLabeller:
        return self.classifier if method != "diffusion" and self.classifier is not None else self.network

    def _stated_by(self, method: str, about: Mapping[str, Any]) -> tuple[float, Worth]:
        """Temperature of the network that is asked, and what its probabilities are worth."""
        prefix = "" if self._asked_network(method) is self.network else "classifier_"
        calibration, worth = (
            about.get(name, self.config[name]) for name in (f"{prefix}calibration", f"{prefix}worth")
        )
        shift, slope = worth
        return float(calibration), (float(shift), float(slope))

    def _least_doubling(self, order: _Order) -> float:
        return float(self.config["doubling_probability"]) if order.allow_doubling else np.inf

    def _cast(
        self,
        score: ScoreTick,
        notes: MixtureNotes,
        sequence: NoteSequence,
        into: tuple[PartSpec, ...] | None,
        given: ScoreTick | None,
        *,
        keep: bool,
    ) -> tuple[tuple[PartSpec, ...], Int64[np.ndarray, " notes"]]:
        """Who plays, and the parts of notes that are known."""
        separate = already_separate(score)
        if not keep:
            warn_if_separate(score)
        known = np.full(len(notes), -1, np.int64)
        if keep and separate:
            parts, tracks = parts_of_tracks(score, into or ())
            if into is not None:
                tracks = {track: part for track, part in tracks.items() if part < len(into)}
                parts = into
            known = kept_parts(notes, tracks)
        else:
            parts = into if into is not None else self._proposal(sequence)
        if given is not None:
            parts, tracks = parts_of_tracks(given, parts)
            theirs = known_parts(score, notes, given, tracks)
            known = np.where(theirs >= 0, theirs, known)
        parts = with_drums(parts, notes)
        drums = next((index for index, part in enumerate(parts) if part.instrument == DRUMS), -1)
        # What is on the drum channel is a drum, and nothing else is.
        known[~notes.is_drum & (known == drums)] = -1
        known[notes.is_drum & ~_plays_drums(parts)[known]] = drums
        return parts, known

    def _proposal(self, sequence: NoteSequence) -> tuple[PartSpec, ...]:
        if not len(sequence):
            return ()
        return proposed(count_parts(self.network, sequence, int(self.config["window_notes"])))

    def _labelled(
        self,
        sequence: NoteSequence,
        labels: Labels,
        known: Int64[np.ndarray, " notes"],
        order: _Order,
        about: Mapping[str, Any],
        progress: Progress | None,
    ) -> Labelling:
        """Labels of the notes that are no drums; `about` has the ensemble's own temperatures, if any."""
        alternatives, drums = len(order.sampling.seeds), len(known) - len(sequence)

        def on_notes(done: int) -> None:
            if progress is not None:
                progress(drums + done, len(known))

        if not len(sequence):
            on_notes(0)
            nothing = np.zeros((alternatives, 0), np.int64)
            return Labelling(nothing, np.zeros((alternatives, 0, len(labels.parts))), [0] * alternatives)
        own = labels_for(labels, known[sequence.index], sequence.pitch)
        network = self._asked_network(order.method)
        calibration, _ = self._stated_by(order.method, about)
        settings = replace(order.sampling, calibration=calibration)
        if order.method == "diffusion":
            if self.classifier is not None and self.config["anchor"] is not None and (own < 0).all():
                temperatures = calibration, self._stated_by("classifier", about)[0]
                network = Anchored(network, self.classifier, temperatures, float(self.config["anchor"]))
                settings = order.sampling
            return label_windows(network, sequence, labels, own, order.rules, settings, on_notes)
        classified = classify_windows(network, sequence, labels, settings, on_notes)
        return label_windows(
            network, sequence, labels, own, order.rules, order.sampling, lambda _: None, classified=classified
        )


def _plays_drums(parts: Sequence[PartSpec]) -> np.ndarray:
    """Whether each part is one of drums, and at the end that nobody is not."""
    return np.array([*(part.instrument == DRUMS for part in parts), False])


def shared_progress(progress: Progress | None, index: int, scores: list[Any]) -> Progress | None:
    """The progress of one of several scores as that of all."""
    if progress is None:
        return None
    counts = [one.note_num() for one in scores]
    return lambda done, _: progress(sum(counts[:index]) + done, sum(counts))
