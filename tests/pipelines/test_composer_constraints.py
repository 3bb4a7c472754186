"""Constraints: each alone, and all of them in samples of a network that knows nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ondes.diffusion.masked import MaskedScheduler, sample_masked
from ondes.pipelines.composer_constraints import (
    absolute_bars,
    aim_at_bars,
    in_chords,
    in_compass,
    in_scale,
    only_parts,
    prefer_classes,
    prefer_key,
    prefer_triplets,
    rules_for,
    within_bars,
)
from ondes.pipelines.composer_parts import use_every_part
from ondes.pipelines.composer_rules import MOST_ROUNDS, broken, constraint_of, drawn_within
from ondes.representations.chords import parse_chords
from ondes.representations.ensembles import PartSpec, parse_ensemble
from ondes.representations.keys import KEYS, detect_key, parse_key
from ondes.representations.note_sequence import DRUMS
from ondes.representations.note_tokens import BAR, INSTRUMENT, PART_NUMBER, PITCH, POSITION, SIZES
from ondes.representations.ranges import DRUM_KEYS, HIGH, LOW

QUARTET = parse_ensemble("string quartet")
BAND = parse_ensemble("band")
C_MAJOR = parse_key("C major").scale


def row(**known):
    """One note, hidden but for the named fields (1, 1, 7)."""
    names = ("bar", "position", "pitch", "duration", "velocity", "instrument", "part_number")
    return torch.tensor([[[known.get(name, size) for name, size in zip(names, SIZES, strict=True)]]])


def ones(mask):
    return mask.nonzero()[:, -1].tolist()


def blind(seed, notes, batch=1):
    """Logits of a network that likes some things without knowing why."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(3 * torch.randn(batch, notes, size, generator=generator) for size in SIZES)


def sampler(seed, constrain, *, steps=4):
    def sample(tokens, number):
        logits = blind(seed + number, tokens.shape[1], len(tokens))
        return sample_masked(
            lambda _tokens, _level: logits,
            tokens,
            sizes=SIZES,
            scheduler=MaskedScheduler(),
            steps=steps,
            generators=[torch.Generator().manual_seed(seed + 100 * number + i) for i in range(len(tokens))],
            constrain=constrain,
        )

    return sample


def hidden(notes, batch=1):
    return torch.tensor(SIZES).expand(batch, notes, -1).clone()


def test_only_the_asked_parts_may_play():
    rule = only_parts(QUARTET)
    nothing = rule.allowed(row())
    assert ones(nothing[INSTRUMENT]) == [40, 41, 42]
    assert ones(nothing[PART_NUMBER]) == [0, 1]
    assert ones(rule.allowed(row(instrument=40))[PART_NUMBER]) == [0, 1]
    assert ones(rule.allowed(row(instrument=42))[PART_NUMBER]) == [0]
    assert ones(rule.allowed(row(part_number=1))[INSTRUMENT]) == [40]


def test_pitch_and_instrument_limit_each_other():
    rule = in_compass(QUARTET)
    assert ones(rule.allowed(row())[PITCH]) == list(range(36, 104))
    assert ones(rule.allowed(row(instrument=41))[PITCH]) == list(range(48, 92))
    assert ones(rule.allowed(row(part_number=1))[PITCH]) == list(range(55, 104))
    assert ones(rule.allowed(row(pitch=40))[INSTRUMENT]) == [42]
    assert ones(rule.allowed(row(pitch=60))[INSTRUMENT]) == [40, 41, 42]
    assert ones(rule.allowed(row(pitch=60, part_number=1))[INSTRUMENT]) == [40]
    assert ones(rule.allowed(row(pitch=40))[PART_NUMBER]) == [0]


def test_voices_of_one_instrument_have_compasses_of_their_own():
    rule = in_compass(parse_ensemble("choir"))
    assert ones(rule.allowed(row(instrument=52, part_number=3))[PITCH]) == list(range(40, 66))
    assert ones(rule.allowed(row(pitch=80))[PART_NUMBER]) == [0]


def test_without_an_ensemble_every_instrument_has_its_usual_range():
    rule = in_compass()
    for program in (0, 40, 73, 127):
        expected = list(range(LOW[program], HIGH[program] + 1))
        assert ones(rule.allowed(row(instrument=program))[PITCH]) == expected
    assert ones(rule.allowed(row(instrument=DRUMS))[PITCH]) == list(range(DRUM_KEYS[0], DRUM_KEYS[1] + 1))
    assert ones(rule.allowed(row(pitch=108))[INSTRUMENT]) == [*range(8), 8, 9, 13]
    assert ones(rule.allowed(row(instrument=0, pitch=60))[PART_NUMBER]) == [0, 1, 2, 3]
    assert ones(rule.allowed(row(pitch=108, part_number=3))[INSTRUMENT]) == [*range(8), 8, 9, 13]


def test_the_scale_binds_pitches_but_no_drums():
    rule = in_scale(C_MAJOR, BAND)
    pitches = ones(rule.allowed(row(instrument=33))[PITCH])
    assert pitches == [pitch for pitch in range(26, 63) if pitch % 12 in C_MAJOR]
    assert ones(rule.allowed(row(instrument=DRUMS))[PITCH]) == list(range(27, 88))
    assert ones(rule.allowed(row(pitch=42))[INSTRUMENT]) == [DRUMS]  # F sharp, or a closed hi-hat
    assert ones(rule.allowed(row(pitch=43))[INSTRUMENT]) == [0, 25, 33, 48, DRUMS]


def chords_rules(text, parts=BAND, first_bar=0):
    return in_chords(parse_chords(text), np.array([96, 96, 72]), first_bar, parts)


def heard(tokens, rules):
    return {pitch % 12 for pitch in ones(rules[0].allowed(tokens)[PITCH])}


def test_chords_bind_pitches_where_the_place_is_known():
    rules = chords_rules("C | F G")
    two = torch.cat([row(bar=0, instrument=0), row(bar=1, position=50, instrument=0)], dim=1)
    mask = rules[0].allowed(two)[PITCH][0]
    assert {p % 12 for p in ones(mask[:1])} == {0, 4, 7}
    assert {p % 12 for p in ones(mask[1:])} == {7, 11, 2}
    assert heard(row(bar=1, position=47, instrument=0), rules) == {5, 9, 0}
    assert heard(row(bar=1, instrument=0), rules) == {0, 2, 5, 7, 9, 11}
    assert heard(row(instrument=0), rules) == {0, 2, 4, 5, 7, 9, 11}
    assert heard(row(bar=0, position=0, instrument=DRUMS), rules) == set(range(12))


def test_chords_repeat_and_follow_the_bars_of_the_piece_and_their_lengths():
    assert heard(row(bar=0, position=0, instrument=0), chords_rules("C | F G", first_bar=5)) == {5, 9, 0}
    rules = chords_rules("C | F G")
    assert heard(row(bar=3, position=35, instrument=0), rules) == {5, 9, 0}  # a bar of 72 steps
    assert heard(row(bar=3, position=36, instrument=0), rules) == {7, 11, 2}


def test_chords_bind_positions_where_the_pitch_is_known():
    rule = chords_rules("C | F G")[1]
    assert ones(rule.allowed(row(bar=1, pitch=71, instrument=0))[POSITION]) == list(range(48, 192))
    assert ones(rule.allowed(row(bar=1, pitch=71, instrument=DRUMS))[POSITION]) == list(range(192))
    assert ones(rule.allowed(row(bar=1, instrument=0))[POSITION]) == list(range(192))
    assert ones(rule.allowed(row(pitch=61, instrument=0))[POSITION]) == []  # no chord has it: the rule yields


def test_positions_stay_inside_the_bar():
    rule = within_bars(np.array([72, 96]))
    mask = rule.allowed(hidden(2, batch=3))[POSITION]
    assert mask.shape == (3, 2, 192)
    assert mask.sum(-1).tolist() == [[72, 96]] * 3
    assert bool(mask[0, 0, 71])


def test_bars_are_counted_until_a_hidden_step():
    tokens = hidden(5)
    tokens[0, :, BAR] = torch.tensor([1, 0, 2, SIZES[BAR], 1])
    assert absolute_bars(tokens).tolist() == [[1, 1, 3, -1, -1]]


def test_preferred_classes_are_so_much_likelier_but_not_for_drums():
    logits = tuple(torch.zeros(1, 1, size) for size in SIZES)
    change = prefer_classes(C_MAJOR, bonus=2.0)
    changed = change(row(instrument=0), logits)[PITCH][0, 0]
    assert changed[60] - changed[61] == pytest.approx(2.0)
    assert change(row(instrument=DRUMS), logits)[PITCH].abs().max() == 0
    drum_or_not = list(logits)
    drum_or_not[INSTRUMENT] = torch.full((1, 1, 129), -100.0)
    drum_or_not[INSTRUMENT][0, 0, [0, DRUMS]] = 0.0
    assert change(row(), tuple(drum_or_not))[PITCH][0, 0, 60] == pytest.approx(1.0)


def heard_key(change):
    """The key of what a network without any preference would write under a change of logits."""
    logits = change(row(instrument=0), tuple(torch.zeros(1, 1, size) for size in SIZES))
    return detect_key(np.arange(SIZES[PITCH]), torch.softmax(logits[PITCH], -1)[0, 0].double().numpy())


def test_a_preferred_key_is_heard_and_a_preferred_scale_need_not_be():
    assert all(heard_key(prefer_key(key, bonus=0.4)) == key for key in KEYS)
    by_scale = [heard_key(prefer_classes(key.scale, bonus=2.0)) == key for key in KEYS]
    assert sum(by_scale) == 12  # a scale is that of a major and of a minor key, which cannot both be heard


@pytest.mark.parametrize("total", [2.0, 12.0, 60.0])
def test_a_tilt_makes_the_expected_bars_what_was_asked(total):
    logits = blind(3, 32)
    tokens = hidden(32)
    tokens[0, :5, BAR] = torch.tensor([0, 0, 1, 0, 0])
    drawn = np.arange(32) >= 5
    tilted = aim_at_bars(total, drawn)(tokens, logits)[BAR]
    expected = (torch.softmax(tilted, -1) @ torch.arange(8.0))[0, 5:].sum()
    assert float(expected) == pytest.approx(total - 1, abs=1e-3)
    torch.testing.assert_close(tilted[0, :5], logits[BAR][0, :5])
    # every later bar gains alike: gaps are as long as the network has them
    change = (tilted - logits[BAR])[0, 5:]
    assert float(change[:, 1:].diff(dim=-1).abs().max()) < 1e-4
    assert float((change[:, 1] - change[0, 1]).abs().max()) < 1e-4


def test_a_tilt_beyond_reach_goes_as_far_as_it_can():
    tilted = aim_at_bars(1000.0, np.ones(4, np.bool_))(hidden(4), blind(0, 4))[BAR]
    assert float(torch.softmax(tilted, -1)[..., 0].max()) < 1e-6
    tilted = aim_at_bars(0.0, np.ones(4, np.bool_))(hidden(4), blind(0, 4))[BAR]
    assert (tilted.argmax(-1) == 0).all()


def test_later_rules_yield_where_nothing_would_be_left():
    rules = (in_compass(QUARTET), in_scale(frozenset({1}), QUARTET), in_scale(frozenset({2}), QUARTET))
    logits = constraint_of(rules)(row(instrument=42), blind(0, 1))[PITCH]
    allowed = ones(torch.isfinite(logits))
    assert allowed == [pitch for pitch in range(36, 82) if pitch % 12 == 1]
    given = constraint_of((only_parts(QUARTET), in_compass(QUARTET)))(row(pitch=10), blind(0, 1))
    assert torch.isfinite(given[INSTRUMENT]).sum() == 3  # nobody has the pitch, so anybody asked may have it


def test_what_breaks_a_rule_is_found_and_only_what_may_be_drawn_again():
    rules = rules_for(parts=QUARTET, classes=C_MAJOR)
    good = row(bar=0, position=0, pitch=60, duration=3, velocity=3, instrument=40, part_number=1)
    free = torch.ones_like(good, dtype=torch.bool)
    assert not broken(rules, good, free).any()
    for changed, field in (
        ({"pitch": 61}, PITCH),
        ({"pitch": 40}, PITCH),
        ({"part_number": 2}, PART_NUMBER),
        ({"instrument": 41}, PART_NUMBER),
    ):
        names = {
            "bar": 0,
            "position": 0,
            "pitch": 60,
            "duration": 3,
            "velocity": 3,
            "instrument": 40,
            "part_number": 1,
        }
        bad = row(**(names | changed))
        assert broken(rules, bad, free).nonzero().tolist() == [[0, 0, field]]
        assert not broken(rules, bad, ~free).any()


@settings(max_examples=4)
@given(st.integers(0, 10_000))
def test_every_rule_holds_in_samples_of_a_network_that_knows_nothing(seed):
    track = parse_chords("C | Am7 F")
    bar_steps = np.array([96])
    rules = (
        *rules_for(parts=BAND, classes=C_MAJOR, chords=track, bar_steps=bar_steps),
        within_bars(np.full(24, 96)),
    )
    drawn = np.ones(24, np.bool_)
    constrain = constraint_of(rules, after=[use_every_part(BAND, drawn)])
    tokens = drawn_within(sampler(seed, constrain), hidden(24, batch=2), rules, sizes=SIZES)
    assert not broken(rules, tokens, torch.ones_like(tokens, dtype=torch.bool)).any()
    bars = absolute_bars(tokens)
    specs = {(part.instrument, part.part_number): part for part in BAND}
    for piece, bar_numbers in zip(tokens.tolist(), bars.tolist(), strict=True):
        assert {(note[INSTRUMENT], note[PART_NUMBER]) for note in piece} == set(specs)
        for note, bar in zip(piece, bar_numbers, strict=True):
            part = specs[note[INSTRUMENT], note[PART_NUMBER]]
            assert part.low <= note[PITCH] <= part.high
            assert note[POSITION] < 96
            if part.instrument != DRUMS:
                assert note[PITCH] % 12 in track.chord_at(bar, note[POSITION] / 96).classes & C_MAJOR


def test_disagreements_within_a_step_do_happen_and_take_few_rounds():
    rules = rules_for(parts=QUARTET, classes=C_MAJOR)
    constrain = constraint_of(rules)
    once = sampler(1, constrain, steps=1)(hidden(64), 0)
    assert broken(rules, once, torch.ones_like(once, dtype=torch.bool)).any()
    asked = []
    sample = sampler(1, constrain, steps=1)

    def counting(tokens, number):
        asked.append(number)
        return sample(tokens, number)

    drawn_within(counting, hidden(64), rules, sizes=SIZES)
    assert len(asked) <= 4 < MOST_ROUNDS


def test_known_tokens_stay_although_they_break_rules():
    tokens = hidden(6)
    tokens[0, 0] = torch.tensor([0, 3, 1, 2, 4, 77, 3])
    rules = rules_for(parts=QUARTET, classes=C_MAJOR)
    done = drawn_within(sampler(5, constraint_of(rules)), tokens, rules, sizes=SIZES)
    assert done[0, 0].tolist() == tokens[0, 0].tolist()
    assert set(done[0, 1:, INSTRUMENT].tolist()) <= {40, 41, 42}


@settings(max_examples=8)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_every_part_plays_even_with_as_many_notes_as_parts(seed, steps):
    parts = parse_ensemble("chamber orchestra")
    count = len(parts)
    constrain = constraint_of([only_parts(parts)], after=[use_every_part(parts, np.arange(count + 3) >= 3)])
    tokens = hidden(count + 3)
    tokens[0, :3] = torch.tensor([0, 0, 60, 5, 5, 73, 0])  # known notes of the flute do not count
    done = sampler(seed, constrain, steps=steps)(tokens, 0)
    played = {(int(note[INSTRUMENT]), int(note[PART_NUMBER])) for note in done[0, 3:]}
    assert played == {(part.instrument, part.part_number) for part in parts}


def test_parts_that_have_played_before_are_not_forced():
    drawn = np.ones(2, np.bool_)
    change = use_every_part(QUARTET, drawn, used=[(40, 0), (40, 1), (41, 0)])
    before = blind(0, 2)
    after = change(hidden(2), before)
    forced = torch.isinf(after[INSTRUMENT]).any(-1)[0]
    assert forced.sum() == 1
    cello = (
        torch.log_softmax(before[INSTRUMENT], -1)[0, :, 42]
        + torch.log_softmax(before[PART_NUMBER], -1)[0, :, 0]
    )
    assert bool(forced[cello.argmax()])
    everybody = use_every_part(QUARTET, drawn, used=[(p.instrument, p.part_number) for p in QUARTET])
    assert all(torch.equal(x, y) for x, y in zip(everybody(hidden(2), before), before, strict=True))


def test_a_constraint_of_a_batch_is_that_of_each_alone():
    drawn = np.ones(16, np.bool_)
    rules = rules_for(parts=BAND, chords=parse_chords("C | G"), bar_steps=np.array([96]))
    constrain = constraint_of(
        rules,
        before=[prefer_classes(C_MAJOR, bonus=1.0), aim_at_bars(4.0, drawn)],
        after=[use_every_part(BAND, drawn)],
    )
    tokens = sampler(0, None)(hidden(16, batch=3), 0)
    tokens[:, ::2, PITCH] = SIZES[PITCH]
    tokens[:, 1::3, INSTRUMENT] = SIZES[INSTRUMENT]
    logits = blind(1, 16, 3)
    together = constrain(tokens, logits)
    for index in range(3):
        alone = constrain(tokens[index : index + 1], tuple(values[index : index + 1] for values in logits))
        for whole, part in zip(together, alone, strict=True):
            torch.testing.assert_close(whole[index : index + 1], part)


def test_a_narrow_compass_is_kept():
    drone = [PartSpec("drone", 109, 0, (60, 60))]
    rules = rules_for(parts=drone, classes=C_MAJOR)
    done = drawn_within(sampler(2, constraint_of(rules)), hidden(5), rules, sizes=SIZES)
    assert done[0, :, PITCH].tolist() == [60] * 5


def test_triplets_are_likelier_where_no_sixteenth_begins() -> None:
    logits = blind(3, 2)
    changed = prefer_triplets(1.5)(row(), logits)
    more = changed[POSITION] - logits[POSITION]
    places = {place for place in range(24) if more[0, 0, place] > 0}
    thirds = {round(24 * number / 6) for number in range(6)}
    assert places == thirds - {round(24 * number / 4) for number in range(4)} == {4, 8, 16, 20}
    assert torch.allclose(more, (1.5 * (more > 0)).expand_as(more), atol=1e-6)
    assert torch.allclose(more[..., 24:], more[..., :-24], atol=1e-6)
    assert all(torch.equal(changed[field], logits[field]) for field in range(len(SIZES)) if field != POSITION)
