"""Parts of a sound made anew, and a sound made longer: what is outside comes back bit for bit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ondes.audio import Audio
from ondes.models.vocoder_joins import Surroundings, surroundings, voiced_between
from ondes.pipelines.audio_canvas import Canvas
from ondes.pipelines.audio_rates import exactly, resampled
from ondes.pipelines.audio_repeats import repeated
from ondes.pipelines.audio_windows import Meter, WindowMaker, mirrored, place_of, windows_between
from ondes.pipelines.border_levels import frame_samples, heard_samples, level_region
from ondes.pipelines.limiter import limited
from ondes.pipelines.splicing import extrapolate, extrapolate_back, splice_region
from ondes.pipelines.tensor_file import TensorFile
from ondes.representations.mel import MelSpec, to_log_mel
from ondes.representations.segments import Segment

HEARD_FRAMES = 64
"""Frames on either side of what is made that the vocoder gets to hear."""

LEAD_FRAMES = 176
"""The first window of what follows a sound makes so much, 2 s, one bar; the next looks for a lag of its own."""

SEARCHED_FRAMES = 192
"""Frames among which one is sought that begins at a whole sample of the sound's own rate."""


@dataclass(frozen=True)
class Sizes:
    """How gaps become windows.

    Attributes:
        window_frames: Most frames of a window.
        context_frames: Frames of a window that are known, on a side where there are any.
        multiple: Windows are whole multiples of it.
        strength: Where on the path windows begin: at 1 from noise, at less from what repeats in the frames that they
            know, with so much noise.
    """

    window_frames: int
    context_frames: int
    multiple: int
    strength: float = 1.0

    def windows(self, first: int, stop: int, end: int) -> list[Segment]:
        """See `windows_between`."""
        return windows_between(
            first,
            stop,
            end,
            window=self.window_frames,
            context=self.context_frames,
            multiple=self.multiple,
        )

    def continuation(self, first: int, end: int) -> list[Segment]:
        """Windows of what follows a sound; the first is short where it begins with what the sound repeats."""
        lead = min(end, first + LEAD_FRAMES) if first and self.strength < 1 else end
        plan = self.windows(first, lead, lead)
        made = plan[-1].stop
        return plan + (self.windows(made, end, end) if made < end else [])


@dataclass(frozen=True, eq=False)
class Gap:
    """Frames to make, and the sounds on both sides at the rate of the model.

    Frame 0 begins at sample `origin` of the timeline.

    Attributes:
        origin: Where frames begin.
        first: First frame to make; all before are known.
        stop: Frame after the last one to make; all from there on are known.
        end: Frames there are.
        left: The sound before (2, samples), from frame 0 on, and how it would go on.
        right: The sound after, from frame `right_first` on, and how it would have come about.
        right_first: Where that begins.
        ahead: How the sound before would go on, at its own rate, as far as the new one fades in. Tones that go on
            under it keep their partials from breaking off; what noise loses meanwhile, `level_region` gives back.
        behind: How the sound after would have come about, at its own rate.
    """

    origin: int
    first: int
    stop: int
    end: int
    left: Tensor
    right: Tensor
    right_first: int
    ahead: np.ndarray
    behind: np.ndarray

    def before(self, spec: MelSpec, frames: int) -> Surroundings | None:
        """The last known frames before what is to make."""
        if not self.first:
            return None
        return surroundings(self.left, max(0, self.first - frames), self.first, spec=spec)

    def after(self, spec: MelSpec, frames: int) -> Surroundings | None:
        """The first known frames after it."""
        if self.stop == self.end:
            return None
        first, stop = self.stop - self.right_first, min(self.stop + frames, self.end) - self.right_first
        return surroundings(self.right, first, stop, spec=spec)


def look_around(canvas: Canvas, number: int, *, spec: MelSpec, context_frames: int) -> Gap:
    """The frames of a region and the sounds around it, up to the next region.

    What is in the region is not looked at: the sound on either side is carried on into it by linear prediction.
    """
    region = canvas.regions[number]
    ratio = canvas.rate_hz / spec.sample_rate_hz
    hop = spec.hop_samples * ratio
    origin = heard_from(canvas, number, spec=spec, context_frames=context_frames)
    limit = canvas.regions[number + 1].start if number + 1 < len(canvas.regions) else canvas.length
    finish = min(limit, region.stop + math.ceil(context_frames * hop))
    reach = math.ceil(spec.fft_size * ratio)
    fore, aft = canvas.read(origin, region.start), canvas.read(region.stop, finish)
    ahead, behind = extrapolate(fore, reach), extrapolate_back(aft, reach)

    end = math.ceil((finish - origin) / hop)
    # A frame is known if its centre lies a hop or more outside; what it sees of the region is predicted well.
    first = max(0, math.floor((region.start - origin) / hop - 1.5) + 1) // 2 * 2
    stop = min(end, math.ceil(((region.stop - origin) / hop + 0.5) / 2) * 2)
    right_first = _whole_frame(math.floor((region.stop - origin) / hop) - 4, hop)
    start = origin + round(right_first * hop)
    empty = np.zeros((canvas.channels, max(0, region.stop - start - behind.shape[1])), np.float32)
    kept = behind[:, behind.shape[1] - min(behind.shape[1], region.stop - start) :]
    right = np.concatenate([empty, kept, aft], axis=1)
    return Gap(
        origin,
        first,
        stop,
        end,
        _at_model_rate(np.concatenate([fore, ahead], axis=1), canvas.rate_hz, spec, first),
        _at_model_rate(right, canvas.rate_hz, spec, end - right_first),
        right_first,
        ahead,
        behind,
    )


def heard_from(canvas: Canvas, number: int, *, spec: MelSpec, context_frames: int) -> int:
    """First sample of the timeline that the frames before a region are made of."""
    hop = spec.hop_samples * canvas.rate_hz / spec.sample_rate_hz
    origin = max(0, canvas.regions[number].start - math.ceil(context_frames * hop))
    return origin - origin % spec.hop_samples if canvas.rate_hz == spec.sample_rate_hz else origin


def _whole_frame(latest: int, hop: float) -> int:
    """A frame up to the latest that begins at a whole sample, or nearly so."""
    latest = max(0, latest)
    return min(
        range(latest, max(-1, latest - SEARCHED_FRAMES), -1),
        key=lambda j: round(abs(j * hop - round(j * hop)), 6),
    )


def _at_model_rate(
    samples: np.ndarray, rate_hz: int, spec: MelSpec, frames: int
) -> Float[Tensor, "2 samples"]:
    """Stereo at the model's rate, of so many whole frames and a few more at least."""
    made = Audio(samples, rate_hz).resample(spec.sample_rate_hz).to_stereo().samples
    hops = max(frames + 4, -(-made.shape[1] // spec.hop_samples))
    return torch.from_numpy(np.pad(made, ((0, 0), (0, hops * spec.hop_samples - made.shape[1]))))


def fill(
    canvas: Canvas, maker: WindowMaker, vocoder: Any, sizes: Sizes, meter: Meter
) -> Iterator[np.ndarray]:
    """The whole timeline in blocks, each region filled when its turn comes.

    What was made in a region is known to the next.
    """
    spec = maker.network.spec
    place, count = 0, len(canvas.regions)
    reach = 2 * math.ceil(sizes.context_frames * canvas.rate_hz / spec.frames_per_second)
    needed = [
        heard_from(canvas, number, spec=spec, context_frames=sizes.context_frames) for number in range(count)
    ] + [canvas.length]
    for number, region in enumerate(canvas.regions):
        yield from canvas.blocks(place, region.start, needed=needed[number])
        made: list[np.ndarray] = []
        for block in fill_region(canvas, number, maker, vocoder, sizes, meter):
            made.append(block)
            # Only what the next region can hear is kept.
            while sum(one.shape[1] for one in made[1:]) > reach:
                del made[0]
            yield block
        tail = np.concatenate(made, axis=1)
        canvas.add(region.stop - tail.shape[1], tail)
        place = region.stop
    yield from canvas.blocks(place, canvas.length, needed=canvas.length)


def fill_region(
    canvas: Canvas, number: int, maker: WindowMaker, vocoder: Any, sizes: Sizes, meter: Meter
) -> Iterator[np.ndarray]:
    """The new samples of a region, its ends faded from and into the sound around it."""
    spec, region = maker.network.spec, canvas.regions[number]
    gap = look_around(canvas, number, spec=spec, context_frames=sizes.context_frames)
    pieces = gap_mel(gap, canvas, maker, sizes, meter)
    if canvas.channels == 1:
        pieces = (one_side(piece) for piece in pieces)
    sound = voiced_between(
        vocoder,
        pieces,
        gap.stop - gap.first,
        before=gap.before(spec, HEARD_FRAMES),
        after=gap.after(spec, HEARD_FRAMES),
    )
    whole = _with_surroundings(gap, limited(sound, ceiling_db=canvas.ceiling_db), spec)
    own = resampled(whole, spec.sample_rate_hz, canvas.rate_hz)
    made = exactly(own, region.start - gap.origin, region.samples, 2)
    blocks = (block[: canvas.channels] for block in made)
    fade = max(gap.ahead.shape[1], gap.behind.shape[1])
    spliced = splice_region(blocks, region.samples, ahead=gap.ahead, behind=gap.behind, fade=fade)
    frame = frame_samples(canvas.rate_hz)
    heard = heard_samples(frame)
    limit = canvas.regions[number + 1].start if number + 1 < len(canvas.regions) else canvas.length
    yield from level_region(
        spliced,
        region.samples,
        before=canvas.read(max(gap.origin, region.start - heard), region.start),
        after=canvas.read(region.stop, min(limit, region.stop + heard)),
        frame=frame,
    )


def _with_surroundings(gap: Gap, made: Iterable[Tensor], spec: MelSpec) -> Iterator[np.ndarray]:
    """What is made with the sounds around it, so that it can be resampled from the origin on."""
    yield gap.left[:, : gap.first * spec.hop_samples].numpy()
    for block in made:
        yield block.numpy()
    yield gap.right[:, (gap.stop - gap.right_first) * spec.hop_samples :].numpy()


def one_side(log_mel: Float[Tensor, "2 bands frames"]) -> Float[Tensor, "2 bands frames"]:
    """The same power on both sides, of which either is then a mono sound."""
    return ((2 * log_mel).exp().mean(0, keepdim=True).log() / 2).expand(2, -1, -1)


def gap_mel(
    gap: Gap, canvas: Canvas, maker: WindowMaker, sizes: Sizes, meter: Meter
) -> Iterator[Float[Tensor, "2 bands _"]]:
    """Log-mel of the frames of a gap, in order of time.

    Where only the sound after is known, windows are made from the last to the first.
    """
    if gap.first and gap.stop < gap.end:
        plan = sizes.windows(gap.first, gap.stop, gap.end)
        yield from _made(plan, gap, canvas, maker, meter, sizes.strength)
    elif gap.stop == gap.end:
        plan = sizes.continuation(gap.first, gap.end)
        yield from _made(plan, gap, canvas, maker, meter, sizes.strength)
    else:
        plan = mirrored(sizes.continuation(gap.end - gap.stop, gap.end), gap.end)
        yield from backwards(_made(plan, gap, canvas, maker, meter, sizes.strength))


def backwards(pieces: Iterable[Float[Tensor, "2 bands _"]]) -> Iterator[Float[Tensor, "2 bands _"]]:
    """Pieces from the last to the first; meanwhile they lie in a temporary file.

    Raises:
        UserError: If there is no room for it.
    """
    with TensorFile() as kept:
        for piece in pieces:
            kept.add(piece)
        for number in reversed(range(len(kept))):
            yield kept.read(number)


def _made(
    plan: Sequence[Segment],
    gap: Gap,
    canvas: Canvas,
    maker: WindowMaker,
    meter: Meter,
    strength: float,
) -> Iterator[Float[Tensor, "2 bands _"]]:
    """New frames of each window of a plan; the strength is that of the first."""
    network = maker.network
    spec = network.spec
    rate = spec.frames_per_second
    known = _Known(gap, spec)
    origin_frame = math.floor(gap.origin * rate / canvas.rate_hz)
    for segment in plan:
        log_mel, given = known.read(segment)
        fresh = ~given
        fresh[: max(0, gap.first - segment.start)] = False
        fresh[max(0, gap.stop - segment.start) :] = False
        new_s = int(fresh.sum()) / rate

        def tell(share: float, new_s: float = new_s) -> None:
            meter.tell(share * new_s)

        place = place_of(
            segment,
            frames_per_second=rate,
            length_s=canvas.length / canvas.rate_hz,
            origin_frame=origin_frame,
        )
        values = network.standardise(log_mel[None].to(network.device))
        values = torch.where(given.to(network.device), values, 0.0)
        guess = repeats_between(log_mel, given, fresh) if strength < 1 else None
        if guess is None:
            features = maker.make(place, values, given.to(network.device), tell=tell)
        else:
            outline = torch.zeros_like(log_mel)
            outline[..., fresh] = guess
            begin = maker.noised(network.standardise(outline[None].to(network.device)), place, strength)
            features = maker.make(
                place, values, given.to(network.device), begin=begin, level=strength, tell=tell
            )
        made = network.restore(features[0]).cpu()
        known.keep(segment, made, given | fresh)
        meter.count(new_s)
        yield made[..., fresh]


def repeats_between(
    log_mel: Float[Tensor, "2 bands frames"], given: Bool[Tensor, " frames"], fresh: Bool[Tensor, " frames"]
) -> Float[Tensor, "2 bands _"] | None:
    """What fresh frames of a window would hold if the known ones around repeated themselves.

    None where these are too few to say, or there is nothing to make.
    """
    places = fresh.nonzero()
    if not len(places):
        return None
    first, stop = int(places[0]), int(places[-1]) + 1
    left, right = log_mel[..., :first][..., given[:first]], log_mel[..., stop:][..., given[stop:]]
    return repeated(left, right, stop - first)


class _Known:
    """Log-mel of what is known around a gap, and of the window made last."""

    def __init__(self, gap: Gap, spec: MelSpec) -> None:
        self.gap, self.bands = gap, spec.bands
        self.left = to_log_mel(gap.left, spec=spec)[..., : gap.first]
        first = gap.stop - gap.right_first
        self.right = to_log_mel(gap.right, spec=spec)[..., first : gap.end - gap.right_first]
        self.last: tuple[int, Tensor, Tensor] | None = None

    def read(self, segment: Segment) -> tuple[Float[Tensor, "2 bands frames"], Bool[Tensor, " frames"]]:
        """Frames of a window and which of them are known."""
        log_mel = torch.zeros(2, self.bands, segment.frames)
        given = torch.zeros(segment.frames, dtype=torch.bool)
        parts: list[tuple[int, Tensor, Tensor | None]] = [
            (0, self.left, None),
            (self.gap.stop, self.right, None),
        ]
        if self.last is not None:
            parts.append(self.last)
        for first, frames, valid in parts:
            begin, end = max(first, segment.start), min(first + frames.shape[-1], segment.stop)
            if begin >= end:
                continue
            here, there = (slice(begin - base, end - base) for base in (segment.start, first))
            usable = torch.ones(end - begin, dtype=torch.bool) if valid is None else valid[there]
            log_mel[..., here] = torch.where(usable, frames[..., there], log_mel[..., here])
            given[here] |= usable
        return log_mel, given

    def keep(self, segment: Segment, log_mel: Tensor, valid: Tensor) -> None:
        """Remember the window made last."""
        self.last = (segment.start, log_mel, valid)
