"""Masked (absorbing-state) diffusion of discrete tokens, several fields a position.

Austin et al. 2021 (D3PM, arXiv 2107.03006); Sahoo et al. 2024 (MDLM, arXiv 2406.07524); the sampler's orders are those
of Chang et al. 2022 (MaskGIT, arXiv 2202.04200). At level t each token is hidden with probability t; hiding is what
noise is elsewhere. The class behind the last of a field says "hidden": `sizes` are the numbers of classes without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

Logits = tuple[Tensor, ...]
"""One of each field, (batch, notes, size)."""

TokenDenoiser = Callable[[Tensor, Tensor], Logits]
"""Maps tokens (batch, notes, fields), some hidden, and the share that is hidden (batch,) to what they may be."""

Constraint = Callable[[Tensor, Logits], Logits]
"""Maps tokens and logits to logits that are minus infinity where something is not allowed."""

SCHEDULES = ("linear", "cosine")
ORDERS = ("random", "confidence")
FAR_AHEAD = 1000.0
"""More than any logarithm of a probability that is drawn."""


def mask_tokens(
    tokens: Int[Tensor, "batch notes fields"],
    level: Float[Tensor, " batch"] | Float[Tensor, "batch fields"],
    *,
    sizes: Sequence[int],
    generator: torch.Generator,
    free: Bool[Tensor, "batch notes fields"] | None = None,
) -> tuple[Int[Tensor, "batch notes fields"], Bool[Tensor, "batch notes fields"]]:
    """Tokens at a level, and which of them are hidden.

    Args:
        tokens: The data.
        level: Probability of being hidden, of an example or of each of its fields.
        sizes: Classes of each field.
        generator: Of the chances; on the CPU.
        free: Which tokens may be hidden; all if missing.
    """
    chance = torch.rand(tokens.shape, generator=generator).to(tokens.device)
    hidden = chance < _wide(level)
    if free is not None:
        hidden &= free
    return torch.where(hidden, torch.tensor(sizes, device=tokens.device), tokens), hidden


def masked_loss(
    logits: Logits,
    tokens: Int[Tensor, "batch notes fields"],
    hidden: Bool[Tensor, "batch notes fields"],
    level: Float[Tensor, " batch"] | Float[Tensor, "batch fields"],
    *,
    least_level: float = 0.0,
) -> Float[Tensor, "batch fields"]:
    """Negative log likelihood of the hidden tokens over the level: its mean over levels bounds that of the data.

    Sahoo et al. 2024, equation 10, with the linear schedule: E[loss] over levels uniform in 0..1 is at least
    -log p(tokens), in nats, summed over the notes.

    Args:
        logits: The network's, for tokens hidden as `hidden` says.
        tokens: The data; what is hidden there itself, as it is unknown, must not be among `hidden`.
        hidden: Which tokens to count.
        level: The levels at which they were hidden.
        least_level: Divide by no less: a loss with less variance in which small levels count less.
    """
    fields = []
    for field, values in enumerate(logits):
        truth = torch.where(hidden[..., field], tokens[..., field], -100)
        nats = functional.cross_entropy(values.transpose(1, 2), truth, reduction="none", ignore_index=-100)
        fields.append(nats.sum(1))
    return torch.stack(fields, 1) / _wide(level)[:, 0].clamp(min=max(least_level, 1e-6))


def _wide(level: Tensor) -> Tensor:
    """Levels (batch, 1, 1 or fields)."""
    return level[:, None, None] if level.ndim == 1 else level[:, None]


def guide_logits(conditional: Logits, unconditional: Logits, *, scale: float) -> Logits:
    """Classifier-free guidance of log probabilities: 0 ignores the condition, 1 obeys it, more exaggerates it."""
    pairs = zip(conditional, unconditional, strict=True)
    return tuple(
        torch.lerp(without.log_softmax(-1), given.log_softmax(-1), scale) for given, without in pairs
    )


class MaskedScheduler(SchedulerMixin, ConfigMixin):
    """How many tokens stay hidden after each step, and which ones are revealed.

    Args:
        schedule: Share still hidden at time s from 0 to 1: 1 - s ("linear"), or cos(pi s / 2), which begins slowly
            ("cosine").
        order: "random": any hidden token is as likely to be the next; with one token a step, samples are exact for a
            perfect denoiser. "confidence": those that were drawn with the highest probability.
        chance: Of the order "confidence": standard Gumbel noise times this and the share hidden is added to the log
            probability.
        first: Numbers of fields that are revealed before all others, one field after the other.
        last: Of those that are revealed after all others, together.

    Raises:
        ValueError: If a setting is none of these, or a field is both first and last.
    """

    order = 1

    @register_to_config
    def __init__(
        self,
        schedule: str = "cosine",
        order: str = "random",
        chance: float = 1.0,
        first: Sequence[int] = (),
        last: Sequence[int] = (),
    ) -> None:
        if schedule not in SCHEDULES:
            raise ValueError(f"schedule {schedule!r}: {' and '.join(map(repr, SCHEDULES))} are allowed")
        if order not in ORDERS:
            raise ValueError(f"order {order!r}: {' and '.join(map(repr, ORDERS))} are allowed")
        if set(first) & set(last):
            raise ValueError(f"fields {sorted(set(first) & set(last))} cannot be both first and last")
        self.chance, self.first, self.last = chance, list(first), list(last)
        self.timesteps: Tensor
        self.set_timesteps(16)

    def set_timesteps(self, num_inference_steps: int, device: str | torch.device | None = None) -> None:  # noqa: ARG002
        """Choose the number of steps; `timesteps` are the shares that are hidden before each of them.

        Raises:
            ValueError: If there is none.
        """
        if num_inference_steps < 1:
            raise ValueError(f"{num_inference_steps} steps: at least 1 is needed")
        time = torch.arange(num_inference_steps + 1, dtype=torch.float64) / num_inference_steps
        cosine = self.config["schedule"] == "cosine"
        self.shares = (time * math.pi / 2).cos() if cosine else 1 - time
        self.shares[-1] = 0.0
        self.timesteps = self.shares[:-1]

    def scores(self, log_probability: Tensor, share: float, generator: torch.Generator) -> Tensor:
        """The order in which tokens would be revealed, highest first.

        Args:
            log_probability: Of the class drawn for each token.
            share: Hidden before this step.
            generator: Of one example, on the CPU.
        """
        noise = torch.rand(log_probability.shape, generator=generator).to(log_probability.device)
        if self.config["order"] == "random":
            scores = noise
        else:
            gumbel = -(-noise.clamp(1e-9, 1 - 1e-7).log()).log()
            scores = log_probability + self.chance * share * gumbel
        if self.first or self.last:
            scores = scores.double()
            for rank, field in enumerate(reversed(self.first), 1):
                scores[:, field] += rank * FAR_AHEAD
            scores[:, self.last] -= FAR_AHEAD
        return scores


def sample_masked(
    denoiser: TokenDenoiser,
    tokens: Int[Tensor, "batch notes fields"],
    *,
    sizes: Sequence[int],
    scheduler: MaskedScheduler,
    steps: int,
    generators: Sequence[torch.Generator],
    temperature: float | Sequence[float] = 1.0,
    top_p: float = 1.0,
    constrain: Constraint | None = None,
    lengths: Sequence[int] | None = None,
    on_step: Callable[[int, Tensor], None] | None = None,
) -> Int[Tensor, "batch notes fields"]:
    """The tokens with everything that was hidden filled in; what was known stays.

    Args:
        denoiser: Says what hidden tokens may be.
        tokens: Known and hidden ones; padding must be known.
        sizes: Classes of each field.
        scheduler: How many are revealed in a step, and which.
        steps: How often the denoiser is asked, at most.
        generators: One an example, on the CPU: an example does not depend on its batch.
        temperature: Of the draws, or of those of each field; below 1 more likely classes are drawn.
        top_p: Draw from the likeliest classes that make up this much.
        constrain: What is not allowed.
        lengths: Notes of each example, without padding; chances are drawn for these alone.
        on_step: Called after each step with its number from 1 and the tokens; what it raises ends the sampling.

    Raises:
        ValueError: If there is no step to take, or not one generator an example.
        FloatingPointError: If nothing is allowed for a token, or the denoiser's answer is not a number.
    """
    if len(generators) != len(tokens):
        raise ValueError(f"{len(generators)} generators for {len(tokens)} examples")
    scheduler.set_timesteps(steps)
    whole = torch.tensor(sizes, device=tokens.device)
    counts = (tokens == whole).flatten(1).sum(1)
    lengths = [tokens.shape[1]] * len(tokens) if lengths is None else lengths
    for step, share in enumerate(scheduler.timesteps.tolist()):
        hidden = tokens == whole
        stay = (counts * scheduler.shares[step + 1] + 1e-6).floor().long()
        if (hidden.flatten(1).sum(1) <= stay).all():
            continue
        logits = denoiser(tokens, torch.full((len(tokens),), share, device=tokens.device))
        if constrain is not None:
            logits = constrain(tokens, logits)
        chances = _draw(generators, lengths, tokens)
        drawn, log_probability = _drawn(logits, chances, temperature=temperature, top_p=top_p)
        if not torch.isfinite(log_probability[hidden]).all():
            raise FloatingPointError(
                "the network's answer is not a number, or the constraints leave nothing for a token"
            )
        tokens = tokens.clone()
        for row, (generator, notes) in enumerate(zip(generators, lengths, strict=True)):
            scores = scheduler.scores(log_probability[row, :notes], share, generator)
            scores = scores.masked_fill(~hidden[row, :notes], -torch.inf).flatten()
            chosen = scores.topk(int(hidden[row].sum() - stay[row])).indices
            tokens[row, :notes].view(-1)[chosen] = drawn[row, :notes].reshape(-1)[chosen]
        if on_step is not None:
            on_step(step + 1, tokens)
    return tokens


def _draw(generators: Sequence[torch.Generator], lengths: Sequence[int], like: Tensor) -> Tensor:
    """Uniform numbers for each token, of each example by its own generator (batch, notes, fields)."""
    chances = torch.zeros(like.shape, dtype=torch.float64)
    for row, generator, notes in zip(chances, generators, lengths, strict=True):
        row[:notes] = torch.rand(notes, like.shape[2], generator=generator, dtype=torch.float64)
    return chances.to(like.device)


def _drawn(
    logits: Logits, chances: Tensor, *, temperature: float | Sequence[float], top_p: float
) -> tuple[Tensor, Tensor]:
    """A class for each token, where its chance falls in the cumulative probabilities, and its log probability."""
    temperatures = [temperature] * len(logits) if isinstance(temperature, int | float) else temperature
    classes, log_probabilities = [], []
    for field, values in enumerate(logits):
        log_probability = values.double().log_softmax(-1)
        probability = _nucleus((log_probability / max(temperatures[field], 1e-4)).softmax(-1), top_p)
        total = probability.cumsum(-1)
        place = chances[..., field : field + 1] * total[..., -1:]
        # The class whose interval holds the chance; never one of probability zero.
        drawn = torch.searchsorted(total, place, right=True).clamp(max=values.shape[-1] - 1)
        classes.append(drawn[..., 0])
        log_probabilities.append(log_probability.gather(-1, drawn)[..., 0])
    return torch.stack(classes, -1), torch.stack(log_probabilities, -1)


def _nucleus(probability: Tensor, top_p: float) -> Tensor:
    """The likeliest classes up to a sum of `top_p`, at least one; the others get zero (Holtzman et al. 2019)."""
    if top_p >= 1:
        return probability
    ordered, places = probability.sort(dim=-1, descending=True)
    kept = ordered * (ordered.cumsum(-1) - ordered < top_p)
    return torch.zeros_like(probability).scatter(-1, places, kept)
