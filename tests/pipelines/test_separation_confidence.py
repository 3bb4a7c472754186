"""Confidences: odds that are raised and bent, found again from what was right, and told by the pipeline."""

from __future__ import annotations

import numpy as np
import pytest
from separation_scores import mixture, score_of, separator

from ondes.evaluation.separation import Calibration
from ondes.pipelines.separation_confidence import UNCHANGED, fit_worth, restated


def song() -> object:
    return score_of(
        mixture([(240 * step, 240, 45 + 7 * step % 40, 50 + step) for step in range(24)], program=0)
    )


def test_odds_are_multiplied_by_the_shift_and_raised_to_the_slope() -> None:
    stated = np.array([0.0, 0.5, 0.75, 1.0])
    assert np.allclose(restated(stated, UNCHANGED), stated)
    assert np.allclose(restated(stated, (np.log(2), 1.0)), [0, 2 / 3, 6 / 7, 1])
    assert np.allclose(restated(stated, (0.0, 2.0)), [0, 0.5, 9 / 10, 1])


def test_a_worth_that_explains_all_shares_is_found_exactly() -> None:
    # Odds of 1 that are worth 2, and odds of 3 that are worth 18 = 2 * 3 ** 2.
    stated = np.repeat([0.5, 0.75], [3, 19])
    right = np.array([True, True, False, *[True] * 18, False])
    shift, slope = fit_worth([(stated, right, 1.0)])
    assert (shift, slope) == pytest.approx((np.log(2), 2.0))
    assert Calibration.of(restated(stated, (shift, slope)), right).error == pytest.approx(0, abs=1e-9)


def test_labels_next_to_certain_do_not_throw_the_fit_off() -> None:
    # Of labels stated at 1 - 1e-6 nine in ten are right, of a few at 0.6 and 0.9 all but one in four and one in twenty.
    stated = np.repeat([1 - 1e-6, 0.6, 0.9], [900, 40, 60])
    right = np.ones(1000, np.bool_)
    right[[*range(90), *range(900, 910), *range(940, 943)]] = False
    shift, slope = fit_worth([(stated, right, 1.0)])

    def loss(worth: tuple[float, float]) -> float:
        chance = restated(stated, worth)
        return float(-np.log(np.where(right, chance, 1 - chance)).sum())

    near = [(shift + a, slope + b) for a in (-0.01, 0.0, 0.01) for b in (-0.01, 0.0, 0.01)]
    assert min(near, key=loss) == (shift, slope)


def test_a_note_that_counts_twice_is_two_notes() -> None:
    rng = np.random.default_rng(0)
    songs = [(chances := rng.random(50), rng.random(50) < chances) for _ in range(2)]
    twice = fit_worth([(*songs[0], 2.0), (*songs[1], 1.0)])
    assert twice == pytest.approx(fit_worth([(*one, 1.0) for one in (songs[0], songs[0], songs[1])]))
    with pytest.raises(ValueError, match="no notes"):
        fit_worth([])


def test_the_pipeline_states_what_its_probabilities_are_worth() -> None:
    plain, raised = separator()(song(), into="flute, cello"), None
    for method in ("diffusion", "classifier"):
        # Without a classifier its part is the network's, worth included.
        plain = separator()(song(), into="flute, cello", method=method)
        raised = separator(worth=(np.log(2), 1.0))(song(), into="flute, cello", method=method)
        assert np.array_equal(plain.labels, raised.labels)
        odds = plain.confidences / (1 - plain.confidences)
        np.testing.assert_allclose(raised.confidences, 2 * odds / (1 + 2 * odds))


def test_an_ensemble_has_a_worth_of_its_own_and_saving_keeps_all(tmp_path) -> None:
    kin = {"choir": {"like": "string quartet", "worth": [0.5, 2.0]}}
    model = separator(kin=kin, worth=(1.0, 1.0))
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    choir = separator(kin={"choir": {"like": "string quartet"}}, worth=(0.5, 2.0))(song(), into="choir")
    others = separator(worth=(1.0, 1.0))(song(), into="flute, cello")
    for one in (model, again):
        np.testing.assert_allclose(one(song(), into="choir").confidences, choir.confidences)
        np.testing.assert_allclose(one(song(), into="flute, cello").confidences, others.confidences)
