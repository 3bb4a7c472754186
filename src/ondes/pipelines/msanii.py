"""The published audio model, Msanii: music from noise, and RePaint for holes and continuations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler

from ondes.audio import Audio
from ondes.diffusion.ddim import add_noise
from ondes.errors import UserError
from ondes.models.msanii_unet import MsaniiUNet
from ondes.models.msanii_vocoder import MsaniiVocoder
from ondes.pipelines.audio_inputs import Sound, checked_length, take_sound
from ondes.pipelines.bundled import resolve, verify_names, verify_saved
from ondes.pipelines.loading import LOADING_ERRORS, quiet_loading, reason
from ondes.pipelines.msanii_job import MsaniiJob, Progress, features_of
from ondes.pipelines.msanii_longer import half_window, longer, spans
from ondes.pipelines.msanii_sounds import Fitting, as_long_as, spliced
from ondes.pipelines.stored import StoredPipeline
from ondes.representations.msanii_mel import MsaniiFeatures
from ondes.representations.regions import Region, to_regions

INDEX, CONFIG = "model_index.json", "config.json"

PUBLISHED_FRAMES = 8192
"""190 s, the length the published weights were trained on."""


def make_msanii_scheduler(**settings: Any) -> DDIMScheduler:
    """The published schedule: cosine, 1000 steps, the estimate of the data clipped to -1 and 1."""
    return DDIMScheduler(**{"beta_schedule": "squaredcos_cap_v2", "clip_sample": True, **settings})


class MsaniiPipeline(StoredPipeline):
    """Makes and edits audio as Msanii does.

    With `compat` everything is the original's arithmetic: its grid of timesteps, its mixture of two noises that is too
    weak, integer seconds, lengths fitted to the network, and the whole result from the vocoder. Without, grids begin at
    the level they should, noise keeps its variance, lengths are exact to the sample, and what was given comes back bit
    for bit. Either way everything is drawn from the seed: item number i of a call has the seed `seed` + i.

    Args:
        unet: The network, with how audio becomes features in its settings.
        vocoder: Makes magnitudes; the pseudo-inverse of the mel filters where None.
        scheduler: DDIM of diffusers, for its schedule of noise.
        compat: Whether the original's arithmetic is kept.
        default_steps: Of the sampler where the caller names none.
        griffin_lim_iterations: Where the caller names none.
        griffin_lim_momentum: Of every reconstruction.
        window_frames: Longest window in which a sound is made longer.
    """

    model_cpu_offload_seq = "unet->vocoder"
    _optional_components = ["vocoder"]  # noqa: RUF012  diffusers' own

    def __init__(
        self,
        unet: MsaniiUNet,
        vocoder: MsaniiVocoder | None,
        scheduler: Any,
        compat: bool = False,
        default_steps: int = 20,
        griffin_lim_iterations: int = 100,
        griffin_lim_momentum: float = 0.99,
        window_frames: int = PUBLISHED_FRAMES,
    ) -> None:
        super().__init__()
        self.register_modules(unet=unet, vocoder=vocoder, scheduler=scheduler)
        self.register_to_config(
            compat=compat,
            default_steps=default_steps,
            griffin_lim_iterations=griffin_lim_iterations,
            griffin_lim_momentum=griffin_lim_momentum,
            window_frames=window_frames,
        )
        unet.eval()
        if vocoder is not None:
            vocoder.eval()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **settings: Any) -> MsaniiPipeline:
        """Load a model.

        Args:
            pretrained_model_name_or_path: A folder that `save_pretrained` or `ondes import` wrote, or the folder
                `model` of a run of `ondes train audio`.
            settings: As of diffusers' `from_pretrained`; `vocoder` may also be the folder `model` of a run of `ondes
                train vocoder`, or "griffin-lim", which is none; `compat` wins over what was saved.

        Raises:
            UserError: If there is no such model, or its weights are damaged or do not fit.
        """
        name = Path(pretrained_model_name_or_path)
        bare = (name / CONFIG).is_file() and not (name / INDEX).is_file()
        place = resolve(pretrained_model_name_or_path, kind="audio model", config=CONFIG if bare else INDEX)
        if isinstance(settings.get("vocoder"), str | Path):
            settings["vocoder"] = load_msanii_vocoder(settings["vocoder"])
        if isinstance(place, Path):
            verify_saved(place, given=settings)
        loading = {"low_cpu_mem_usage": False, "use_safetensors": True}
        try:
            with quiet_loading():
                if bare:
                    unet = MsaniiUNet.from_pretrained(str(place), **loading)
                    pipeline = cls(unet, settings.pop("vocoder", None), make_msanii_scheduler(), **settings)
                else:
                    pipeline = super().from_pretrained(str(place), **loading, **settings)
        except LOADING_ERRORS as error:
            raise UserError(
                f"{pretrained_model_name_or_path} cannot be loaded as Msanii: {reason(error)}"
            ) from error
        if isinstance(place, Path):
            verify_names(place if bare else place / "unet", pipeline.unet.state_dict())
        return pipeline

    @property
    def features(self) -> MsaniiFeatures:
        """How audio becomes what the network sees.

        Raises:
            UserError: If the network was saved without.
        """
        return features_of(self.unet)

    @property
    def sample_rate_hz(self) -> int:
        """Rate of new music."""
        return self.features.spec.sample_rate_hz

    @property
    def compat(self) -> bool:
        """Whether the original's arithmetic is kept."""
        return bool(self.config["compat"])

    def sample(
        self,
        n: int = 1,
        *,
        duration_s: float = 190.0,
        channels: int = 2,
        seed: int = 0,
        progress: Progress | None = None,
        **choices: Any,
    ) -> list[Audio]:
        """New music.

        Args:
            n: How many pieces.
            duration_s: Of each.
            channels: 1 or 2.
            seed: Of the first piece.
            progress: Called as work is done; what it raises ends it.
            choices: `steps`, `eta`, `use_vocoder` and `griffin_lim_iterations`, as of `audio_to_audio`.

        Raises:
            UserError: If a setting cannot be used, or the network makes NaN.
        """
        if n < 1 or channels not in (1, 2):
            raise UserError(f"{n} pieces of {channels} channels: give 1 piece or more, of 1 or 2 channels")
        fitting, job = self._fitting(), MsaniiJob(self, progress=progress, items=n, **choices)
        length = round(checked_length(duration_s, "a piece") * self.sample_rate_hz)
        frames = fitting.frames(length)
        timesteps = job.grid(1.0)
        job.expect(len(timesteps))
        made = []
        for item in range(n):
            job.begin(seed + item)
            noise = job.noise(frames, channels)
            made.append(job.finish(job.denoise(noise, timesteps), fitting.length(length, frames)))
        return made

    def audio_to_audio(
        self,
        sounds: Sequence[Sound],
        *,
        strength: float = 0.1,
        seed: int = 0,
        progress: Progress | None = None,
        **choices: Any,
    ) -> list[Audio]:
        """Variations: a sound with noise, denoised again.

        Args:
            sounds: What to vary.
            strength: Share of the schedule; the published default, 1, leaves nothing of the sound.
            seed: Of the first sound's noise.
            progress: As of `sample`.
            choices: `steps` of the sampler; `eta` of DDIM; `use_vocoder`, or else the pseudo-inverse of the filters;
                `griffin_lim_iterations`.

        Raises:
            UserError: As of `sample`, or if the strength is not above 0 and at most 1.
        """
        fitting, job = self._fitting(), MsaniiJob(self, progress=progress, items=len(sounds), **choices)
        timesteps = job.grid(strength)
        job.expect(len(timesteps))
        made = []
        for item, sound in enumerate(sounds):
            audio = take_sound(sound)
            job.begin(seed + item)
            features, length = fitting.analyse(audio)
            noisy = add_noise(features, job.noise_like(features), job.kept[timesteps[0]])
            made.append(fitting.like(job.finish(job.denoise(noisy, timesteps), length), audio))
        return made

    def interpolate(
        self,
        first: Sequence[Sound],
        second: Sequence[Sound],
        *,
        ratio: float = 0.5,
        strength: float = 0.1,
        seed: int = 0,
        progress: Progress | None = None,
        **choices: Any,
    ) -> list[Audio]:
        """Sounds between pairs of sounds, as long as the first of each.

        Args:
            first: One of each pair.
            second: The others; cut, or made longer with silence, to the length of the first.
            ratio: Share of the first.
            strength: As of `audio_to_audio`.
            seed: Of the first pair's noise.
            progress: As of `sample`.
            choices: As of `audio_to_audio`.

        Raises:
            UserError: As of `audio_to_audio`, or if the ratio is not from 0 to 1, or sounds are left over.
        """
        if not 0 <= ratio <= 1 or len(first) != len(second):
            raise UserError(
                f"{len(first)} and {len(second)} sounds at a ratio of {ratio}: give as many of each, and 0 to 1"
            )
        fitting, job = self._fitting(), MsaniiJob(self, progress=progress, items=len(first), **choices)
        timesteps = job.grid(strength)
        job.expect(len(timesteps))
        made = []
        for item, pair in enumerate(zip(first, second, strict=True)):
            audio, other = map(take_sound, pair)
            job.begin(seed + item)
            one, length = fitting.analyse(audio)
            two, _ = fitting.analyse(as_long_as(other, audio))
            noises = job.noise_like(one), job.noise_like(one)
            noise = ratio * noises[0] + (1 - ratio) * noises[1]
            if not self.compat:  # published, its deviation is 0.71 at a ratio of a half
                noise = noise / math.hypot(ratio, 1 - ratio)
            noisy = add_noise(ratio * one + (1 - ratio) * two, noise, job.kept[timesteps[0]])
            made.append(fitting.like(job.finish(job.denoise(noisy, timesteps), length), audio))
        return made

    def inpaint(
        self,
        sounds: Sequence[Sound],
        regions: Sequence[str | Sequence[Region] | Sequence[tuple[float, float]]],
        *,
        jump_length: int = 10,
        jump_n_sample: int = 10,
        seed: int = 0,
        progress: Progress | None = None,
        **choices: Any,
    ) -> list[Audio]:
        """Regions of sounds made anew, by RePaint.

        Args:
            sounds: What to mend.
            regions: Of each sound, as of `ondes.representations.regions.to_regions`.
            jump_length: Steps taken back at a time.
            jump_n_sample: How often each stretch is denoised.
            seed: Of the first sound's noise.
            progress: As of `sample`.
            choices: As of `audio_to_audio`.

        Returns:
            With `compat` everything from the vocoder, at the model's rate; else only the regions are new.

        Raises:
            UserError: As of `sample`, or if regions are none or missing.
        """
        if len(sounds) != len(regions):
            raise UserError(f"{len(sounds)} sounds and {len(regions)} lists of regions: give one for each")
        jumps = (jump_length, jump_n_sample)
        fitting = self._fitting()
        job = MsaniiJob(self, progress=progress, items=len(sounds), jumps=jumps, **choices)
        job.expect(job.repaint_evaluations())
        made = []
        for item, (sound, wanted) in enumerate(zip(sounds, regions, strict=True)):
            audio = take_sound(sound)
            rate, samples = audio.sample_rate_hz, audio.samples.shape[1]
            holes = to_regions(wanted, sample_rate_hz=rate, length_samples=samples)
            job.begin(seed + item)
            features, length = fitting.analyse(audio)
            known = fitting.known(holes, rate, length, features.shape[-1])
            new = fitting.like(job.finish(job.repaint(features, known), length), audio)
            made.append(new if self.compat else spliced(audio, new, holes))
        return made

    def outpaint(
        self,
        sounds: Sequence[Sound],
        *,
        num_spans: int = 2,
        jump_length: int = 10,
        jump_n_sample: int = 10,
        seed: int = 0,
        progress: Progress | None = None,
        **choices: Any,
    ) -> list[Audio]:
        """Sounds made longer as published: half their length at a time, given the half before.

        Args:
            sounds: What to go on with.
            num_spans: How many halves.
            jump_length: As of `inpaint`.
            jump_n_sample: As of `inpaint`.
            seed: Of the first sound's noise.
            progress: As of `sample`.
            choices: As of `audio_to_audio`.

        Returns:
            With `compat` everything from the vocoder, at the model's rate; else only what follows is new.

        Raises:
            UserError: As of `sample`, or if there is no span to make.
        """
        if num_spans < 1:
            raise UserError(f"{num_spans} spans: give 1 or more")
        jumps = (jump_length, jump_n_sample)
        fitting = self._fitting()
        job = MsaniiJob(self, progress=progress, items=len(sounds), jumps=jumps, **choices)
        job.expect(num_spans * job.repaint_evaluations())
        made = []
        for item, sound in enumerate(sounds):
            audio = take_sound(sound)
            job.begin(seed + item)
            if not self.compat:
                half = half_window(fitting, audio, most=int(self.config["window_frames"]))
                after_s = num_spans * half / self.features.spec.frames_per_second
                made.append(longer(job, fitting, audio, half, before_s=0.0, after_s=after_s))
                continue
            features, _ = fitting.analyse(audio)
            half = features.shape[-1] // 2
            for _ in range(num_spans):
                features = torch.cat([features, job.next_half(features[..., -half:])], -1)
            made.append(job.finish(features, self.features.spec.samples(features.shape[-1])))
        return made

    def extend(
        self,
        sound: Sound,
        *,
        before_s: float = 0.0,
        after_s: float = 0.0,
        jump_length: int = 10,
        jump_n_sample: int = 10,
        seed: int = 0,
        progress: Progress | None = None,
        **choices: Any,
    ) -> Audio:
        """A sound made longer by so many seconds on either side, itself unchanged.

        Raises:
            UserError: As of `outpaint`, or if both lengths are 0.
        """
        if min(before_s, after_s) < 0 or not 0 < before_s + after_s < math.inf:
            raise UserError(f"{before_s} s before and {after_s} s after: give 0 or more, and one above 0")
        jumps = (jump_length, jump_n_sample)
        fitting, job = self._fitting(), MsaniiJob(self, progress=progress, items=1, jumps=jumps, **choices)
        audio, spec = take_sound(sound), self.features.spec
        half = half_window(fitting, audio, most=int(self.config["window_frames"]))
        count = sum(spans(length_s, half, spec) for length_s in (before_s, after_s))
        job.expect(count * job.repaint_evaluations())
        job.begin(seed)
        return longer(job, fitting, audio, half, before_s=before_s, after_s=after_s)

    def _fitting(self) -> Fitting:
        return Fitting(self.features, int(self.unet.multiple), self.unet.device, self.compat)


def load_msanii_vocoder(name: str | Path) -> MsaniiVocoder | None:
    """A vocoder by folder; none by the name "griffin-lim".

    Raises:
        UserError: If it cannot be loaded.
    """
    if str(name) == "griffin-lim":
        return None
    place = resolve(name, kind="vocoder", config=CONFIG)
    if isinstance(place, Path):
        verify_saved(place)
    try:
        with quiet_loading():
            return MsaniiVocoder.from_pretrained(str(place), low_cpu_mem_usage=False, use_safetensors=True)
    except LOADING_ERRORS as error:
        raise UserError(f"{name} cannot be loaded as a vocoder of Msanii: {reason(error)}") from error
