"""Over random scores every note appears exactly once, untouched, whatever the network thinks."""

import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from separation_scores import any_score, everything, plain_notes, separator

from ondes.score import read_score

SEPARATORS = [separator(seed) for seed in range(2)]
ENSEMBLES = (None, "string quartet", "piano", "voice and piano", "band", "violin", "flute, 2 violins, tuba")
CHOICES = st.fixed_dictionaries(
    {
        "into": st.sampled_from(ENSEMBLES),
        "n": st.integers(1, 2),
        "method": st.sampled_from(["diffusion", "diffusion", "classifier"]),
        "temperature": st.sampled_from([None, 1.0]),
        "seed": st.integers(0, 3),
        "keep": st.booleans(),
        "ranges": st.booleans(),
        "polyphony": st.sampled_from([None, 1, 2]),
        "no_crossing": st.booleans(),
        "playable_hands": st.booleans(),
    }
)
SLACK = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def check(score, network, choices):
    before = score.dumps_midi()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        made = SEPARATORS[network](score, **choices)
    assert score.dumps_midi() == before
    assert len(made.scores) == choices["n"]
    for one, labels in zip(made.scores, made.labels, strict=True):
        assert everything(one) == everything(score)
        assert (labels >= 0).all()
        assert (labels < len(made.parts)).all()
        assert one.tempos == score.tempos
        assert one.time_signatures == score.time_signatures
        assert one.markers == score.markers
        assert plain_notes(read_score(one.dumps_midi())) == plain_notes(score)
    assert ((made.confidences >= 0) & (made.confidences <= 1)).all()


@settings(max_examples=40, **SLACK)
@given(score=any_score(), network=st.integers(0, 1), choices=CHOICES)
def test_every_note_appears_exactly_once_and_untouched(score, network, choices):
    check(score, network, choices)


@pytest.mark.slow
@settings(max_examples=2000, **SLACK)
@given(score=any_score(), network=st.integers(0, 1), choices=CHOICES)
def test_thousands_of_scores_lose_nothing(score, network, choices):
    check(score, network, choices)
