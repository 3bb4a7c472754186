"""Rules for what may be drawn, and drawing until all of them hold.

A `Rule` says which values of some fields are allowed, given what is known of each note; `constraint_of` joins rules to
the `constrain` of `ondes.diffusion.masked.sample_masked`. Fields of a note that are drawn in the same step do not see
each other and may disagree; `drawn_within` finds that afterwards and draws the less important one again, so that in
the end every rule holds. Rules that cannot hold for a note because of what was given (an infilled part outside its
compass) leave it alone: later rules yield to earlier ones.

Tokens are (batch, notes, fields) with the number of classes standing for hidden, all examples under the same rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from ondes.diffusion.masked import Constraint, Logits

Tokens = Int[Tensor, "batch notes fields"]

Allowed = dict[int, Bool[Tensor, "batch notes _"]]
"""Which classes of a field are allowed, by field."""

MOST_ROUNDS = 8
"""Of drawing again; each settles a rule, and hardly more than three are ever needed."""


@dataclass(frozen=True)
class Rule:
    """A thing that must hold.

    Attributes:
        allowed: From tokens, which values each of its fields may have, given the other fields; what stands in the
            field itself does not matter.
        redrawn: The field that is drawn again where the rule is broken.
        beside: Other fields of the note that are drawn again with it.
    """

    allowed: Callable[[Tokens], Allowed]
    redrawn: int
    beside: tuple[int, ...] = ()


def constraint_of(
    rules: Sequence[Rule], *, before: Sequence[Constraint] = (), after: Sequence[Constraint] = ()
) -> Constraint:
    """All rules as one change of logits.

    Args:
        rules: The most important first: where nothing would be left, the later ones yield.
        before: Changes of logits that happen first, such as `prefer_classes`.
        after: Those that happen last, such as `use_every_part`.
    """

    def constrain(tokens: Tensor, logits: Logits) -> Logits:
        for change in before:
            logits = change(tokens, logits)
        whole = list(logits)
        for field, allowed in _joined(rules, tokens).items():
            whole[field] = whole[field].masked_fill(~allowed, -torch.inf)
        logits = tuple(whole)
        for change in after:
            logits = change(tokens, logits)
        return logits

    return constrain


def broken(
    rules: Sequence[Rule], tokens: Tokens, free: Bool[Tensor, "batch notes fields"]
) -> Bool[Tensor, "batch notes fields"]:
    """Fields to be drawn again, those of the first rule that does not hold; none if all hold.

    Args:
        rules: In order of importance.
        tokens: Nothing hidden but what is no rule's business.
        free: Which tokens may be drawn again.
    """
    again = torch.zeros_like(free)
    earlier: Allowed = {}
    for rule in rules:
        field = rule.redrawn
        allowed = rule.allowed(tokens)
        both = _narrowed(earlier.get(field), allowed[field])
        value = tokens[..., field]
        known = value < both.shape[-1]
        fits = both.gather(-1, value.clamp(max=both.shape[-1] - 1)[..., None])[..., 0]
        wrong = known & ~fits & free[..., field]
        if wrong.any():
            for one in (field, *rule.beside):
                again[..., one] = wrong & free[..., one]
            return again
        earlier |= {name: _narrowed(earlier.get(name), mask) for name, mask in allowed.items()}
    return again


def drawn_within(
    sample: Callable[[Tensor, int], Tensor], tokens: Tokens, rules: Sequence[Rule], *, sizes: Sequence[int]
) -> Tokens:
    """Tokens drawn until every rule holds.

    Args:
        sample: Fills in what is hidden, under `constraint_of` the same rules; gets the round from 0, which chances
            should depend on and later ones can be given fewer steps.
        tokens: Known and hidden.
        rules: As of `constraint_of`.
        sizes: Classes of each field.
    """
    free = tokens == torch.tensor(sizes, device=tokens.device)
    drawn = sample(tokens, 0)
    for number in range(1, MOST_ROUNDS + 1):
        again = broken(rules, drawn, free)
        if not again.any():
            break
        drawn = sample(torch.where(again, torch.tensor(sizes, device=tokens.device), drawn), number)
    return drawn


def _joined(rules: Sequence[Rule], tokens: Tokens) -> Allowed:
    """What all rules allow together."""
    together: Allowed = {}
    for rule in rules:
        for field, mask in rule.allowed(tokens).items():
            together[field] = _narrowed(together.get(field), mask)
    return together


def _narrowed(before: Tensor | None, mask: Tensor) -> Tensor:
    """What both allow; where that is nothing, what was allowed before."""
    before = torch.ones_like(mask) if before is None else before
    both = before & mask
    return torch.where(both.any(-1, keepdim=True), both, before)


def replaced(logits: Logits, field: int, values: Tensor) -> Logits:
    """The logits with those of a field replaced."""
    return (*logits[:field], values, *logits[field + 1 :])
