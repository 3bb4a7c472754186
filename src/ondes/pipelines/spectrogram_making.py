"""How the stretches of a song are made: by a sampler, or frame by frame by the autoregressive baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from ondes.diffusion.classifier_guidance import LogLikelihood
from ondes.errors import UserError
from ondes.pipelines.segment_network import BaselineNetwork, SegmentNetwork
from ondes.pipelines.spectrogram_judge import Transcriber
from ondes.pipelines.spectrogram_samplers import choose_sampling
from ondes.pipelines.spectrogram_segments import Stretch, generate_stretches, sample_stretches
from ondes.score import Notes

Judge = Callable[[Transcriber | None, list[tuple[Notes, Stretch]]], LogLikelihood | None]
"""Of stretches and the songs that they are from."""

IDLE: Mapping[str, tuple[object, ...]] = {
    "steps": (None, 1),
    "guidance_scale": (None, 1),
    "guidance_rescale": (0,),
    "visits": (1,),
}
"""Values that change nothing, of choices that are not None by themselves."""

FREE = ("seed", "transcriber_scale")
"""Choices that mean nothing without others."""


def choose_making(
    network: SegmentNetwork | BaselineNetwork,
    scheduler: Any,
    choices: Mapping[str, Any],
    *,
    judge: Judge,
    default_steps: int,
    default_guidance: float,
) -> Callable[..., Tensor]:
    """What makes scaled log-mels (batch, frames, bands) of stretches, given their songs and histories.

    Args:
        network: Makes them.
        scheduler: The model's own sampler; the baseline has none.
        choices: As of `choose_sampling`.
        judge: What a transcriber thinks.
        default_steps: As of `choose_sampling`.
        default_guidance: As of `choose_sampling`.

    Raises:
        UserError: If a choice is not allowed.
    """
    if isinstance(network, BaselineNetwork):
        _check_unsampled(choices)
        return lambda stretches, *, report, **_: generate_stretches(network, stretches, report=report)
    sampling = choose_sampling(
        scheduler, default_steps=default_steps, default_guidance=default_guidance, **choices
    )

    def make(
        stretches: Sequence[Stretch], *, songs: Sequence[Notes], histories: Sequence[Tensor], **how: Any
    ) -> Tensor:
        opinion = judge(sampling.transcriber, list(zip(songs, stretches, strict=True)))
        return sample_stretches(network, stretches, histories, sampling, judge=opinion, **how)

    return make


def _check_unsampled(choices: Mapping[str, Any]) -> None:
    """Refuse what a caller chose of a sampler, for a model that needs none.

    Raises:
        UserError: If anything is chosen that would change something.
    """
    for name, value in choices.items():
        if name not in FREE and value not in IDLE.get(name, (None,)):
            what = name.removesuffix("_scale").replace("_", " ")
            raise UserError(
                f"this model makes its music frame by frame, so it has no {what}; leave it out, or choose another model"
            )
