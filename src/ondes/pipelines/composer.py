"""Composing: new scores, continuations, filled gaps and variations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from ondes.diffusion.masked import MaskedScheduler
from ondes.errors import UserError, nearest
from ondes.models.note_transformer import NoteTransformer
from ondes.pipelines.composer_continuous import complete_features
from ondes.pipelines.composer_infilling import infilling
from ondes.pipelines.composer_jobs import Bonus, job_of, next_window
from ondes.pipelines.composer_pieces import (
    Piece,
    Setting,
    as_given,
    extension,
    new_piece,
    scores_of,
    setting_of,
)
from ondes.pipelines.composer_sampling import Job, Sampling, complete
from ondes.pipelines.composer_variation import variation
from ondes.pipelines.composer_wishes import (
    Wishes,
    check_sampling,
    check_strength,
    checked_length,
    parse_keep,
    parse_wishes,
)
from ondes.pipelines.stored import StoredPipeline
from ondes.representations.note_features import FeatureStatistics
from ondes.representations.note_tokens import NoteTokenSpec
from ondes.score import ScoreSource

if TYPE_CHECKING:
    from symusic.core import ScoreTick

Progress = Callable[[float, float], None]
"""Called with the notes drawn and to be drawn, after every step of the sampler; what it raises stops the work."""


class ComposerPipeline(StoredPipeline):
    """Writes scores by diffusion, window after window: masked diffusion of note tokens, or Gaussian of features.

    Each piece of a batch is what it would be alone: the piece of number i has the seed `seed` + i.

    Args:
        network: Says what hidden tokens may be.
        scheduler: A `MaskedScheduler`: how many tokens are revealed in a step, and which. For a network of the kind
            "features" one of diffusers with `prediction_type="v_prediction"`, such as DDIM or DPM-Solver++.
        window_notes: Notes that the network sees at once.
        context_notes: At most so many of them are there already.
        default_steps: Steps of the sampler where the caller names none.
        default_guidance_scale: The same of the guidance.
        default_temperature: The same of the temperature.
        default_notes: The same of the length.
        default_bpm: Tempo of new pieces.
        default_metre: Metre of new pieces.
        default_ensembles: New pieces for which none is asked take one of these by their seed; without, anybody plays.
        default_keys: The same of keys, for those without chords; without, the network has no key in mind.
        default_densities: The same of notes a quarter, or by ensemble, "" for all others; see `Setting.densities`.
        default_spreads: The same of the spread of notes over bars (`plan_bars`); without, that is the network's.
        default_rhythms: The same of how much likelier onsets of a bar beside are, as a difference of logarithms.
        default_triplets: The same of how much likelier places of triplets are.
        loud_styles: Asked for one of these styles, the network says how loud new notes are; else the rules of
            `ondes.representations.expression` do, as where a given score has one velocity.
        top_p: Draw from the likeliest classes that make up this much.
        key_bonus: How much likelier pitches of an asked key are; see `prefer_key`.
        home_key_bonus: The same of a key that the pipeline chose itself.
        likeness: By field, how much likelier what the bars beside a gap have is, as a difference of logarithms; a gap
            has as many notes of each part as they. Without, that is left to the network.
        relative_temperatures: Of some fields, times the temperature.
        infill_temperatures: The same where bars are filled in.
        infill_order: Of the scheduler there; its own if missing.
        feature_statistics: `FeatureStatistics.to_config` of a network of features.
    """

    def __init__(
        self,
        network: NoteTransformer,
        scheduler: Any,
        window_notes: int = 256,
        context_notes: int = 128,
        default_steps: int = 12,
        default_guidance_scale: float = 1.0,
        default_temperature: float = 1.0,
        default_notes: int = 128,
        default_bpm: float = 100.0,
        default_metre: str = "4/4",
        default_ensembles: Sequence[str] = (),
        default_keys: Sequence[str] = (),
        default_densities: Sequence[float] | dict[str, Sequence[float]] = (),
        default_spreads: Sequence[float] = (),
        default_rhythms: Sequence[float] = (),
        default_triplets: Sequence[float] = (),
        loud_styles: Sequence[str] = (),
        top_p: float = 0.95,
        key_bonus: float = 0.5,
        home_key_bonus: float = 0.0,
        likeness: dict[str, float] | None = None,
        relative_temperatures: dict[str, float] | None = None,
        infill_temperatures: dict[str, float] | None = None,
        infill_order: str | None = None,
        feature_statistics: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.register_modules(network=network, scheduler=scheduler)
        self.register_to_config(
            window_notes=window_notes,
            context_notes=context_notes,
            default_steps=default_steps,
            default_guidance_scale=default_guidance_scale,
            default_temperature=default_temperature,
            default_notes=default_notes,
            default_bpm=default_bpm,
            default_metre=default_metre,
            default_ensembles=list(default_ensembles),
            default_keys=list(default_keys),
            default_densities=default_densities,
            default_spreads=list(default_spreads),
            default_rhythms=list(default_rhythms),
            default_triplets=list(default_triplets),
            loud_styles=list(loud_styles),
            top_p=top_p,
            key_bonus=key_bonus,
            home_key_bonus=home_key_bonus,
            likeness=likeness,
            relative_temperatures=relative_temperatures,
            infill_temperatures=infill_temperatures,
            infill_order=infill_order,
            feature_statistics=feature_statistics,
        )
        network.eval()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **settings: Any) -> ComposerPipeline:
        """Load a model.

        Args:
            pretrained_model_name_or_path: A bundled name ("compose-small"), a folder that `save_pretrained` wrote, the
                folder `model` of a training run, or the id of a model on the Hub, which alone reaches the network.
            settings: As of diffusers' `from_pretrained`.

        Raises:
            UserError: If there is no such model, or its weights are damaged or do not fit.
        """
        return cls._opened(
            pretrained_model_name_or_path,
            kind="composer",
            network=NoteTransformer,
            around=cls._of_tokens,
            settings=settings,
        )

    @classmethod
    def _of_tokens(cls, network: NoteTransformer) -> ComposerPipeline:
        """A pipeline of a network that a run saved.

        Raises:
            UserError: If it is one of features, whose statistics its run saves beside it.
        """
        if network.config["kind"] != "tokens":
            raise UserError(
                "a network of features without the statistics of its data means no notes; give the folder around it"
            )
        return cls(network, MaskedScheduler())

    @property
    def verbs(self) -> tuple[str, ...]:
        """What the model can do: features are drawn behind what is there, never between."""
        always = ("generate", "extend")
        return (*always, "infill", "vary") if self.network.config["kind"] == "tokens" else always

    def defaults(self) -> dict[str, Any]:
        """Settings of the sampler where a caller names none, as keyword arguments of every verb."""
        names = ("steps", "guidance_scale", "temperature")
        return {name: self.config[f"default_{name}"] for name in names}

    def generate(
        self,
        n: int = 1,
        *,
        notes: int | None = None,
        bars: int | None = None,
        seed: int | Sequence[int] = 0,
        progress: Progress | None = None,
        **choices: Any,
    ) -> list[ScoreTick]:
        """New pieces.

        Args:
            n: How many; as many as there are seeds, where several are given.
            notes: Length of each, in notes.
            bars: Length in bars, instead.
            seed: Of the first piece; the next has the next. Or one for each.
            progress: See `Progress`.
            choices: Wishes (`key`, `tempo` in quarter notes a minute, `metre`, `ensemble`, `density` in notes a
                quarter, `style`, `chords`, `scale="strict"`), in words as on the command line; and `steps`,
                `guidance_scale`, `temperature`.

        Returns:
            Scores at 480 ticks a quarter note, a track a part.

        Raises:
            UserError: If a wish makes no sense, or some contradict each other.
        """
        if n < 1:
            raise UserError(f"{n} pieces: 1 or more are allowed")
        notes, bars = checked_length(notes, bars, self.config["default_notes"])
        wishes, sampling = self._choices(choices)
        setting = self._setting()
        seeds = range(seed, seed + n) if isinstance(seed, int) else seed
        pieces = [new_piece(wishes, setting, notes=notes, bars=bars, seed=one) for one in seeds]
        return self._carry_out(pieces, sampling, progress)

    @overload
    def extend(self, score: list[Any], **choices: Any) -> list[ScoreTick]: ...
    @overload
    def extend(self, score: ScoreSource, **choices: Any) -> ScoreTick: ...
    def extend(
        self,
        score: Any,
        *,
        notes: int | None = None,
        bars: int | None = None,
        seed: int = 0,
        progress: Progress | None = None,
        **choices: Any,
    ) -> Any:
        """A score that goes on, in its last tempo and metre and with its instruments; what is there stays.

        Args:
            score: Anything `ondes.read_score` takes, or a list of such.
            notes: How many new notes.
            bars: How many new bars, instead.
            seed: Of the first score; the next has the next.
            progress: See `Progress`.
            choices: As of `generate`, but for `tempo`, `metre` and `ensemble`.

        Returns:
            A copy of the score with more notes, or a list of such.

        Raises:
            UserError: If the score has no notes, or a wish makes no sense.
        """
        notes, bars = checked_length(notes, bars, self.config["default_notes"])
        wishes, sampling = self._choices(choices, without=("tempo", "metre", "ensemble"))
        pieces = [
            extension(one, wishes, self._setting(), notes=notes, bars=bars, seed=seed + item)
            for item, one in enumerate(scores_of(score))
        ]
        return as_given(score, self._carry_out(pieces, sampling, progress))

    @overload
    def infill(self, score: list[Any], **choices: Any) -> list[ScoreTick]: ...
    @overload
    def infill(self, score: ScoreSource, **choices: Any) -> ScoreTick: ...
    def infill(
        self,
        score: Any,
        *,
        bars: tuple[int, int] | None = None,
        track: int | None = None,
        seed: int = 0,
        progress: Progress | None = None,
        **choices: Any,
    ) -> Any:
        """A score of which some bars, a track, or a track in some bars are made anew; all else stays note for note.

        Args:
            score: Anything `ondes.read_score` takes, or a list of such.
            bars: First and last bar, from 1.
            track: Which of the tracks with notes, from 1; one more than there are is a new one for `ensemble`.
            seed: Of the first score; the next has the next.
            progress: See `Progress`.
            choices: As of `generate`, but for `tempo` and `metre`.

        Returns:
            A copy of the score, or a list of such.

        Raises:
            UserError: If there are no such bars or track, or a wish makes no sense.
        """
        wishes, sampling = self._choices(choices, without=("tempo", "metre"), fills=True)
        pieces = [
            infilling(one, wishes, self._setting(), bars=bars, track=track, seed=seed + item)
            for item, one in enumerate(scores_of(score))
        ]
        return as_given(score, self._carry_out(pieces, sampling, progress))

    @overload
    def vary(self, score: list[Any], **choices: Any) -> list[ScoreTick]: ...
    @overload
    def vary(self, score: ScoreSource, **choices: Any) -> ScoreTick: ...
    def vary(
        self,
        score: Any,
        *,
        strength: float = 0.5,
        keep: str | Sequence[str] | None = None,
        seed: int = 0,
        progress: Progress | None = None,
        **choices: Any,
    ) -> Any:
        """A score like another: of its notes a share of rhythms, pitches, instruments and velocities is drawn anew.

        Every note stays in its bar.

        Args:
            score: Anything `ondes.read_score` takes, or a list of such.
            strength: The share; 0 leaves the score as it is.
            keep: "rhythm", "pitch", "instruments", "velocity", several of them, or "nothing".
            seed: Of the first score; the next has the next.
            progress: See `Progress`.
            choices: As of `generate`, but for `tempo`, `metre` and `ensemble`.

        Returns:
            A copy of the score, or a list of such.

        Raises:
            UserError: If the score has no notes, or a wish makes no sense.
        """
        check_strength(strength)
        kept = parse_keep(keep)
        wishes, sampling = self._choices(choices, without=("tempo", "metre", "ensemble"))
        pieces = [
            variation(one, wishes, self._setting(), strength=strength, keep=kept, seed=seed + item)
            for item, one in enumerate(scores_of(score))
        ]
        return as_given(score, self._carry_out(pieces, sampling, progress))

    def _choices(
        self, choices: dict[str, Any], *, without: tuple[str, ...] = (), fills: bool = False
    ) -> tuple[Wishes, Sampling]:
        """Wishes and settings of the sampler, checked.

        Raises:
            UserError: If one makes no sense here.
        """
        chosen = self.defaults()
        wished = {}
        for name, value in choices.items():
            if name in chosen:
                chosen[name] = chosen[name] if value is None else value
            elif name in without and value is not None:
                raise UserError(f"the score has its own {name}, which stays; leave {name} out")
            else:
                wished[name] = value
        wishes = parse_wishes(**wished)
        styles = self.network.config["styles"]
        if wishes.style is not None and wishes.style not in styles:
            raise UserError(f"no such style: {wishes.style!r}; {nearest(wishes.style, styles)}")
        check_sampling(chosen["steps"], chosen["guidance_scale"], chosen["temperature"])
        own = self.config["infill_temperatures" if fills else "relative_temperatures"] or {}
        relative = tuple(float(own.get(name, 1.0)) for name in self.network.fields) if own else ()
        order = self.config["infill_order"] if fills else None
        return wishes, Sampling(
            **chosen, top_p=float(self.config["top_p"]), relative_temperatures=relative, order=order
        )

    def _setting(self) -> Setting:
        return setting_of(self.config, NoteTokenSpec(unquantised="offset" in self.network.fields))

    def _carry_out(
        self, pieces: list[Piece], sampling: Sampling, progress: Progress | None
    ) -> list[ScoreTick]:
        """Complete the windows of all pieces, side by side, until every one is finished."""
        asked_key, home_key = (float(self.config[name]) for name in ("key_bonus", "home_key_bonus"))
        bonus = Bonus(asked_key, home_key, self.config["likeness"] or {})
        results: list[Any] = [None] * len(pieces)
        drawn, number = [0] * len(pieces), 0
        waiting = {item: next_window(piece, None, results, item) for item, piece in enumerate(pieces)}
        while active := {item: problem for item, problem in waiting.items() if problem is not None}:
            counts = {item: int(problem.drawn.sum()) for item, problem in active.items()}
            done, now = sum(drawn), sum(counts.values())
            expected = (max(piece.expected_notes, made) for piece, made in zip(pieces, drawn, strict=True))
            total = max(sum(expected), done + now)

            def on_step(share: float, done: int = done, now: int = now, total: int = total) -> None:
                if progress is not None:
                    progress(done + share * now, total)

            jobs = [job_of(pieces[item], problem, number, bonus) for item, problem in active.items()]
            answers = self._complete(jobs, sampling, on_step)
            for item, tokens in zip(active, answers, strict=True):
                drawn[item] += counts[item]
                waiting[item] = next_window(pieces[item], tokens, results, item)
            number += 1
        return [piece.finish(result) for piece, result in zip(pieces, results, strict=True)]

    def _complete(self, jobs: list[Job], sampling: Sampling, on_step: Callable[[float], None]) -> list[Any]:
        """Windows completed by masked diffusion, or by that of features."""
        if self.network.config["kind"] == "tokens":
            return complete(self.network, self.scheduler, jobs, sampling, on_step)
        statistics = FeatureStatistics.from_config(self.config["feature_statistics"] or {})
        return complete_features(self.network, self.scheduler, jobs, sampling, on_step, statistics)
