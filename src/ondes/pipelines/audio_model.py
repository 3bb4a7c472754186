"""What every model of audio can do: each verb as a stream of blocks, which a model defines, and as a whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

from ondes.audio import Audio
from ondes.pipelines.audio_inputs import (
    Sound,
    check_memory,
    checked_length,
    checked_ratios,
    open_sound,
)
from ondes.pipelines.audio_variation import inversions_kept
from ondes.pipelines.audio_windows import Progress
from ondes.representations.regions import Region

Regions = str | Sequence[Region] | Sequence[tuple[float, float]]
"""As `12.5-15,1:03-1:07.25`, as pairs of seconds, or in samples."""

TOO_LONG = "stream it and write the blocks to a file"


class AudioModel(ABC):
    """The verbs of a model of audio.

    A model says how each is done as a stream: `stream` for new music, `stream_vary` and so on for sounds, of which
    blocks come as they are made, in memory that does not grow with the length. What these make in one go, for lists and
    for walks stands here. Sound number i of a list, or piece number i, has the seed `seed` + i.
    """

    @property
    @abstractmethod
    def default_steps(self) -> int:
        """Solver steps where the caller names none."""

    @property
    @abstractmethod
    def styles(self) -> tuple[str, ...]:
        """Names that `style` may hold."""

    @property
    @abstractmethod
    def sample_rate_hz(self) -> int:
        """Rate of new music."""

    @abstractmethod
    def stream(
        self,
        duration_s: float,
        *,
        seed: int = 0,
        loudness_lufs: float | None = None,
        progress: Progress | None = None,
        **choices: Any,
    ) -> Iterator[Audio]:
        """New music in blocks as they are made.

        Args:
            duration_s: Length in seconds; to the nearest sample.
            seed: Of the noise the music is made from.
            loudness_lufs: Integrated loudness of the result by ITU-R BS.1770, for which all is made before the first
                block comes. If missing, it is as the model makes it.
            progress: Called with the seconds made and to be made; it may raise to stop.
            choices: Of the model.

        Raises:
            UserError: If a setting cannot be used.
        """

    @abstractmethod
    def stream_vary(
        self,
        audio: Sound,
        strength: float = 0.3,
        *,
        seed: int = 0,
        loudness_lufs: float | None = None,
        progress: Progress | None = None,
        **choices: Any,
    ) -> Iterator[Audio]:
        """A sound played again, the same in outline and new in detail, in blocks.

        Args:
            audio: A file, `Audio`, or a pair of array and rate, mono or stereo at any rate.
            strength: How much is made anew: at 0 the sound comes back as it is, at 1 nothing of it remains.
            seed: Of the noise.
            loudness_lufs: As of `stream`.
            progress: As of `stream`.
            choices: Of the model.

        Returns:
            Blocks of a sound as long as the given one, at its rate and with its channels.

        Raises:
            UserError: If the sound or a setting cannot be used.
        """

    @abstractmethod
    def stream_interpolate(
        self,
        first: Sound,
        second: Sound,
        *,
        ratio: float = 0.5,
        strength: float = 0.5,
        method: str = "noise",
        seed: int = 0,
        loudness_lufs: float | None = None,
        progress: Progress | None = None,
        **choices: Any,
    ) -> Iterator[Audio]:
        """A sound that lies between two, in blocks; see `interpolate`."""

    @abstractmethod
    def stream_inpaint(
        self,
        audio: Sound,
        regions: Regions,
        *,
        seed: int = 0,
        progress: Progress | None = None,
        **choices: Any,
    ) -> Iterator[Audio]:
        """A sound of which some regions are made anew to fit what is around them, in blocks; see `inpaint`."""

    @abstractmethod
    def stream_outpaint(
        self,
        audio: Sound,
        *,
        before_s: float = 0.0,
        after_s: float = 0.0,
        seed: int = 0,
        progress: Progress | None = None,
        **choices: Any,
    ) -> Iterator[Audio]:
        """A sound made longer, at either end, in blocks; see `outpaint`."""

    def generate(
        self,
        duration_s: float = 10.0,
        *,
        n: int = 1,
        seed: int = 0,
        progress: Progress | None = None,
        **choices: Any,
    ) -> list[Audio]:
        """New pieces of music.

        Args:
            duration_s: Length of each, in seconds; to the nearest sample.
            n: How many pieces.
            seed: Of the first piece; the next has the next.
            progress: Called as audio is made, with seconds of all pieces; it may raise to stop.
            choices: As of `stream`.

        Raises:
            UserError: If a setting cannot be used, or the pieces do not fit into memory.
        """
        checked_length(duration_s, "a piece")
        self._check_room((n + 1) * duration_s)
        return [
            Audio.concatenate(
                self.stream(
                    duration_s,
                    seed=seed + item,
                    progress=_part_of(progress, item, n, duration_s),
                    **choices,
                )
            )
            for item in range(n)
        ]

    @overload
    def vary(self, audio: Sound, strength: float = 0.3, **choices: Any) -> Audio: ...
    @overload
    def vary(self, audio: list[Sound], strength: float = 0.3, **choices: Any) -> list[Audio]: ...
    def vary(self, audio: Sound | list[Sound], strength: float = 0.3, **choices: Any) -> Audio | list[Audio]:
        """A sound played again, or each of a list; see `stream_vary`."""
        return self._each(self.stream_vary, audio, strength=strength, **choices)

    @overload
    def interpolate(self, first: Sound, second: Sound, *, ratios: None = None, **choices: Any) -> Audio: ...
    @overload
    def interpolate(
        self, first: Sound, second: Sound, *, ratios: Sequence[float], **choices: Any
    ) -> list[Audio]: ...
    def interpolate(
        self,
        first: Sound,
        second: Sound,
        *,
        ratio: float = 0.5,
        ratios: Sequence[float] | None = None,
        progress: Progress | None = None,
        **choices: Any,
    ) -> Audio | list[Audio]:
        """A sound that lies between two.

        Args:
            first: As of `stream_vary`.
            second: Another.
            ratio: How far from the first, at 0, to the second, at 1.
            ratios: Several, which give a walk.
            progress: Called with seconds made and to be made of all; it may raise to stop.
            choices: `strength`, how much is made anew: more blends better, and keeps less of both; `method`, which is
                "noise", where the spectra are mixed and the same noise is added to them, or "inversion", which follows
                each sound back to the noise that it would come from, and goes on an arc from one to the other; `seed`,
                the same for all ratios; `loudness_lufs`; and those of the model.

        Returns:
            As long as the shorter, at the rate of the first; a list where `ratios` are given.

        Raises:
            UserError: If a sound or a setting cannot be used.
        """
        places = checked_ratios([ratio] if ratios is None else list(ratios))
        ends = open_sound(first), open_sound(second)
        length_s = min(end.duration_s for end in ends)
        with inversions_kept():
            made = [
                Audio.concatenate(
                    self.stream_interpolate(
                        *ends,
                        ratio=place,
                        progress=_part_of(progress, number, len(places), length_s),
                        **choices,
                    )
                )
                for number, place in enumerate(places)
            ]
        return made[0] if ratios is None else made

    @overload
    def inpaint(self, audio: Sound, regions: Regions, **choices: Any) -> Audio: ...
    @overload
    def inpaint(self, audio: list[Sound], regions: Regions, **choices: Any) -> list[Audio]: ...
    def inpaint(self, audio: Sound | list[Sound], regions: Regions, **choices: Any) -> Audio | list[Audio]:
        """A sound of which some regions are made anew to fit what is around them, or each of a list.

        All else stays bit for bit. What was in a region plays no part. Crossfades lie inside the regions.

        Args:
            audio: As of `stream_vary`.
            regions: A line such as "12.5-15,1:03-1:07.25", pairs of start and stop in seconds, or `Region`s in samples.
            choices: `seed`, `progress` and those of the model.

        Returns:
            As long as the sound, at its rate and with its channels.

        Raises:
            UserError: If the sound, a region or a setting cannot be used.
        """
        return self._each(self.stream_inpaint, audio, regions=regions, **choices)

    @overload
    def outpaint(self, audio: Sound, **choices: Any) -> Audio: ...
    @overload
    def outpaint(self, audio: list[Sound], **choices: Any) -> list[Audio]: ...
    def outpaint(
        self, audio: Sound | list[Sound], *, before_s: float = 0.0, after_s: float = 0.0, **choices: Any
    ) -> Audio | list[Audio]:
        """A sound made longer, at either end, or each of a list; all of it stays bit for bit.

        Args:
            audio: As of `stream_vary`.
            before_s: Seconds to add before.
            after_s: Seconds to add after.
            choices: `seed`, `progress` and those of the model.

        Returns:
            The longer sound, at its rate and with its channels.

        Raises:
            UserError: If the sound or a setting cannot be used, or the result does not fit into memory.
        """
        checked_length(before_s, "an addition before", least_s=0.0)
        checked_length(after_s, "an addition after", least_s=0.0)
        self._check_room(3 * (before_s + after_s))
        return self._each(self.stream_outpaint, audio, before_s=before_s, after_s=after_s, **choices)

    def _each(
        self,
        verb: Callable[..., Iterator[Audio]],
        audio: Sound | list[Sound],
        *,
        seed: int = 0,
        **choices: Any,
    ) -> Audio | list[Audio]:
        """A verb for a sound, or for each of a list with a seed of its own, whole."""
        if not isinstance(audio, list):
            return Audio.concatenate(verb(audio, seed=seed, **choices))
        return [
            Audio.concatenate(verb(sound, seed=seed + item, **choices)) for item, sound in enumerate(audio)
        ]

    def _check_room(self, seconds: float) -> None:
        """Refuse what cannot be held."""
        check_memory(seconds, self.sample_rate_hz, channels=2, copies=1, advice=TOO_LONG)


def _part_of(progress: Progress | None, number: int, count: int, each_s: float) -> Progress | None:
    """What one of several results tells of all of them."""
    if progress is None or count == 1:
        return progress

    def tell(done_s: float, _: float) -> None:
        progress(number * each_s + done_s, count * each_s)

    return tell
