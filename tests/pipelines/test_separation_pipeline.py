"""The separator: alternatives, seeds, batches, windows, known parts, rules, files; and what is said of bad input."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
import torch
from separation_scores import mixture, plain_notes, score_of, separator
from symusic.core import ControlChangeTick, TextMetaTick

from ondes.errors import UserError
from ondes.pipelines.separation import SeparationPipeline
from ondes.pipelines.separation_constraints import HAND_SEMITONES, PartRules, WindowRules, heights
from ondes.pipelines.separation_parts import Labels, proposed
from ondes.pipelines.separation_windows import settled_end, spans
from ondes.representations.ensembles import PartSpec, parse_ensemble
from ondes.representations.note_sequence import DRUMS

QUARTET = parse_ensemble("string quartet")


def chords(bars=6, pitches=(76, 67, 60, 48)):
    """Four notes at once, eight times a bar."""
    return mixture(
        [
            (step * 240, 240, pitch + step % 3, 60 + 5 * voice + step % 4)
            for step in range(8 * bars)
            for voice, pitch in enumerate(pitches)
        ]
    )


def separated(score, model=None, **choices):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return (model or separator())(score, **choices)


@pytest.mark.parametrize("notes", [1, 15, 16, 17, 23, 24, 25, 100])
def test_windows_cover_every_note_and_share_their_overlap(notes):
    found = spans(notes, 16, 8)
    assert found[0][0] == 0
    assert found[-1][1] == notes
    assert all(end - start == min(16, notes) for start, end in found)
    assert all(earlier[1] - later[0] >= 8 for earlier, later in itertools.pairwise(found))


def test_a_seed_is_the_same_music_and_alternatives_are_those_of_the_next_seeds():
    score, model = score_of(chords(2)), separator()
    many = separated(score, model, into=QUARTET, n=3, seed=5, temperature=1.0)
    again = separated(score, model, into=QUARTET, n=3, seed=5, temperature=1.0)
    alone = separated(score, model, into=QUARTET, seed=7, temperature=1.0)
    assert np.array_equal(many.labels, again.labels)
    assert np.array_equal(many.labels[2], alone.labels[0])
    assert not np.array_equal(many.labels[1], many.labels[2])


def test_a_list_of_scores_is_each_alone_and_progress_ends_at_all_notes():
    scores, model, seen = [score_of(chords(1)), score_of(chords(2))], separator(), []
    both = separated(scores, model, into=QUARTET, progress=lambda done, total: seen.append((done, total)))
    for one, score in zip(both, scores, strict=True):
        assert np.array_equal(one.labels, separated(score, model, into=QUARTET).labels)
    assert seen[-1] == (96, 96)
    assert seen == sorted(seen)


def test_what_progress_raises_stops_the_work():
    def stop(_done, _total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        separated(score_of(chords(1)), into=QUARTET, progress=stop)


def test_saved_and_loaded_separates_alike(tmp_path):
    model = separator(calibration=1.5)
    model.save_pretrained(tmp_path / "saved")
    loaded = SeparationPipeline.from_pretrained(tmp_path / "saved")
    assert loaded.model_hash == model.model_hash
    assert loaded.classifier is None
    score = score_of(chords(1))
    ours, theirs = (separated(score, one, into=QUARTET, n=2) for one in (model, loaded))
    assert np.array_equal(ours.labels, theirs.labels)
    assert np.array_equal(ours.confidences, theirs.confidences)


def test_damaged_weights_are_refused(tmp_path):
    separator().save_pretrained(tmp_path / "saved")
    (file,) = (tmp_path / "saved" / "network").glob("*.safetensors")
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(UserError, match="is damaged"):
        SeparationPipeline.from_pretrained(tmp_path / "saved")


def test_a_classifier_of_its_own_is_used_saved_and_loaded(tmp_path):
    score = score_of(chords(1))
    with_both = SeparationPipeline(
        separator(0).network, separator(3).network, window_notes=16, overlap_notes=8
    )
    only = separated(score, separator(3), into=QUARTET, method="classifier")
    assert np.array_equal(separated(score, with_both, into=QUARTET, method="classifier").labels, only.labels)
    with_both.save_pretrained(tmp_path / "both")
    loaded = SeparationPipeline.from_pretrained(tmp_path / "both")
    assert np.array_equal(separated(score, loaded, into=QUARTET, method="classifier").labels, only.labels)


@pytest.mark.parametrize(
    ("choices", "method"),
    [
        ({}, "classifier"),
        ({"n": 2}, "diffusion"),
        # Records hold the steps whether they were asked for or not: a replay must choose as the first time.
        ({"steps": 8}, "classifier"),
        ({"temperature": 0.0}, "diffusion"),
        ({"given": score_of(mixture([(0, 240, 76, 60)], program=40))}, "diffusion"),
    ],
)
def test_one_answer_without_known_parts_is_the_classifiers(choices, method):
    both = SeparationPipeline(separator(0).network, separator(3).network, window_notes=16, overlap_notes=8)
    score = score_of(chords(1))
    made = {
        name: both(score, into=QUARTET, method=name, **choices)
        for name in ("auto", "diffusion", "classifier")
    }
    labels = {name: one.labels.tolist() for name, one in made.items()}
    assert labels["auto"] == labels[method]
    assert labels["diffusion"] != labels["classifier"]


def test_diffusion_that_only_holds_on_to_the_classifier_is_the_classifier():
    score = score_of(chords(1))
    nets = separator(0).network, separator(3).network
    alone, tied = (
        SeparationPipeline(*nets, window_notes=64, overlap_notes=32, anchor=anchor) for anchor in (None, 1.0)
    )
    labels = {
        (name, method): model(score, into=QUARTET, method=method).labels.tolist()
        for name, model in (("alone", alone), ("tied", tied))
        for method in ("diffusion", "classifier")
    }
    assert labels["tied", "diffusion"] == labels["tied", "classifier"] == labels["alone", "classifier"]
    assert labels["alone", "diffusion"] != labels["alone", "classifier"]
    # What is known is the network's alone.
    given = score_of(mixture([(0, 240, 76, 60)], program=40))
    both = [
        model(score, into=QUARTET, given=given, method="diffusion").labels.tolist() for model in (alone, tied)
    ]
    assert both[0] == both[1]


def test_a_model_without_a_classifier_takes_diffusion():
    score = score_of(chords(1))
    made = [separator(0)(score, into=QUARTET, method=name).labels.tolist() for name in ("auto", "diffusion")]
    assert made[0] == made[1]


def test_known_parts_stay_and_the_others_are_completed():
    score = score_of(chords(2))
    known = score_of(
        mixture(
            [(step * 240, 240, 76 + step % 3, 60 + step % 4) for step in range(16)],
            program=40,
            name="violin 1",
        )
    )
    made = separated(score, into=QUARTET, given=known)
    top = made.notes.pitch >= 76
    assert (made.labels[0, top] == 0).all()
    assert (made.confidences[0, top] == 1).all()
    assert (made.confidences[0, ~top] < 1).all()
    assert plain_notes(made.scores[0]) == plain_notes(score)


def test_known_notes_that_are_not_there_are_counted():
    known = score_of(mixture([(0, 240, 1, 60), (0, 240, 76, 60)], program=40))
    with pytest.warns(UserWarning, match="1 of 2 known notes are not in the score"):
        separator()(score_of(chords(1)), into=QUARTET, given=known)


def test_known_parts_that_were_not_asked_for_are_added():
    known = score_of(mixture([(0, 240, 76, 60)], program=73, name="Flute"))
    made = separated(score_of(chords(1)), into=QUARTET, given=known)
    assert [part.name for part in made.parts][-1] == "Flute"
    assert (made.labels[0] == 4).sum() >= 1


def test_tracks_can_be_kept_and_the_rest_separated():
    score = score_of(
        mixture([(step * 240, 240, 80, 60 + step) for step in range(8)], program=73, name="Flute"),
        mixture([(step * 240, 240, 50, 60 + step) for step in range(8)], program=0, name="Rest"),
    )
    made = separated(score, into="flute, viola, cello", keep=True)
    assert (made.labels[0, made.notes.pitch == 80] == 0).all()
    assert (made.confidences[0, made.notes.pitch == 80] == 1).all()
    kept = separated(score, keep=True)
    assert [part.name for part in kept.parts] == ["Flute", "Rest"]
    assert kept.labels[0].tolist() == [0] * 8 + [1] * 8


def test_drums_are_what_is_on_their_channel():
    score = score_of(chords(1), mixture([(0, 60, 36, 99), (240, 60, 38, 99)], is_drum=True))
    made = separated(score, into="band")
    drums = [part.instrument for part in made.parts].index(DRUMS)
    assert np.array_equal(made.labels[0] == drums, made.notes.is_drum)
    with pytest.warns(
        UserWarning, match=r"2 notes are on the drum channel \(10\) and no drums were asked for"
    ):
        made = separator()(score, into=QUARTET)
    assert [part.name for part in made.parts][-1] == "drums"
    with pytest.warns(
        UserWarning, match="drums were asked for and no note of the score is on the drum channel"
    ):
        separator()(score_of(chords(1)), into="band")


def test_pedals_go_where_their_notes_go_and_nowhere_else():
    held, plain = chords(1, (60,)), chords(1, (70,))
    for time, value in ((0, 127), (480, 0)):
        held.controls.append(ControlChangeTick(time, 64, value))
    held.lyrics.append(TextMetaTick(0, "la"))
    made = separated(score_of(held, plain), into="piano")
    (score,) = made.scores
    assert [track.name for track in score.tracks] == ["piano", "piano"]
    for track in score.tracks:
        pedalled = any(one.number == 64 for one in track.controls)
        assert {note.pitch // 10 for note in track.notes} == ({6} if pedalled else {7})
        assert len(track.lyrics) == int(pedalled)


def test_notes_of_one_pitch_at_once_keep_their_ends():
    score = score_of(mixture([(0, 480, 60, 10), (100, 50, 60, 20), (480, 10, 60, 30)]))
    (made,) = separated(score, into="violin").scores
    assert [[(note.time, note.duration) for note in track.notes] for track in made.tracks] == [
        [(0, 480), (480, 10)],
        [(100, 50)],
    ]


def test_doubling_adds_parts_and_takes_none_away():
    model = separator(doubling_probability=0.2)
    plain = separated(score_of(chords(1)), model, into=QUARTET)
    also = separated(score_of(chords(1)), model, into=QUARTET, allow_doubling=True)
    assert np.array_equal(plain.labels, also.labels)
    assert not plain.doubled.any()
    assert also.doubled.any()
    extra = int(also.doubled[0].sum())
    assert also.scores[0].note_num() == plain.scores[0].note_num() + extra
    assert not np.take_along_axis(also.doubled, also.labels[..., None], 2).any()


def sounding(made, part):
    """Pitches of a part by onset."""
    own = made.labels[0] == part
    return [made.notes.pitch[own & (made.notes.time == time)].tolist() for time in np.unique(made.notes.time)]


@pytest.mark.parametrize(
    ("into", "pitches"), [(QUARTET, (76, 67, 60, 48)), ("violin, viola, cello", (76, 60, 48))]
)
def test_one_note_at_once_without_crossing_is_the_order_of_pitches(into, pitches):
    made = separated(score_of(chords(3, pitches)), into=into, polyphony=1, no_crossing=True)
    shape = -1, len(pitches)
    order = np.argsort(-made.notes.pitch.reshape(shape), axis=1)
    assert np.array_equal(np.argsort(made.labels[0].reshape(shape), axis=1), order)


def test_a_window_settles_no_part_of_a_chord():
    onset = np.repeat(np.arange(20.0), 3)
    assert settled_end(onset, 32, 16) == 27
    assert settled_end(onset, 31, 16) == 27
    assert settled_end(np.zeros(60), 32, 16) == 32


def test_parts_keep_to_their_compass_if_they_can():
    made = separated(score_of(chords(3, (100, 67, 45, 36))), into=QUARTET, ranges=True)
    for pitch, label in zip(made.notes.pitch.tolist(), made.labels[0].tolist(), strict=True):
        assert QUARTET[label].low <= pitch <= QUARTET[label].high


@pytest.mark.slow
def test_hands_hold_what_they_can_reach():
    made = separated(score_of(chords(3, (84, 80, 62, 40, 36))), into="piano", playable_hands=True)
    assert [part.name for part in made.parts] == ["piano"]
    labels = Labels.of(made.parts)
    assert [part.name for part in labels.parts] == ["piano, right hand", "piano, left hand"]
    rules = WindowRules(
        np.zeros(3), np.ones(3), np.array([60, 60 + HAND_SEMITONES, 61 + HAND_SEMITONES]), np.zeros(0, np.int64),
        labels.parts, labels.owner, PartRules(playable_hands=True),
    )  # fmt: skip
    labelled = np.array([0, -1, -1])
    assert rules.in_the_way(labelled, 1, 0).tolist() == []
    assert rules.in_the_way(labelled, 2, 0).tolist() == [0]
    assert rules.in_the_way(labelled, 2, 1).tolist() == []


def test_six_fingers_are_too_many():
    pitch = np.array([60, 62, 64, 65, 67, 69])
    labels = Labels.of(parse_ensemble("piano"))
    rules = WindowRules(
        np.zeros(6), np.ones(6), pitch, np.zeros(0, np.int64), labels.parts, labels.owner,
        PartRules(playable_hands=True),
    )  # fmt: skip
    assert len(rules.in_the_way(np.array([0, 0, 0, 0, 0, -1]), 5, 0)) == 1
    assert len(rules.in_the_way(np.array([0, 0, 0, 0, 1, -1]), 5, 0)) == 0


def test_what_still_sounds_from_before_cannot_move():
    rules = WindowRules(
        np.array([0.0, 1.0]), np.array([4.0, 2.0]), np.array([60, 60]), np.array([0]), QUARTET, np.arange(4),
        PartRules(),
    )  # fmt: skip
    assert rules.in_the_way(np.array([-1]), 0, 0).tolist() == [-1]
    assert rules.in_the_way(np.array([-1]), 0, 1).tolist() == []


def test_more_notes_than_parts_can_play_are_explained_and_kept():
    with pytest.warns(
        UserWarning, match=r"4 notes sound at once in bar 1, and 2 parts play 2; the rules are relaxed"
    ):
        made = separator()(score_of(chords(1)), into="violin, cello", polyphony=1)
    assert made.scores[0].note_num() == 32


def test_heights_follow_the_compass_and_the_number():
    parts = parse_ensemble("cello, violin 2, violin 1, double bass")
    assert heights(parts).tolist() == [2, 1, 0, 3]


def test_proposals_count_parts_join_hands_and_never_are_empty():
    counts = np.zeros((129, 5))
    counts[:, 0] = 1
    counts[40, :3] = 0.1, 0.2, 0.7
    counts[0, :3] = 0.1, 0.2, 0.7
    counts[60, :2] = 0.6, 0.4
    assert [part.name for part in proposed(counts)] == ["violin 1", "violin 2", "piano"]
    nothing = np.tile([0.9, 0.1, 0, 0, 0], (129, 1))
    nothing[42, :2] = 0.6, 0.4
    assert [part.name for part in proposed(nothing)] == ["cello"]


def test_a_keyboard_has_two_hands_but_among_drums_and_others_of_its_kind():
    def names(text):
        return [part.name for part in Labels.of(parse_ensemble(text)).parts]

    assert names("voice, piano") == ["voice", "piano, right hand", "piano, left hand"]
    assert names("jazz trio") == ["piano", "acoustic bass"]
    assert names("piano 1, piano 2") == ["piano 1", "piano 2"]
    assert Labels.of(parse_ensemble("voice, piano")).owner.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"into": "violn"}, "no instrument or ensemble: 'violn'"),
        ({"into": ()}, "nobody plays"),
        ({"into": (PartSpec("drums", DRUMS),)}, "nobody plays the 32 notes"),
        ({"n": 0}, "0 alternatives"),
        ({"steps": 0}, "0 steps"),
        ({"method": "clasifier"}, "did you mean 'classifier'"),
        ({"temperature": -1}, "0 to 5 is allowed"),
        ({"into": "violin, cello", "polyphony": (1, 1, 1)}, "3 numbers of notes at once for 2 parts"),
        ({"polyphony": -1, "into": "violin"}, "-1 notes at once"),
    ],
)
def test_refusals(choices, message):
    with pytest.raises(UserError, match=message):
        separated(score_of(chords(1)), **choices)


def test_a_score_without_notes_is_refused():
    with pytest.raises(UserError, match="has no notes"):
        separated(score_of(mixture([])), into=QUARTET)


def test_a_network_that_answers_nonsense_is_found_out():
    model = separator()
    torch.nn.init.constant_(model.network.leave.weight, torch.nan)
    with pytest.raises(FloatingPointError, match="not a number"):
        separated(score_of(chords(1)), model, into=QUARTET)


def sounding_together(made, part):
    """Most notes of a part, doubled ones included, that sound at one onset."""
    own = (made.labels[0] == part) | made.doubled[0][:, part]
    time, end = made.notes.time[own], (made.notes.time + made.notes.duration)[own]
    return max(((time <= one) & (end > one)).sum() for one in time) if own.any() else 0


@pytest.mark.parametrize("into", [QUARTET, "violin, piano"])
def test_added_parts_keep_the_rules(into):
    model = separator(doubling_probability=0.0)
    score = score_of(chords(2, (79, 67, 55)))
    free = separated(score, model, into=into, allow_doubling=True)
    assert free.doubled[0].sum() == 48 * (len(free.parts) - 1)  # nothing forbids it: all play everything
    ruled = separated(
        score,
        model,
        into=into,
        allow_doubling=True,
        ranges=True,
        polyphony=2,
        no_crossing=True,
        playable_hands=True,
    )
    assert 0 < ruled.doubled[0].sum() < free.doubled[0].sum()
    heights_ = heights(ruled.parts)
    for index, part in enumerate(ruled.parts):
        own = ruled.doubled[0][:, index]
        assert (ruled.notes.pitch[own] >= part.low).all()
        assert (ruled.notes.pitch[own] <= part.high).all()
        assert sounding_together(ruled, index) <= 2
        for time in np.unique(ruled.notes.time):
            now = ruled.notes.time == time
            mine = ruled.notes.pitch[now & ((ruled.labels[0] == index) | own)]
            for other in np.flatnonzero(heights_ > heights_[index]):
                theirs = ruled.notes.pitch[now & ((ruled.labels[0] == other) | ruled.doubled[0][:, other])]
                assert not len(mine) or not len(theirs) or mine.min() >= theirs.max()


def test_one_part_never_doubles_a_pitch_that_it_has():
    model = separator(doubling_probability=0.0)
    made = separated(
        score_of(mixture([(0, 480, 60, 10), (240, 480, 60, 20)])), model, into=QUARTET, allow_doubling=True
    )
    plays = (made.labels[0][:, None] == np.arange(4)) | made.doubled[0]
    assert (plays.sum(0) == 1).all()
