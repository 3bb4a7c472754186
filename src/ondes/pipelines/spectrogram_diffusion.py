"""Spectrogram Diffusion: any score becomes 16 kHz mono audio, with the published models or those trained here."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ondes.audio import Audio
from ondes.diffusion.classifier_guidance import LogLikelihood
from ondes.models.mel_decoder import OnnxMelDecoder
from ondes.models.spectrogram_autoregressive import SpectrogramAutoregressive
from ondes.pipelines.loading import weights_hash
from ondes.pipelines.segment_network import (
    BaselineNetwork,
    PortNetwork,
    PublishedNetwork,
    SegmentNetwork,
    SegmentSizes,
)
from ondes.pipelines.spectrogram_judge import Transcriber, judge_notes
from ondes.pipelines.spectrogram_loading import (
    default_mel_decoder,
    load_mel_decoder,
    load_spectrogram_pipeline,
)
from ondes.pipelines.spectrogram_making import choose_making
from ondes.pipelines.spectrogram_samplers import SAMPLER_STEPS
from ondes.pipelines.spectrogram_segments import (
    Stretch,
    batches,
    choose_continuation,
    cut_segments,
    cut_windows,
)
from ondes.pipelines.spectrogram_voice import Voice
from ondes.pipelines.stored import StoredPipeline
from ondes.representations.events import EventCodec, make_codec, slakh_programs, song_frames
from ondes.representations.framed_mel import FEATURE_RANGE, OFFICIAL, from_scaled
from ondes.score import Notes, read_score, to_notes

log = logging.getLogger(__name__)

Progress = Callable[[float, float], None]
"""Called with the seconds of audio made and to be made; what it raises ends the work."""


class SpectrogramDiffusionPipeline(StoredPipeline):
    """Plays scores with the multi-instrument synthesiser of Hawthorne et al. (2022), arXiv 2206.05408.

    Notes become event tokens, segment after segment of 5.12 s; a decoder denoises the log-mel of each, hearing the
    notes and what it made before; a vocoder makes samples. The same seed gives the same music for a song alone, among
    others, in a stream, and in any longer song that begins alike.

    Args:
        notes_encoder: Encodes tokens; none for a `PortDiffusion`.
        continuous_encoder: Encodes the segment before; none for models without context.
        decoder: Denoises; a `PortDiffusion` is all three networks in one. A `SpectrogramAutoregressive`, the baseline
            of the paper, makes frames one by one instead.
        scheduler: The sampler where the caller names none; none for the baseline.
        melgan: Log-mel to audio: an `OnnxMelDecoder`, `FramedVocoder` or `FramedGriffinLim`; if missing, the
            one that comes with the package.
        codec: Settings of the token codec, as `make_codec` takes them.
        programs: "slakh" moves instruments to the classes of the published models, "as-is" leaves them.
        feature_range: Log-mels that are -1 and 1 to the networks.
        lead_frames: How many frames the networks' frames lie behind the official ones: 1 for the port's.
        default_steps: Solver steps where the caller names none.
        default_guidance: The same of the guidance scale.
        overlap_frames: Frames that windows share where a song is continued by inpainting.
        batch_size: Segments that are denoised at once, at most.
    """

    _optional_components: ClassVar[list[str]] = ["notes_encoder", "continuous_encoder", "scheduler", "melgan"]

    int8_error: float | None = None
    """Relative error of the decoder's answer to noise, where its linear layers were made 8-bit."""

    exact_hash: str | None = None
    """The model's hash before that."""

    def __init__(
        self,
        notes_encoder: Any,
        continuous_encoder: Any,
        decoder: Any,
        scheduler: Any,
        melgan: Any = None,
        codec: dict[str, Any] | None = None,
        programs: str = "slakh",
        feature_range: Sequence[float] = FEATURE_RANGE,
        lead_frames: int = 0,
        default_steps: int = 20,
        default_guidance: float = 2.0,
        overlap_frames: int = 64,
        batch_size: int = 8,
    ) -> None:
        super().__init__()
        self.register_modules(
            notes_encoder=notes_encoder,
            continuous_encoder=continuous_encoder,
            decoder=decoder,
            scheduler=scheduler,
            melgan=melgan,
        )
        codec = dict(codec or {"name": "mt3"})
        if programs not in ("slakh", "as-is"):
            raise ValueError(f"programs is {programs!r}: 'slakh' and 'as-is' are allowed")
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}: at least 1 is needed")
        self.register_to_config(
            codec=codec,
            programs=programs,
            feature_range=list(feature_range),
            lead_frames=lead_frames,
            default_steps=default_steps,
            default_guidance=default_guidance,
            overlap_frames=overlap_frames,
            batch_size=batch_size,
        )
        self.codec: EventCodec = make_codec(codec)
        for part in (notes_encoder, continuous_encoder, decoder, melgan):
            if part is not None:
                part.eval()

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        vocoder: Any = None,
        int8: bool = False,
        **settings: Any,
    ) -> SpectrogramDiffusionPipeline:
        """Load a model.

        Args:
            pretrained_model_name_or_path: A folder that `save_pretrained` wrote, a folder in the layout of
                `google/music-spectrogram-diffusion`, or the Hub id of either, which alone reaches the network.
            vocoder: As of `load_mel_decoder`; the model's own if missing.
            int8: Whether the linear layers compute with whole numbers of 8 bits, faster on a CPU and less exact; the
                error that this makes is logged.
            settings: As of diffusers' `from_pretrained`.

        Raises:
            UserError: If there is no such model, or its weights are damaged or do not fit.
        """
        return load_spectrogram_pipeline(
            cls,
            super().from_pretrained,
            pretrained_model_name_or_path,
            vocoder=vocoder,
            int8=int8,
            settings=settings,
        )

    @property
    def default_steps(self) -> int:
        """Solver steps where the caller names none."""
        return int(self.config["default_steps"])

    def steps_for(self, sampler: str | None) -> int:
        """Solver steps where the caller names a sampler and no number."""
        return SAMPLER_STEPS.get(sampler or "", self.default_steps)

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages beside those of all models that take part in playing."""
        return ("onnxruntime",) if isinstance(self.vocoder, OnnxMelDecoder) else ()

    @property
    def model_hash(self) -> str:
        """SHA-256 over the settings and the names and values of all weights (before any became 8-bit), hexadecimal."""
        if self.exact_hash is not None:
            return self.exact_hash
        networks = [self.notes_encoder, self.continuous_encoder, self.decoder, self.vocoder]
        present = [network for network in networks if network is not None]
        settings = [self.config] if self.scheduler is None else [self.config, self.scheduler.config]
        return weights_hash(settings, present)

    @property
    def vocoder(self) -> Any:
        """What makes audio of log-mels: the model's own, or one that comes with the package."""
        vocoder = self._bundled_vocoder if self.melgan is None else self.melgan
        # Phases and transforms need single precision, whatever the whole pipeline was taken to.
        return vocoder.float()

    @functools.cached_property
    def _bundled_vocoder(self) -> Any:
        return default_mel_decoder()

    @property
    def network(self) -> SegmentNetwork | BaselineNetwork:
        """The networks behind the verbs that this pipeline asks of them."""
        if isinstance(self.decoder, SpectrogramAutoregressive):
            return BaselineNetwork(self.decoder)
        if self.notes_encoder is None:
            return PortNetwork(self.decoder)
        return PublishedNetwork(self.notes_encoder, self.continuous_encoder, self.decoder)

    def __call__(self, score: Any, *, progress: Progress | None = None, **choices: Any) -> Any:
        """Play a score, or several in one batch.

        Args:
            score: Anything `ondes.read_score` takes, `ondes.Notes`, or a list of these.
            progress: Called as audio is made, with the seconds of all songs together.
            choices: As of `stream`.

        Returns:
            16 kHz mono as long as the score; a list of these for a list.
        """
        scores = score if isinstance(score, list) else [score]
        blocks: list[list[Audio]] = [[] for _ in scores]
        for song, block in self._stream_songs(scores, progress=progress, **choices):
            blocks[song].append(block)
        made = [Audio.concatenate(found) for found in blocks]
        return made if isinstance(score, list) else made[0]

    def stream(
        self,
        score: Any,
        *,
        seed: int = 0,
        steps: int | None = None,
        sampler: str | None = None,
        guidance_scale: float | None = None,
        guidance_interval: tuple[float, float] | None = None,
        guidance_rescale: float = 0.0,
        continuation: str | None = None,
        visits: int = 1,
        transcriber: Transcriber | None = None,
        transcriber_scale: float = 1.0,
        vocoder: Any = None,
        progress: Progress | None = None,
    ) -> Iterator[Audio]:
        """Play a score and give out blocks of audio as they are made.

        Args:
            score: Anything `ondes.read_score` takes, or `ondes.Notes`.
            seed: Of the noise the music is made from.
            steps: Solver steps, 10 to 50; if missing those of `steps_for`: 1000 for "ancestral" and "port", 100 for
                "ddpm".
            sampler: A name of `ondes.pipelines.spectrogram_samplers`; the model's own scheduler if missing.
            guidance_scale: 1 obeys the notes plainly, at half the price; more exaggerates them.
            guidance_interval: Diffusion times, 0 (data) to 1 (noise), between which there is guidance
                (Kynkäänniemi et al. 2024, arXiv 2404.07724).
            guidance_rescale: 0 to 1: how much of the unguided spread guidance gives back (Lin et al. 2023,
                arXiv 2305.08891).
            continuation: What joins segments: "context" (the network hears the one before), "inpainting" (they
                overlap), "none" (they are made in parallel). As the model was trained if missing.
            visits: How often each step of inpainting is taken (Lugmayr et al. 2022, arXiv 2201.09865).
            transcriber: A differentiable one, as a `MelTranscriber` in evaluation mode on the pipeline's device: the
                sampler goes where it hears the notes (`ondes.diffusion.classifier_guidance`), which works without
                any other guidance as well.
            transcriber_scale: By how much: 1 as Bayes' rule says.
            vocoder: As of `load_mel_decoder`; the model's own if missing.
            progress: Called as audio is made.

        Raises:
            UserError: If the score or a setting cannot be used.
        """
        choices = {
            "seed": seed,
            "steps": steps,
            "sampler": sampler,
            "guidance_scale": guidance_scale,
            "guidance_interval": guidance_interval,
            "guidance_rescale": guidance_rescale,
            "continuation": continuation,
            "visits": visits,
            "transcriber": transcriber,
            "transcriber_scale": transcriber_scale,
        }
        for _, block in self._stream_songs([score], vocoder=vocoder, progress=progress, **choices):
            yield block

    def log_mel(self, score: Any, **choices: Any) -> np.ndarray:
        """The log-mel of which `__call__` makes audio, unscaled, in the official framing: float32 (frames, bands)."""
        notes = self._notes(score)
        pieces = [piece for _, piece, _ in self._stream_mels([notes], report=lambda _: None, **choices)]
        if not pieces:
            return np.full((song_frames(notes), self.network.bands), self.feature_range[0], np.float32)
        return torch.cat(pieces).numpy()

    def _notes(self, score: Any) -> Notes:
        return score if isinstance(score, Notes) else to_notes(read_score(score))

    def _stream_songs(
        self, scores: Sequence[Any], *, vocoder: Any = None, progress: Progress | None = None, **choices: Any
    ) -> Iterator[tuple[int, Audio]]:
        """Blocks of several songs as they are made, each with the number of its song."""
        songs = [self._notes(score) for score in scores]
        decoder = self.vocoder if vocoder is None else load_mel_decoder(vocoder)
        voices = [Voice(decoder, song) for song in songs]
        total_s = sum(song.duration_s for song in songs)

        def report(done_s: float) -> None:
            if progress is not None:
                progress(min(done_s, total_s), total_s)

        for song, notes in enumerate(songs):
            if not len(notes):
                log.warning("the score has no notes: the result is silence")
                yield song, Audio(np.zeros((1, voices[song].left), np.float32), OFFICIAL.sample_rate_hz)
        for song, log_mel, last in self._stream_mels(songs, report=report, **choices):
            samples = voices[song].push(log_mel, last=last)
            if len(samples):
                yield song, Audio(samples.numpy()[None], OFFICIAL.sample_rate_hz)
        report(total_s)

    def _stream_mels(
        self,
        songs: Sequence[Notes],
        *,
        report: Callable[[float], None],
        continuation: str | None = None,
        **choices: Any,
    ) -> Iterator[tuple[int, Tensor, bool]]:
        """New frames of the songs (frames, bands) in any order of songs, and whether they are a song's last."""
        network = self.network
        make = choose_making(
            network,
            self.scheduler,
            choices,
            judge=self._judge,
            default_steps=self.default_steps,
            default_guidance=float(self.config["default_guidance"]),
        )
        mode = choose_continuation(continuation, network, int(self.config["overlap_frames"]))
        plans = [self._plan(song, network, mode) for song in songs]
        size = max(1, network.context_frames, int(self.config["overlap_frames"]))
        histories = [torch.zeros(0, network.bands, device=network.device) for _ in songs]
        done_frames = 0
        for batch in batches(plans, int(self.config["batch_size"]), parallel=mode == "none"):
            stretches = [plans[song][number] for song, number in batch]
            before, frames = done_frames, sum(stretch.kept for stretch in stretches)
            made = make(
                stretches,
                songs=[songs[song] for song, _ in batch],
                histories=[histories[song] for song, _ in batch],
                use_context=mode == "context",
                report=lambda share, before=before, frames=frames: report(
                    (before + share * frames) / OFFICIAL.frames_per_second
                ),
            )
            done_frames += frames
            for (song, number), stretch, features in zip(batch, stretches, made, strict=True):
                stop = stretch.known + stretch.kept
                histories[song] = torch.cat([histories[song], features[stretch.known : stop]])[-size:]
                first, last = number == 0, number + 1 == len(plans[song])
                yield song, self._heard(features, stretch, first=first, last=last), last

    def _judge(
        self, transcriber: Transcriber | None, made: Sequence[tuple[Notes, Stretch]]
    ) -> LogLikelihood | None:
        """How likely a transcriber finds the notes of stretches in what is made of them; none without one."""
        if transcriber is None:
            return None
        lead = int(self.config["lead_frames"])
        windows = [(notes, stretch.start_frame - lead) for notes, stretch in made]
        return judge_notes(transcriber, windows, frames=self.network.frames, feature_range=self.feature_range)

    @property
    def feature_range(self) -> tuple[float, float]:
        """Log-mels that are -1 and 1 to the networks."""
        low, high = self.config["feature_range"]
        return float(low), float(high)

    def _heard(self, features: Tensor, stretch: Stretch, *, first: bool, last: bool) -> Tensor:
        """The frames of a stretch that the vocoder gets, in the official framing and unscaled."""
        lead = int(self.config["lead_frames"])
        frames = features[stretch.known + lead * first : stretch.known + stretch.kept + lead * last]
        missing = lead * last - max(0, min(lead, len(features) - stretch.known - stretch.kept)) * last
        frames = torch.cat([frames, *[features[-1:]] * missing])
        return from_scaled(frames, feature_range=self.feature_range).cpu()

    def _plan(self, notes: Notes, network: SegmentSizes, mode: str) -> list[Stretch]:
        """The stretches of a song; none where there are no notes."""
        if not len(notes):
            return []
        if self.config["programs"] == "slakh":
            notes = slakh_programs(notes)
        if mode == "inpainting":
            return cut_windows(notes, self.codec, network, int(self.config["overlap_frames"]))
        return cut_segments(notes, self.codec, network)
