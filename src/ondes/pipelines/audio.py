"""Audio: new music from noise, and sounds that are varied, blended, mended and made longer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ondes.audio import Audio
from ondes.models.bigvgan import BigVGAN
from ondes.models.griffin_lim import GriffinLim
from ondes.models.mel_unet import MelUNet
from ondes.models.vocoder import Vocoder
from ondes.pipelines.audio_inputs import Sound, checked_length
from ondes.pipelines.audio_making import Level, checked_loudness, stream_new
from ondes.pipelines.audio_model import AudioModel, Regions
from ondes.pipelines.audio_verbs import between, lengthened, mended, varied
from ondes.pipelines.audio_windows import Meter, Progress, WindowMaker, frames_of
from ondes.pipelines.loading import load_with_vocoder
from ondes.pipelines.playback import heard_frames
from ondes.pipelines.stored import StoredPipeline
from ondes.representations.segments import Segment, segments


class AudioPipeline(AudioModel, StoredPipeline):
    """Makes and edits 44.1 kHz stereo: log-mel by diffusion, window after window, and audio by a vocoder.

    Everything is made window by window from noise that is a function of the seed and the place, so a piece is the same
    alone, in a batch, as a stream and as a whole; piece or sound number i of a batch has the seed `seed` + i. A longer
    piece begins like a shorter one, except for what the network does because it knows the end is near.

    Args:
        network: The network.
        vocoder: Log-mel to audio: a `Vocoder`, `GriffinLim` or `BigVGAN`.
        scheduler: A flow-matching scheduler of diffusers.
        window_frames: Most mel frames of a window.
        context_frames: Frames of a window that are known, on either side where there are any.
        default_steps: Solver steps where the caller names none.
        default_guidance_scale: The same of the guidance scale.
        default_temperature: The same of the temperature.
        gain_db: Brings the loudness of this model's new music to that of its training data.
        first_frames: Frames of the first window of new music, short so that a stream begins early.
        opening_lufs: What the loudness of that window becomes, with one gain for the whole piece, where the caller asks
            for none; `gain_db` alone is applied where missing.
        default_fill_strength: Strength of `stream_inpaint` and `stream_outpaint` where the caller names none.
    """

    def __init__(
        self,
        network: MelUNet,
        vocoder: Vocoder | GriffinLim | BigVGAN,
        scheduler: Any,
        window_frames: int = 2048,
        context_frames: int = 512,
        default_steps: int = 16,
        default_guidance_scale: float = 1.0,
        default_temperature: float = 1.0,
        gain_db: float = 0.0,
        first_frames: int = 512,
        opening_lufs: float | None = None,
        default_fill_strength: float = 0.5,
    ) -> None:
        super().__init__()
        self.register_modules(network=network, vocoder=vocoder, scheduler=scheduler)
        self.register_to_config(
            window_frames=window_frames,
            context_frames=context_frames,
            default_steps=default_steps,
            default_guidance_scale=default_guidance_scale,
            default_temperature=default_temperature,
            gain_db=gain_db,
            first_frames=first_frames,
            opening_lufs=opening_lufs,
            default_fill_strength=default_fill_strength,
        )
        network.eval()
        vocoder.eval()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **settings: Any) -> AudioPipeline:
        """Load a model.

        Args:
            pretrained_model_name_or_path: A bundled name ("audio-small"), a folder that `save_pretrained` wrote, or
                the id of a model on the Hub, which alone reaches the network.
            settings: As of diffusers' `from_pretrained`; `vocoder` may also be a bundled name, a folder, a Hub id or
                "griffin-lim".

        Raises:
            UserError: If there is no such model, or its weights are damaged or do not fit.
        """
        return load_with_vocoder(
            super().from_pretrained,
            pretrained_model_name_or_path,
            kind="audio",
            network="network",
            settings=settings,
        )

    @property
    def default_steps(self) -> int:
        """Solver steps where the caller names none."""
        return int(self.config["default_steps"])

    @property
    def styles(self) -> tuple[str, ...]:
        """Names that `style` may hold."""
        return self.network.styles

    @property
    def sample_rate_hz(self) -> int:
        """Rate of new music."""
        return self.network.spec.sample_rate_hz

    def stream(
        self,
        duration_s: float,
        *,
        seed: int = 0,
        loudness_lufs: float | None = None,
        progress: Progress | None = None,
        **choices: Any,
    ) -> Iterator[Audio]:
        """New music in blocks as they are made, in memory that does not grow with the length.

        Args:
            duration_s: Length in seconds; to the nearest sample.
            seed: Of the noise the music is made from.
            loudness_lufs: Integrated loudness of the result by ITU-R BS.1770, for which all is made before the first
                block comes. If missing, the first window is brought to the model's usual one, the rest with it.
            progress: Called with the seconds made and to be made; it may raise to stop.
            choices: As of `maker`.

        Raises:
            UserError: If a setting cannot be used.
        """
        length_s = checked_length(duration_s, "a piece")
        maker = self.maker(seed, **choices)
        spec = self.network.spec
        frames = frames_of(round(length_s * spec.sample_rate_hz), spec.hop_samples)
        plan = self.plan(frames, first=self.config["first_frames"])
        opening_lufs = self.config["opening_lufs"]
        return stream_new(
            maker,
            self.vocoder,
            plan,
            length_s,
            level=Level(
                float(self.config["gain_db"]),
                checked_loudness(loudness_lufs),
                None if opening_lufs is None else float(opening_lufs),
            ),
            meter=Meter(progress, length_s),
        )

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
        """A sound played again, the same in outline and new in detail, in blocks; see `AudioModel.stream_vary`.

        Noise is added up to a level and taken away by the model (SDEdit: Meng et al. 2021, arXiv 2108.01073), window by
        window. `choices` are those of `maker`.
        """
        maker = self.maker(seed, **choices)
        return varied(self, audio, maker, strength=strength, loudness_lufs=loudness_lufs, progress=progress)

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
        """A sound that lies between two, in blocks; see `AudioModel.interpolate`. `choices` are those of `maker`."""
        return between(
            self,
            (first, second),
            self.maker(seed, **choices),
            ratio=ratio,
            strength=strength,
            method=method,
            loudness_lufs=loudness_lufs,
            progress=progress,
        )

    def stream_inpaint(
        self,
        audio: Sound,
        regions: Regions,
        *,
        strength: float | None = None,
        seed: int = 0,
        progress: Progress | None = None,
        **choices: Any,
    ) -> Iterator[Audio]:
        """A sound of which some regions are made anew, in blocks; see `AudioModel.inpaint`.

        One window holds a region and what is known on both sides; long regions take several. Crossfades are of 192
        samples.

        Args:
            audio: As of `stream_vary`.
            regions: As of `AudioModel.inpaint`.
            strength: How much of a region is the model's own, where sound on both sides and the region fit into one
                window: at 1 it begins from noise; at less from the beats and bars that the sounds around repeat, with
                so much noise (SDEdit: Meng et al. 2021, arXiv 2108.01073), and at 0 these are all there is.
            seed: Of the noise.
            progress: As of `stream`.
            choices: As of `maker`.
        """
        maker, share = self.maker(seed, **choices), self._fill_strength(strength)
        return mended(self, audio, maker, regions=regions, strength=share, progress=progress)

    def stream_outpaint(
        self,
        audio: Sound,
        *,
        before_s: float = 0.0,
        after_s: float = 0.0,
        strength: float | None = None,
        seed: int = 0,
        progress: Progress | None = None,
        **choices: Any,
    ) -> Iterator[Audio]:
        """A sound made longer, in blocks; see `AudioModel.outpaint`.

        Args:
            audio: As of `stream_vary`.
            before_s: As of `AudioModel.outpaint`.
            after_s: As of `AudioModel.outpaint`.
            strength: As of `stream_inpaint`.
            seed: Of the noise.
            progress: As of `stream`.
            choices: As of `maker`.
        """
        maker, share = self.maker(seed, **choices), self._fill_strength(strength)
        ends = {"before_s": before_s, "after_s": after_s}
        return lengthened(self, audio, maker, **ends, strength=share, progress=progress)

    def _fill_strength(self, strength: float | None) -> float:
        """What was asked for, or the model's own."""
        return float(self.config["default_fill_strength"] if strength is None else strength)

    def plan(self, frames: int, *, first: int | None = None) -> list[Segment]:
        """Windows in which so many frames are made, each with the end of the one before as context.

        Args:
            frames: How many.
            first: Frames of the first window, at most those of any other; as many where missing.
        """
        window, context = (int(self.config[name]) for name in ("window_frames", "context_frames"))
        multiple = int(self.network.multiple)
        return segments(
            frames,
            window=window,
            context=context,
            first=min(first or window, window),
            multiple=multiple,
            heard=heard_frames,
        )

    def join_times_s(self, duration_s: float) -> np.ndarray:
        """Where windows join in new music of a length, in seconds."""
        rate = self.network.spec.frames_per_second
        plan = self.plan(round(duration_s * rate), first=self.config["first_frames"])
        return np.array([segment.start + segment.known for segment in plan[1:]]) / rate

    def maker(
        self,
        seed: int,
        *,
        style: str | Sequence[str] = (),
        steps: int | None = None,
        sampler: str | None = None,
        guidance_scale: float | None = None,
        temperature: float | None = None,
    ) -> WindowMaker:
        """What makes windows of log-mel as was asked for.

        Args:
            seed: Of the noise the music is made from.
            style: What the music is to be like, by one or more names among `styles`; none leaves it open.
            steps: Solver steps, 8 to 32: more are slower and closer to what the model means.
            sampler: "euler", "heun", "dpm++" or "unipc"; the model's own scheduler if missing.
            guidance_scale: Above 1, the style is obeyed more than in the training data, at twice the time.
            temperature: Scale of the noise the music is made from: towards 0 with less variety and fewer accidents.

        Raises:
            UserError: If a setting cannot be used.
        """
        scale, heat = (
            float(self.config[f"default_{name}"] if given is None else given)
            for name, given in (("guidance_scale", guidance_scale), ("temperature", temperature))
        )
        return WindowMaker(
            self.network,
            self.scheduler,
            steps=self.default_steps if steps is None else steps,
            sampler=sampler,
            guidance_scale=scale,
            temperature=heat,
            style=style,
            seed=seed,
        )
