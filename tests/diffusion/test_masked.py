from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ondes.diffusion.masked import (
    Logits,
    MaskedScheduler,
    guide_logits,
    mask_tokens,
    masked_loss,
    sample_masked,
)

SIZES = (2, 3)
NOTES = 2
OUTCOMES = torch.tensor(list(itertools.product(*(range(size) for size in SIZES * NOTES)))).unflatten(
    1, (NOTES, -1)
)
"""All pieces of two notes with a field of two classes and one of three: (36, 2, 2)."""
JOINT = (torch.randn(36, generator=torch.Generator().manual_seed(3)).double() * 1.5).softmax(0)
HIDDEN = torch.tensor(SIZES)


def perfect(tokens: Tensor, level: Tensor | None = None) -> Logits:
    """The denoiser that knows the joint distribution: log p(token | known tokens)."""
    fits = ((tokens[:, None] == OUTCOMES) | (tokens[:, None] == HIDDEN)).flatten(2).all(2)
    weights = fits * JOINT
    logits = []
    for field, size in enumerate(SIZES):
        chosen = torch.nn.functional.one_hot(OUTCOMES[..., field], size).double()
        logits.append(torch.einsum("bo,onc->bnc", weights, chosen).log())
    return tuple(logits)


def generators(count: int, first: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(first + number) for number in range(count)]


def beginning(count: int, notes: int = NOTES) -> Tensor:
    return HIDDEN.expand(count, notes, -1).clone()


def noisy_denoiser(sizes: tuple[int, ...], notes: int) -> Callable[[Tensor, Tensor], Logits]:
    """Logits that depend on every token of their example, and of no other."""
    generator = torch.Generator().manual_seed(1)
    mixing = torch.randn(len(sizes), max(sizes) + 1, generator=generator).double()
    tables = [torch.randn(notes, size, 4, generator=generator).double() for size in sizes]

    def denoise(tokens: Tensor, level: Tensor) -> Logits:
        heard = sum(mixing[field][tokens[..., field]].sum(1) for field in range(len(sizes)))
        assert isinstance(heard, Tensor)
        waves = torch.stack([(heard * (k + 1)).sin() for k in range(4)], -1)
        return tuple(torch.einsum("nck,bk->bnc", table[: tokens.shape[1]], waves) for table in tables)

    return denoise


@pytest.mark.parametrize("index", [0, 7, 35])
def test_the_loss_of_a_perfect_denoiser_over_all_masks_is_the_negative_log_likelihood(index: int) -> None:
    data = OUTCOMES[index : index + 1]
    count, total = data.numel(), 0.0
    for bits in itertools.product([False, True], repeat=count):
        hidden = torch.tensor(bits).reshape(data.shape)
        many = sum(bits)
        if not many:
            continue
        level = torch.tensor([0.5])
        loss = masked_loss(perfect(torch.where(hidden, HIDDEN, data)), data, hidden, level).sum()
        # The integral over levels t of t^k (1 - t)^(n - k) / t, a beta function, instead of 1 / 0.5.
        beta = math.factorial(many - 1) * math.factorial(count - many) / math.factorial(count)
        total += float(loss) * 0.5 * beta
    assert total == pytest.approx(-math.log(float(JOINT[index])), abs=1e-9)


def test_masks_drawn_at_random_levels_give_the_same_loss() -> None:
    count = 40_000
    data = OUTCOMES[:1].expand(count, -1, -1)
    level = (torch.arange(count) + 0.5) / count
    masked, hidden = mask_tokens(data, level, sizes=SIZES, generator=torch.Generator().manual_seed(0))
    loss = masked_loss(perfect(masked), data, hidden, level).sum(1)
    error = float(loss.std()) / count**0.5
    assert abs(float(loss.mean()) + math.log(float(JOINT[0]))) < 3 * error
    assert error < 0.06


def test_tokens_are_hidden_with_the_probability_of_their_field_and_only_where_they_are_free() -> None:
    data = torch.zeros(2, 5000, 2, dtype=torch.long)
    free = torch.ones(data.shape, dtype=torch.bool)
    free[1, :, 0] = False
    level = torch.tensor([[0.2, 0.9], [0.7, 0.5]])
    masked, hidden = mask_tokens(data, level, sizes=SIZES, generator=generators(1)[0], free=free)
    assert torch.equal(masked == HIDDEN, hidden)
    share = hidden.double().mean(1)
    assert float(share[1, 0]) == 0
    assert torch.allclose(share, torch.tensor([[0.2, 0.9], [0.0, 0.5]]).double(), atol=0.025)


def test_small_levels_can_be_made_to_count_less() -> None:
    data, level = OUTCOMES[:2], torch.tensor([0.1, 0.5])
    hidden = torch.ones(data.shape, dtype=torch.bool)
    logits = perfect(HIDDEN.expand_as(data))
    plain = masked_loss(logits, data, hidden, level)
    least = masked_loss(logits, data, hidden, level, least_level=0.25)
    assert torch.allclose(least / plain, torch.tensor([[0.4], [1.0]]).double())


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_one_token_a_step_draws_from_the_joint_distribution(schedule: str) -> None:
    count = 1000
    # Both schedules reveal at most one of four tokens in each of so many steps.
    steps = 4 if schedule == "linear" else 12
    revealed = []

    def watch(step: int, tokens: Tensor) -> None:
        revealed.append(int((tokens[0] != HIDDEN).sum()))

    made = sample_masked(
        perfect,
        beginning(count),
        sizes=SIZES,
        scheduler=MaskedScheduler(schedule),
        steps=steps,
        generators=generators(count),
        on_step=watch,
    )
    assert revealed == [1, 2, 3, 4]
    outcome = (made[:, None] == OUTCOMES).flatten(2).all(2).double().argmax(1)
    seen = torch.bincount(outcome, minlength=len(JOINT)).double()
    chi_square = float(((seen - count * JOINT).square() / (count * JOINT)).sum())
    assert chi_square < 62  # 35 degrees of freedom: it is more 0.3 % of the time


def test_all_tokens_in_one_step_are_independent_of_each_other() -> None:
    count = 2000
    how = {"sizes": SIZES, "scheduler": MaskedScheduler(), "generators": generators(count)}
    made = sample_masked(perfect, beginning(count), steps=1, **how)
    first, second = (logits.softmax(-1)[0, 0] for logits in perfect(beginning(1)))
    expected = torch.outer(first, second)
    seen = torch.zeros(SIZES).index_put_((made[:, 0, 0], made[:, 0, 1]), torch.ones(count), accumulate=True)
    assert torch.allclose(seen.double() / count, expected, atol=0.03)


@settings(max_examples=25)
@given(st.integers(0, 2**31), st.integers(1, 9), st.sampled_from(["random", "confidence"]), st.floats(0.3, 1))
def test_known_tokens_never_change_and_all_others_are_filled_in(
    seed: int, steps: int, order: str, top_p: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    data = torch.stack([torch.randint(0, size + 1, (3, 6), generator=generator) for size in SIZES], -1)
    made = sample_masked(
        noisy_denoiser(SIZES, 6),
        data,
        sizes=SIZES,
        scheduler=MaskedScheduler(order=order),
        steps=steps,
        generators=generators(3),
        top_p=top_p,
    )
    known = data != HIDDEN
    assert torch.equal(made[known], data[known])
    assert (made < HIDDEN).all()


@pytest.mark.parametrize("order", ["random", "confidence"])
def test_an_example_is_the_same_alone_and_in_a_batch_with_longer_ones(order: str) -> None:
    lengths = [3, 7, 5]
    batch = beginning(3, 7)
    for row, length in zip(batch, lengths, strict=True):
        row[length:] = 0
    how = {"sizes": SIZES, "scheduler": MaskedScheduler(order=order), "steps": 4}

    def padded(tokens: Tensor, level: Tensor) -> Logits:
        there = torch.zeros(len(tokens), 7, 2, dtype=torch.long)
        there[:, : tokens.shape[1]] = tokens
        return tuple(logits[:, : tokens.shape[1]] for logits in noisy_denoiser(SIZES, 7)(there, level))

    together = sample_masked(padded, batch, generators=generators(3), lengths=lengths, **how)
    for row, length in enumerate(lengths):
        alone = sample_masked(padded, batch[row : row + 1, :length], generators=generators(1, row), **how)
        assert torch.equal(together[row, :length], alone[0])
    again = sample_masked(padded, batch, generators=generators(3), lengths=lengths, **how)
    other = sample_masked(padded, batch, generators=generators(3, 50), lengths=lengths, **how)
    assert torch.equal(together, again)
    assert not torch.equal(together, other)


def test_a_constraint_holds_at_every_step_and_sees_the_tokens() -> None:
    def rising(tokens: Tensor, logits: Logits) -> Logits:
        """The second note's second field is never 1, nor what the first note's is."""
        barred = logits[1].clone()
        barred[:, 1, 1] = -torch.inf
        row = torch.arange(len(tokens))
        known = tokens[:, 0, 1] < 3
        barred[row[known], 1, tokens[known, 0, 1]] = -torch.inf
        return logits[0], barred

    made = sample_masked(
        perfect,
        beginning(300),
        sizes=SIZES,
        scheduler=MaskedScheduler("linear"),
        steps=4,
        generators=generators(300),
        constrain=rising,
    )
    assert (made[:, 1, 1] != 1).all()
    # Where the second note came first, the first may be like it: the constraint is asked for one token at a time.
    assert 0 < int((made[:, 1, 1] == made[:, 0, 1]).sum()) < 120


def test_a_temperature_near_zero_and_a_small_nucleus_draw_the_likeliest_class() -> None:
    likeliest = torch.stack([logits.argmax(-1) for logits in perfect(beginning(50))], -1)
    how = {"sizes": SIZES, "scheduler": MaskedScheduler(), "steps": 1}
    cold = sample_masked(perfect, beginning(50), generators=generators(50), temperature=0.0, **how)
    small = sample_masked(perfect, beginning(50), generators=generators(50), top_p=1e-6, **how)
    plain = sample_masked(perfect, beginning(50), generators=generators(50), **how)
    assert torch.equal(cold, likeliest)
    assert torch.equal(small, likeliest)
    assert not torch.equal(plain, likeliest)


def test_the_order_of_confidence_reveals_what_is_certain_first() -> None:
    sure = torch.tensor([0.6, 0.9, 0.99, 0.7, 0.8]).double()

    def denoise(tokens: Tensor, level: Tensor) -> Logits:
        return (torch.stack([sure, 1 - sure], -1).log().expand(len(tokens), -1, -1),)

    order = []
    sample_masked(
        denoise,
        torch.full((1, 5, 1), 2),
        sizes=(2,),
        scheduler=MaskedScheduler("linear", "confidence", chance=0.0),
        steps=5,
        generators=generators(1),
        temperature=0.001,
        on_step=lambda _, tokens: order.append(frozenset(torch.where(tokens[0, :, 0] < 2)[0].tolist())),
    )
    assert order == [{2}, {1, 2}, {1, 2, 4}, {1, 2, 3, 4}, {0, 1, 2, 3, 4}]


def test_guidance_is_bayes_rule_for_the_condition_to_a_power() -> None:
    generator = torch.Generator().manual_seed(0)
    given_, without = (torch.randn(1, 4, 5, generator=generator) for _ in range(2))
    (guided,) = guide_logits((given_,), (without + 7,), scale=2.5)
    likelihood = given_.softmax(-1) / without.softmax(-1)
    expected = without.softmax(-1) * likelihood**2.5
    assert torch.allclose(guided.softmax(-1), expected / expected.sum(-1, keepdim=True), atol=1e-6)
    assert torch.allclose(guide_logits((given_,), (without,), scale=1.0)[0].softmax(-1), given_.softmax(-1))


def test_answers_that_are_no_numbers_and_constraints_that_leave_nothing_are_errors() -> None:
    how = {"sizes": SIZES, "scheduler": MaskedScheduler(), "steps": 2, "generators": generators(1)}

    def broken(tokens: Tensor, level: Tensor) -> Logits:
        return tuple(logits * torch.nan for logits in perfect(tokens))

    def nothing(tokens: Tensor, logits: Logits) -> Logits:
        return logits[0], torch.full_like(logits[1], -torch.inf)

    with pytest.raises(FloatingPointError, match="not a number"):
        sample_masked(broken, beginning(1), **how)
    with pytest.raises(FloatingPointError, match="leave nothing"):
        sample_masked(perfect, beginning(1), constrain=nothing, **how)


@pytest.mark.parametrize(
    ("how", "words"),
    [({"schedule": "square"}, "'linear' and 'cosine'"), ({"order": "best"}, "'random' and 'confidence'")],
)
def test_unknown_schedules_and_orders_are_refused(how: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MaskedScheduler(**how)


def test_too_few_steps_or_generators_are_refused() -> None:
    with pytest.raises(ValueError, match="0 steps"):
        MaskedScheduler().set_timesteps(0)
    with pytest.raises(ValueError, match="1 generators for 2 examples"):
        sample_masked(
            perfect, beginning(2), sizes=SIZES, scheduler=MaskedScheduler(), steps=1, generators=generators(1)
        )


@pytest.mark.parametrize("settings", [{"first": (1,)}, {"first": (1, 0)}, {"last": (0,)}])
def test_fields_can_come_before_or_after_all_others(settings: dict[str, Any]) -> None:
    seen: list[Tensor] = []
    for order in ("random", "confidence"):
        seen.clear()
        made = sample_masked(
            perfect,
            beginning(20),
            sizes=SIZES,
            scheduler=MaskedScheduler("linear", order, **settings),
            steps=4,
            generators=generators(20),
            on_step=lambda _, tokens: seen.append(tokens.clone()),
        )
        hidden = [(tokens == HIDDEN).sum((0, 1)).tolist() for tokens in seen]
        assert hidden == [[40, 20], [40, 0], [20, 0], [0, 0]]
        assert not bool((made == HIDDEN).any())


def test_no_field_is_both_first_and_last() -> None:
    with pytest.raises(ValueError, match=r"fields \[1\] cannot be both first and last"):
        MaskedScheduler(first=(0, 1), last=(1,))


def test_each_field_has_its_temperature() -> None:
    logits = (torch.tensor([0.4, 0.0]), torch.tensor([0.0, 0.5, 0.1]))

    def denoise(tokens: Tensor, _: Tensor) -> Logits:
        return tuple(values.expand(*tokens.shape[:2], -1) for values in logits)

    made = sample_masked(
        denoise,
        beginning(50),
        sizes=SIZES,
        scheduler=MaskedScheduler(),
        steps=1,
        generators=generators(50),
        temperature=(0.0, 1.0),
    )
    assert made[..., 0].unique().tolist() == [0]
    assert made[..., 1].unique().tolist() == [0, 1, 2]
