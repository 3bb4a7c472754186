"""How Spectrogram Diffusion cuts songs in stretches and samples batches of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ondes.diffusion.classifier_guidance import LogLikelihood, guide_by_likelihood
from ondes.diffusion.guidance import Denoiser, guide_pairs, within
from ondes.diffusion.inpainting import inpaint_steps
from ondes.diffusion.log_snr import alpha_sigma, cosine_log_snr
from ondes.diffusion.noise import position_noise, position_seed
from ondes.diffusion.predictions import as_noise, from_noise
from ondes.diffusion.sampling import kept
from ondes.diffusion.timesteps import denoise_steps
from ondes.errors import UserError, nearest
from ondes.models.spectrogram_layers import Memory
from ondes.notes import Notes
from ondes.pipelines.loading import fast_arithmetic
from ondes.pipelines.segment_network import BaselineNetwork, SegmentNetwork, SegmentSizes
from ondes.pipelines.spectrogram_judge import Transcriber
from ondes.representations.events import EventCodec, song_frames

CONTINUATIONS = ("context", "inpainting", "none")
"""Ways to join segments: the network hears the one before, they overlap, or they are made in parallel."""

MOST_STEERED = 0.3
"""Share of the predicted noise by which a transcriber may change it."""


@dataclass(frozen=True, eq=False)
class Stretch:
    """A piece of a song that is sampled at once.

    Attributes:
        tokens: Its notes.
        start_frame: Where it begins.
        known: Frames at its beginning that the stretch before has made.
        kept: New frames after them; what the network makes beyond is dropped.
    """

    tokens: np.ndarray
    start_frame: int
    known: int
    kept: int


@dataclass(frozen=True)
class Sampling:
    """How stretches are sampled.

    Attributes:
        seed: Of all noise.
        steps: How often a scheduler goes on.
        scheduler: Makes a fresh scheduler.
        guidance_scale: 1 obeys the notes plainly, more exaggerates them.
        guidance_interval: Times between which there is guidance, 0 (data) to 1 (noise).
        guidance_rescale: How much of the unguided spread is given back.
        visits: How often each step is taken where frames are known.
        transcriber: Whose judgement of the notes steers the sampler as well, if any.
        transcriber_scale: By how much: 0 not at all, 1 as Bayes' rule says.
    """

    seed: int
    steps: int
    scheduler: Callable[[], Any]
    guidance_scale: float
    guidance_interval: tuple[float, float] | None = None
    guidance_rescale: float = 0.0
    visits: int = 1
    transcriber: Transcriber | None = None
    transcriber_scale: float = 1.0


def choose_continuation(wanted: str | None, network: SegmentSizes, overlap_frames: int) -> str:
    """How segments are joined.

    Args:
        wanted: One of `CONTINUATIONS`; as the network was trained if missing.
        network: Tells what it can.
        overlap_frames: Of windows that overlap.

    Raises:
        UserError: If there is no such way, or the network cannot go it.
    """
    if wanted is None:
        return "context" if network.context_frames else "none"
    if wanted not in CONTINUATIONS:
        raise UserError(f"there is no continuation {wanted!r}: {nearest(wanted, CONTINUATIONS)}")
    if wanted != "none" and not isinstance(network, SegmentNetwork):
        raise UserError("this model makes each segment by itself; leave continuation out, or choose 'none'")
    if wanted == "context" and not network.context_frames:
        raise UserError("this model has no context encoder; leave continuation out, or choose 'inpainting'")
    if wanted == "inpainting" and not 0 < overlap_frames < network.frames:
        raise UserError(
            f"an overlap of {overlap_frames} frames in windows of {network.frames}; set overlap_frames to something "
            "between"
        )
    return wanted


def cut_segments(notes: Notes, codec: EventCodec, network: SegmentSizes) -> list[Stretch]:
    """A song side by side; segments with too many tokens are split.

    Raises:
        UserError: If a single frame has more tokens than the network takes.
    """
    segments = codec.encode(notes, segment_frames=network.frames, limit=network.most_tokens)
    return [Stretch(segment.tokens, segment.start_frame, 0, segment.frames) for segment in segments]


def cut_windows(notes: Notes, codec: EventCodec, network: SegmentSizes, overlap: int) -> list[Stretch]:
    """A song in windows that overlap, each of which continues the one before; with too many tokens they are shorter.

    Args:
        notes: The song.
        codec: Makes the tokens of a window.
        network: Tells the sizes.
        overlap: Frames that a window shares with the one before.

    Raises:
        UserError: If a single new frame has more tokens than the network takes.
    """
    total, stretches, done = song_frames(notes), [], 0
    while done < total:
        known = min(overlap, done)
        new = network.frames - known
        tokens = codec.encode_window(notes, start_frame=done - known, frames=known + new)
        while len(tokens) > network.most_tokens:
            if known + new <= 1:
                raise UserError(
                    f"{len(tokens)} tokens in one frame at {done / 50:.2f} s: at most {network.most_tokens} are read; "
                    "leave out some notes"
                )
            known, new = (known, new // 2) if new > 1 else (known // 2, new)
            tokens = codec.encode_window(notes, start_frame=done - known, frames=known + new)
        stretches.append(Stretch(tokens, done - known, known, min(new, total - done)))
        done += new
    return stretches


def sample_stretches(
    network: SegmentNetwork,
    stretches: Sequence[Stretch],
    histories: Sequence[Float[Tensor, "_ bands"]],
    sampling: Sampling,
    *,
    use_context: bool,
    report: Callable[[float], None],
    judge: LogLikelihood | None = None,
) -> Float[Tensor, "batch frames bands"]:
    """Scaled log-mels of several stretches, each the same as if it were alone.

    Args:
        network: Encodes and denoises.
        stretches: Of any songs.
        histories: Scaled log-mel of each song up to its stretch, the last frames at least.
        sampling: How.
        use_context: Whether the network hears the history.
        report: Called with the share of the steps that is done, before each step and after the last; may raise.
        judge: What steers the sampler beside the networks' own guidance.
    """
    device, frames = network.device, network.frames
    contexts = [history[len(history) - min(len(history), network.context_frames) :] for history in histories]
    noise = torch.stack(
        [
            position_noise((network.bands,), start_frame=s.start_frame, frames=frames, seed=sampling.seed).T
            for s in stretches
        ]
    ).to(device)
    chance = [
        torch.Generator().manual_seed(position_seed(sampling.seed, "steps", s.start_frame)) for s in stretches
    ]
    choices = {"scheduler": sampling.scheduler(), "steps": sampling.steps, "generators": chance}

    def sampled() -> Tensor:
        with fast_arithmetic(device):
            memory = network.encode([s.tokens for s in stretches], contexts if use_context else None)
        denoiser = _guided(network, memory, sampling)
        if judge is not None:
            denoiser = _steered(denoiser, judge, sampling)
        if any(s.known for s in stretches):
            values, known = _known(noise, stretches, histories)
            steps = inpaint_steps(denoiser, noise, values, known, visits=sampling.visits, **choices)
        else:
            steps = denoise_steps(denoiser, noise, **choices)
        made = noise
        for number, noisy in enumerate(steps, start=1):
            report(number / sampling.steps)
            made = noisy
        return made

    with torch.no_grad():
        report(0.0)
        return kept(noise, sampled).clamp(-1, 1)


def generate_stretches(
    network: BaselineNetwork, stretches: Sequence[Stretch], *, report: Callable[[float], None]
) -> Float[Tensor, "batch frames bands"]:
    """Scaled log-mels of several stretches by the autoregressive baseline, no frame more than the longest keeps.

    Args:
        network: Makes frames.
        stretches: Of any songs.
        report: Called with the share that is done, before and after; may raise.
    """
    report(0.0)
    with fast_arithmetic(network.device):
        made = network.generate([s.tokens for s in stretches], max(s.kept for s in stretches))
    report(1.0)
    return made.clamp(-1, 1)


def _guided(network: SegmentNetwork, memory: Memory, sampling: Sampling) -> Denoiser:
    """The denoiser of a batch, with guidance where it is wanted; its answers are float32."""

    def hearing(heard: Memory) -> Denoiser:
        def denoise(noisy: Tensor, time: Tensor) -> Tensor:
            with fast_arithmetic(noisy.device):
                return network.denoise(noisy, time, heard).float()

        return denoise

    plain = hearing(memory)
    if sampling.guidance_scale == 1:
        return plain
    pairs = hearing(memory.and_deaf())
    guided = guide_pairs(pairs, scale=sampling.guidance_scale, rescale=sampling.guidance_rescale)
    if sampling.guidance_interval is None:
        return guided
    return within(guided, plain, interval=sampling.guidance_interval)


def _steered(denoiser: Denoiser, judge: LogLikelihood, sampling: Sampling) -> Denoiser:
    """The denoiser that also goes where a judge wants it, whatever it predicts."""

    def shares(time: Tensor) -> tuple[Tensor, Tensor]:
        return alpha_sigma(cosine_log_snr(time))

    place: dict[str, Any] = {
        "shares": shares,
        "prediction": sampling.scheduler().config.get("prediction_type", "epsilon"),
    }
    guided = guide_by_likelihood(
        as_noise(denoiser, **place),
        judge,
        shares=shares,
        scale=sampling.transcriber_scale,
        through_network=False,
        most=MOST_STEERED,
    )
    return from_noise(guided, **place)


def _known(noise: Tensor, stretches: Sequence[Stretch], histories: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Values of the known frames, zero elsewhere, and which they are."""
    values, known = torch.zeros_like(noise), torch.zeros_like(noise[..., :1], dtype=torch.bool)
    for row, (stretch, history) in enumerate(zip(stretches, histories, strict=True)):
        if stretch.known:
            values[row, : stretch.known] = history[-stretch.known :]
            known[row, : stretch.known] = True
    return values, known


def batches(plans: Sequence[Sequence[Stretch]], size: int, *, parallel: bool) -> list[list[tuple[int, int]]]:
    """Which stretches are made together, as numbers of songs and of stretches in them.

    Args:
        plans: The stretches of each song.
        size: Most stretches of a batch.
        parallel: Whether stretches of one song may be made at once. The first is then made alone, so that a stream
            begins early; otherwise a batch has one stretch a song.
    """
    if parallel:
        every = [(song, number) for song, plan in enumerate(plans) for number in range(len(plan))]
        rest = [every[start : start + size] for start in range(1, len(every), size)]
        return [every[:1], *rest] if every else []
    longest = max(map(len, plans), default=0)
    rows = [[(song, n) for song, plan in enumerate(plans) if n < len(plan)] for n in range(longest)]
    return [row[start : start + size] for row in rows for start in range(0, len(row), size)]
