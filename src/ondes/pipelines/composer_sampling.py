"""Completing windows with a network of tokens: batches, guidance, limits of bars, and answers that are not numbers."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ondes.diffusion.masked import Constraint, Logits, MaskedScheduler, guide_logits, sample_masked
from ondes.diffusion.noise import position_seed
from ondes.errors import UserError
from ondes.models.note_transformer import NoteTransformer
from ondes.pipelines.composer_windows import Problem
from ondes.pipelines.loading import fast_arithmetic
from ondes.representations.ensembles import PartSpec
from ondes.representations.note_conditions import NoteConditions, to_condition_tensors
from ondes.representations.note_tokens import INSTRUMENT, POSITION, SIZES, VELOCITY, Tokens

log = logging.getLogger(__name__)


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
    """

    steps: int
    guidance_scale: float
    temperature: float
    top_p: float


@dataclass(frozen=True)
class Job:
    """A window to complete, what is known or wished of its piece, and what makes its chances its own.

    Attributes:
        problem: The window.
        conditions: Of its piece.
        constraint: What is not allowed in it; gets and gives a batch of one.
        words: The seed of the piece and the number of the window.
    """

    problem: Problem
    conditions: NoteConditions
    constraint: Constraint | None
    words: tuple[int | str, ...]


OnStep = Callable[[float], None]
"""Called after each step with the share of all steps that is done."""


def complete(
    network: NoteTransformer,
    scheduler: MaskedScheduler,
    jobs: Sequence[Job],
    sampling: Sampling,
    on_step: OnStep,
) -> list[Tokens]:
    """The tokens of windows, with everything that was hidden filled in.

    On a CPU windows go through the network one by one, which is as fast and makes each exactly what it is alone.

    Raises:
        UserError: If a window gave no numbers twice, or the constraints leave nothing for a note.
    """
    if network.device.type == "cpu" or len(jobs) == 1:
        done = []
        for number, job in enumerate(jobs):
            done.append(
                _complete_one(
                    network,
                    scheduler,
                    job,
                    sampling,
                    lambda share, number=number: on_step((number + share) / len(jobs)),
                )
            )
        return done
    try:
        return _sample(network, scheduler, jobs, sampling, 0, on_step)
    except FloatingPointError:
        # One of them is to blame: each alone shows which.
        return [_complete_one(network, scheduler, job, sampling, on_step) for job in jobs]


def _complete_one(
    network: NoteTransformer, scheduler: MaskedScheduler, job: Job, sampling: Sampling, on_step: OnStep
) -> Tokens:
    """A window alone, with a second try if the first gives no numbers."""
    for attempt in range(2):
        try:
            return _sample(network, scheduler, [job], sampling, attempt, on_step)[0]
        except NotFinite:
            log.warning("the model's answer was not a number%s", "" if attempt else "; trying once more")
        except FloatingPointError:
            raise UserError(
                "the constraints leave no note that is allowed; ask for less at once, such as no --scale strict beside "
                "chords of another key"
            ) from None
    raise UserError(
        "the model's answers are not numbers, twice in a row; its weights are damaged or it was trained badly: choose "
        "another --model, or another --seed"
    )


@torch.no_grad()
def _sample(
    network: NoteTransformer,
    scheduler: MaskedScheduler,
    jobs: Sequence[Job],
    sampling: Sampling,
    attempt: int,
    on_step: OnStep,
) -> list[Tokens]:
    """A batch of windows.

    Raises:
        FloatingPointError: If an answer is not a number, or nothing is allowed.
    """
    problems = [job.problem for job in jobs]
    lengths = [len(problem) for problem in problems]
    tokens = torch.zeros(len(jobs), max(lengths), problems[0].tokens.shape[1], dtype=torch.long)
    for row, problem in zip(tokens, problems, strict=True):
        row[: len(problem)] = torch.from_numpy(problem.tokens)
    device = network.device
    done = sample_masked(
        _denoiser(network, jobs, lengths, sampling),
        tokens.to(device),
        sizes=network.sizes,
        scheduler=copy.deepcopy(scheduler),
        steps=sampling.steps,
        generators=[torch.Generator().manual_seed(position_seed(*job.words, attempt)) for job in jobs],
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        constrain=_constraints(jobs, lengths, device),
        lengths=lengths,
        on_step=lambda step, _: on_step(step / sampling.steps),
    ).cpu()
    return [row[:length].numpy() for row, length in zip(done, lengths, strict=True)]


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


def _constraints(jobs: Sequence[Job], lengths: Sequence[int], device: torch.device) -> Constraint:
    """Positions within bars, and what each window allows."""
    limits = [
        torch.arange(SIZES[POSITION], device=device)
        >= torch.from_numpy(np.ascontiguousarray(job.problem.bar_steps)).to(device)[:, None]
        for job in jobs
    ]

    def constrain(tokens: Tensor, logits: Logits) -> Logits:
        whole = [values.clone() for values in logits]
        for row, (job, length, beyond) in enumerate(zip(jobs, lengths, limits, strict=True)):
            whole[POSITION][row, :length].masked_fill_(beyond, -torch.inf)
            if job.constraint is None:
                continue
            own = tuple(values[row : row + 1, :length] for values in whole)
            for values, allowed in zip(
                whole, job.constraint(tokens[row : row + 1, :length], own), strict=True
            ):
                values[row, :length] = allowed[0]
        return tuple(whole)

    return constrain


def only_parts(parts: Sequence[PartSpec] | None) -> Constraint | None:
    """New notes are played by these instruments; None allows all."""
    if parts is None:
        return None
    allowed = torch.zeros(SIZES[INSTRUMENT], dtype=torch.bool)
    allowed[[part.instrument for part in parts]] = True

    def constrain(tokens: Tensor, logits: Logits) -> Logits:  # noqa: ARG001
        whole = list(logits)
        whole[INSTRUMENT] = whole[INSTRUMENT].masked_fill(~allowed.to(whole[INSTRUMENT].device), -torch.inf)
        return tuple(whole)

    return constrain
