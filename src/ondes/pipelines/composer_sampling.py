"""Completing windows with a network of tokens: batches, guidance, limits of bars, and answers that are not numbers."""

from __future__ import annotations

import copy
import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ondes.diffusion.masked import Constraint, Logits, MaskedScheduler, guide_logits, sample_masked
from ondes.diffusion.noise import position_seed
from ondes.diffusion.sampling import kept
from ondes.errors import UserError
from ondes.models.note_transformer import NoteTransformer
from ondes.pipelines.composer_rules import Rule, constraint_of, drawn_within
from ondes.pipelines.composer_windows import Problem
from ondes.pipelines.loading import fast_arithmetic
from ondes.pipelines.side_by_side import side_by_side
from ondes.representations.note_conditions import NoteConditions, to_condition_tensors
from ondes.representations.note_tokens import SIZES, VELOCITY, Tokens

log = logging.getLogger(__name__)


STEPS_AGAIN = 2
"""Of drawing again what breaks a rule."""


class NotFinite(FloatingPointError):  # noqa: N818
    """The network's answer is not a number."""


@dataclass(frozen=True)
class Sampling:
    """How windows are completed.

    Attributes:
        steps: Of the sampler.
        guidance_scale: Above 1, conditions are exaggerated, at twice the time.
        temperature: Of the draws.
        top_p: Draw from the likeliest classes that make up this much.
        relative_temperatures: Of each field, times the temperature; 1 where there are none.
        order: In which tokens are revealed, see `MaskedScheduler`; the scheduler's own if None.
    """

    steps: int
    guidance_scale: float
    temperature: float
    top_p: float
    relative_temperatures: tuple[float, ...] = ()
    order: str | None = None

    @property
    def temperatures(self) -> float | tuple[float, ...]:
        """Of all draws, or of those of each field."""
        own = tuple(self.temperature * factor for factor in self.relative_temperatures)
        return own or self.temperature


@dataclass(frozen=True)
class Job:
    """A window to complete, what is known or wished of its piece, and what makes its chances its own.

    Attributes:
        problem: The window.
        conditions: Of its piece.
        rules: What must hold in it, the most important first.
        before: Changes of logits that come before them.
        after: Those that come after them.
        words: The seed of the piece and the number of the window.
    """

    problem: Problem
    conditions: NoteConditions
    rules: tuple[Rule, ...]
    before: tuple[Constraint, ...]
    after: tuple[Constraint, ...]
    words: tuple[int | str, ...]


OnStep = Callable[[float], None]
"""Called after each step with the share of all steps that is done."""


def complete(
    network: NoteTransformer,
    scheduler: MaskedScheduler,
    jobs: Sequence[Job],
    sampling: Sampling,
    on_step: OnStep,
) -> list[NDArray[np.int64]]:
    """The tokens of windows, with everything that was hidden filled in.

    On a CPU each window goes through the network by itself, which is as fast as a batch and makes it exactly what it is
    alone.

    Raises:
        UserError: If a window gave no numbers twice, or the constraints leave nothing for a note.
    """
    if network.device.type == "cpu":
        work = [functools.partial(_complete_one, network, scheduler, job, sampling) for job in jobs]
        return side_by_side(work, on_step)
    if len(jobs) == 1:
        return [_complete_one(network, scheduler, jobs[0], sampling, on_step)]
    try:
        first = _sample(network, scheduler, jobs, [job.problem.tokens for job in jobs], sampling, 0, on_step)
    except FloatingPointError:
        # One of them is to blame: each alone shows which.
        first = [None] * len(jobs)
    return [
        _complete_one(network, scheduler, job, sampling, lambda _: on_step(1.0), first=tokens)
        for job, tokens in zip(jobs, first, strict=True)
    ]


def _complete_one(
    network: NoteTransformer,
    scheduler: MaskedScheduler,
    job: Job,
    sampling: Sampling,
    on_step: OnStep,
    *,
    first: Tokens | None = None,
) -> Tokens:
    """A window alone, drawn until its rules hold, with a second try if the first gives no numbers.

    Args:
        network: Of the composer.
        scheduler: Of the composer.
        job: The window.
        sampling: How.
        on_step: Progress.
        first: What was drawn for it already.
    """
    again = replace(sampling, steps=min(sampling.steps, STEPS_AGAIN))

    def sample(tokens: Tensor, number: int, attempt: int) -> Tensor:
        if number == 0 and attempt == 0 and first is not None:
            return torch.from_numpy(first)[None]
        how, step = (again, lambda _: on_step(1.0)) if number else (sampling, on_step)
        answer = _sample(network, scheduler, [job], [tokens[0].numpy()], how, attempt, step, number)
        return torch.from_numpy(answer[0])[None]

    tokens = torch.from_numpy(job.problem.tokens)[None]
    for attempt in range(2):
        try:
            drawn = drawn_within(
                lambda known, number, attempt=attempt: sample(known, number, attempt),
                tokens,
                job.rules,
                sizes=network.sizes,
            )
            return drawn[0].numpy()
        except NotFinite:
            log.warning("the model's answer was not a number%s", "" if attempt else "; trying once more")
        except FloatingPointError:
            raise UserError(
                "the constraints leave no note that is allowed; ask for less at once, such as no strict scale beside "
                "chords of another key"
            ) from None
    raise UserError(
        "the model's answers are not numbers, twice in a row; its weights are damaged or it was trained badly: choose "
        "another model, or another seed"
    )


@torch.no_grad()
def _sample(
    network: NoteTransformer,
    scheduler: MaskedScheduler,
    jobs: Sequence[Job],
    known: Sequence[NDArray[np.int64]],
    sampling: Sampling,
    attempt: int,
    on_step: OnStep,
    number: int = 0,
) -> list[NDArray[np.int64]]:
    """A batch of windows.

    Raises:
        FloatingPointError: If an answer is not a number, or nothing is allowed.
    """
    lengths = [len(own) for own in known]
    tokens = torch.zeros(len(jobs), max(lengths), known[0].shape[1], dtype=torch.long)
    for row, own in zip(tokens, known, strict=True):
        row[: len(own)] = torch.from_numpy(own)
    seeds = [position_seed(*job.words, attempt, number) for job in jobs]

    def sampled() -> Tensor:
        return sample_masked(
            _denoiser(network, jobs, lengths, sampling),
            tokens.to(network.device),
            sizes=network.sizes,
            scheduler=_ordered(scheduler, sampling.order),
            steps=sampling.steps,
            generators=[torch.Generator().manual_seed(seed) for seed in seeds],
            temperature=sampling.temperatures,
            top_p=sampling.top_p,
            constrain=_constraints(jobs, lengths),
            lengths=lengths,
            on_step=lambda step, _: on_step(step / sampling.steps),
        ).cpu()

    # Windows are completed side by side; piece, window, attempt and round say which of them this is.
    done = kept(tokens, sampled, name=f"windows {seeds}")
    return [row[:length].numpy() for row, length in zip(done, lengths, strict=True)]


def _ordered(scheduler: MaskedScheduler, order: str | None) -> MaskedScheduler:
    """A scheduler of its own for one window, in another order if one is asked for."""
    if order is None:
        return copy.deepcopy(scheduler)
    return cast("MaskedScheduler", MaskedScheduler.from_config(scheduler.config, order=order))


def _denoiser(
    network: NoteTransformer, jobs: Sequence[Job], lengths: Sequence[int], sampling: Sampling
) -> Callable[[Tensor, Tensor], Logits]:
    """The network with its conditions and guidance, for windows padded at their ends."""
    device = network.device
    valid = torch.arange(max(lengths), device=device) < torch.tensor(lengths, device=device)[:, None]
    styles, metres = network.config["styles"], network.config["metres"]
    wishes = to_condition_tensors([job.conditions for job in jobs], styles=styles, metres=metres)
    conditions = {name: value.to(device) for name, value in wishes.items()}
    flat = torch.tensor([job.problem.is_flat for job in jobs], device=device)[:, None]
    guided = sampling.guidance_scale != 1 and any(job.conditions != NoteConditions() for job in jobs)

    def denoise(tokens: Tensor, level: Tensor) -> Logits:
        tokens = tokens.clone()
        tokens[..., VELOCITY] = torch.where(flat & valid, SIZES[VELOCITY], tokens[..., VELOCITY])
        with fast_arithmetic(device):
            logits = _answer(network, tokens, valid, conditions, level)
            if guided:
                without = _answer(network, tokens, valid, {}, level)
                logits = guide_logits(logits, without, scale=sampling.guidance_scale)
        if not all(bool(torch.isfinite(values).all()) for values in logits):
            raise NotFinite
        return logits

    return denoise


def _answer(network: NoteTransformer, tokens: Tensor, valid: Tensor, wish: Any, level: Tensor) -> Logits:
    logits = network(tokens, valid, wish, level)
    # What stands at padding may be anything.
    return tuple(values.float().masked_fill(~valid[..., None], 0.0) for values in logits)


def _constraints(jobs: Sequence[Job], lengths: Sequence[int]) -> Constraint:
    """What each window of a batch allows."""
    own = [constraint_of(job.rules, before=job.before, after=job.after) for job in jobs]
    if len(jobs) == 1:
        return own[0]

    def constrain(tokens: Tensor, logits: Logits) -> Logits:
        whole = [values.clone() for values in logits]
        for row, (change, length) in enumerate(zip(own, lengths, strict=True)):
            part = tuple(values[row : row + 1, :length] for values in whole)
            for values, allowed in zip(whole, change(tokens[row : row + 1, :length], part), strict=True):
                values[row, :length] = allowed[0]
        return tuple(whole)

    return constrain
