"""Completing windows with a network of continuous features: Gaussian diffusion beside the masked one.

Known notes are held by replacement with their noisy selves at every step, and shown to the network as known; what comes
out is rounded to the nearest tokens that are allowed. Only notes behind others can be drawn so, since nothing ties the
steps from note to note to given bars.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ondes.diffusion.noise import position_seed
from ondes.diffusion.sampling import kept
from ondes.errors import UserError
from ondes.models.note_transformer import NoteTransformer
from ondes.pipelines.composer_rules import constraint_of
from ondes.pipelines.composer_sampling import Job, OnStep, Sampling
from ondes.pipelines.side_by_side import side_by_side
from ondes.representations.bar_table import STEPS_PER_QUARTER, BarTable
from ondes.representations.note_conditions import NoteConditions, to_condition_tensors
from ondes.representations.note_features import FeatureStatistics, from_features, to_features
from ondes.representations.note_tokens import (
    BAR,
    INSTRUMENT,
    PART_NUMBER,
    PITCH,
    SIZES,
    VELOCITY,
    from_tokens,
    to_tokens,
)

FAR = 1000.0
"""Of a distance in logits: only what is not allowed is less likely than the farthest class."""

ROUNDED_FIELDS = (INSTRUMENT, PART_NUMBER, PITCH)
"""What rules are about, in the order in which it is settled."""


def complete_features(
    network: NoteTransformer,
    scheduler: Any,
    jobs: Sequence[Job],
    sampling: Sampling,
    on_step: OnStep,
    statistics: FeatureStatistics,
) -> list[NDArray[np.int64]]:
    """The tokens of windows, with the notes behind the known ones drawn; see `composer_sampling.complete`.

    Raises:
        UserError: If a window wants notes between others, or gave no numbers twice.
    """
    work = [functools.partial(_complete_one, network, scheduler, job, sampling, statistics) for job in jobs]
    return side_by_side(work, on_step)


def _complete_one(
    network: NoteTransformer,
    scheduler: Any,
    job: Job,
    sampling: Sampling,
    statistics: FeatureStatistics,
    on_step: OnStep,
) -> NDArray[np.int64]:
    """A window, with a second try if the first gives no numbers."""
    if not is_suffix(job):
        raise UserError(
            "this model draws notes one behind the other: it writes new pieces and continues scores; for infilling "
            "and variations choose a model of tokens, such as compose-small"
        )
    for attempt in range(2):
        features = _draw(network, scheduler, job, sampling, on_step, statistics, attempt)
        if np.isfinite(features).all():
            return _to_window(job, features, statistics)
    raise UserError(
        "the model's answers are not numbers, twice in a row; its weights are damaged or it was trained badly: "
        "choose another model, or another seed"
    )


def is_suffix(job: Job) -> bool:
    """Whether a window wants whole notes behind all that are known."""
    drawn, tokens = job.problem.drawn, job.problem.tokens
    behind = not drawn[: int((~drawn).sum())].any()
    hidden = np.all(tokens[drawn] >= np.array(SIZES), axis=1)
    # The first note of a piece has its bar, and nothing else.
    first = bool((tokens[drawn][:1, PITCH] >= SIZES[PITCH]).all())
    return behind and first and bool(hidden[1:].all())


def _bars(job: Job) -> BarTable:
    """Equal bars for a window; a step is the 96th part of a whole note."""
    return BarTable.constant(1, numerator=job.problem.bar_steps.item(-1), denominator=4 * STEPS_PER_QUARTER)


def _known_features(job: Job, statistics: FeatureStatistics) -> NDArray[np.float32]:
    known = job.problem.tokens[~job.problem.drawn]
    sequence = from_tokens(known, _bars(job))
    unknown = known[:, VELOCITY] >= SIZES[VELOCITY]
    return to_features(replace(sequence, velocity=np.where(unknown, 0, sequence.velocity)), statistics)


@torch.no_grad()
def _draw(
    network: NoteTransformer,
    scheduler: Any,
    job: Job,
    sampling: Sampling,
    on_step: OnStep,
    statistics: FeatureStatistics,
    attempt: int,
) -> NDArray[np.float32]:
    """Features of all notes of a window; those of the known ones are exact."""
    scheduler = copy.deepcopy(scheduler)
    scheduler.set_timesteps(sampling.steps)
    seed = position_seed(*job.words, "features", attempt)
    generator = torch.Generator().manual_seed(seed)
    given = torch.from_numpy(_known_features(job, statistics))
    known = torch.zeros(1, len(job.problem), given.shape[1], dtype=torch.bool)
    known[:, : len(given)] = True
    values = torch.zeros(known.shape)
    values[0, : len(given)] = given
    noise = torch.randn(known.shape, generator=generator)
    answer = _denoiser(network, scheduler, job, sampling, known)
    begin = sampling.temperature * noise * float(scheduler.init_noise_sigma)
    steps = list(scheduler.timesteps)

    def drawn() -> Tensor:
        noisy = begin
        for number, timestep in enumerate(steps, 1):
            noisy = torch.where(known, values, noisy)
            prediction = answer(noisy, timestep)
            noisy = scheduler.step(prediction, timestep, noisy, return_dict=False)[0]
            on_step(number / len(steps))
        return torch.where(known, values, noisy)

    # Windows are drawn side by side.
    return kept(torch.where(known, values, begin), drawn, name=f"features {seed}")[0].numpy()


def _denoiser(
    network: NoteTransformer, scheduler: Any, job: Job, sampling: Sampling, known: Tensor
) -> Callable[[Tensor, Tensor], Tensor]:
    """The network with conditions and guidance; its level is the timestep over the number of them in training."""
    device = network.device
    styles, metres = network.config["styles"], network.config["metres"]
    wish = to_condition_tensors([job.conditions], styles=styles, metres=metres)
    conditions = {name: value.to(device) for name, value in wish.items()}
    total = float(scheduler.config["num_train_timesteps"])
    guided = sampling.guidance_scale != 1 and job.conditions != NoteConditions()

    def ask(noisy: Tensor, timestep: Tensor, asked: dict[str, Tensor]) -> Tensor:
        level = torch.full((1,), (float(timestep) + 1) / total, device=device)
        answer = network(noisy.to(device), None, asked, level, known.to(device))
        assert isinstance(answer, Tensor)
        return answer.float().cpu()

    def denoise(noisy: Tensor, timestep: Tensor) -> Tensor:
        prediction = ask(noisy, timestep, conditions)
        if guided:
            prediction = torch.lerp(ask(noisy, timestep, {}), prediction, sampling.guidance_scale)
        return prediction

    return denoise


def _to_window(job: Job, features: NDArray[np.float32], statistics: FeatureStatistics) -> NDArray[np.int64]:
    """Tokens of a window whose new notes are the nearest to features that the rules allow."""
    tokens, drawn = job.problem.tokens.copy(), job.problem.drawn
    # Decoded notes are sorted; new ones are never before known ones.
    notes = from_features(features, statistics, _bars(job))
    new = notes.select(np.arange(int((~drawn).sum()), len(notes)))
    last = int(tokens[~drawn][:, BAR].sum())
    tokens[drawn] = to_tokens(replace(new, bar=np.maximum(new.bar - last, 0)))
    change = constraint_of(job.rules, after=job.after)
    for number, field in enumerate(ROUNDED_FIELDS):
        whole = torch.from_numpy(tokens)[None]
        open_ = whole.clone()
        for later in ROUNDED_FIELDS[number:]:
            open_[0, torch.from_numpy(drawn), later] = SIZES[later]
        allowed = change(open_, _distances(whole))[field][0].argmax(-1).numpy()
        tokens[drawn, field] = allowed[drawn]
    return tokens


def _distances(tokens: Tensor) -> tuple[Tensor, ...]:
    """Logits that are highest at the tokens themselves, and fall with the distance."""
    fields = []
    for field, size in enumerate(SIZES):
        far = (torch.arange(size) - tokens[..., field, None]).abs() / FAR
        fields.append(-far.float())
    return tuple(fields)
