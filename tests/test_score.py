"""Scores: what the reader makes of every kind of input, against closed forms and other programs."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import pretty_midi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symusic import core

from midi_bytes import (
    bend,
    chunk,
    control,
    in_order,
    meta,
    midi,
    note,
    off,
    on,
    program,
    tempo,
    track,
    varlen,
)
from ondes import midi_file, midi_tracks
from ondes.controls import Controls, Steps, pedalled_ends
from ondes.errors import UserError
from ondes.notes import Notes, Part
from ondes.score import TempoMap, notes_to_score, read_score, read_score_with_report, to_notes

SCALE = midi(track(in_order((0, tempo(500_000)), *(note(480 * i, 480 * i + 240, 60 + i) for i in range(8)))))


def rows(notes: Notes) -> list[tuple[float, float, int, int, int, bool]]:
    """Onset, release as written, pitch, velocity, program and drum of each note, times to 10 microseconds."""
    return [
        (round(on_s, 5), round(off_s, 5), int(pitch), int(velocity), int(number), bool(drum))
        for on_s, off_s, pitch, velocity, number, drum in zip(
            notes.onset_s,
            notes.key_release_s,
            notes.pitch,
            notes.velocity,
            notes.program,
            notes.is_drum,
            strict=True,
        )
    ]


def notes_of(*events: Any) -> Notes:
    """The notes of a file with one track of these events, at 480 ticks in half a second."""
    return to_notes(read_score(midi(track(in_order(*events)))))


def test_every_kind_of_source_gives_the_same_notes(tmp_path: Path) -> None:
    path = tmp_path / "scale.mid"
    path.write_bytes(SCALE)
    expected = rows(to_notes(read_score(SCALE)))
    assert expected[1] == (0.5, 0.75, 61, 64, 0, False)
    score = core.ScoreTick.from_file(str(path))
    sources = [
        path,
        str(path),
        bytearray(SCALE),
        io.BytesIO(SCALE),
        score,
        score.to("second"),
        score.to("quarter"),
    ]
    for source in [*sources, pretty_midi.PrettyMIDI(str(path)), path.open("rb")]:
        assert rows(to_notes(read_score(source))) == expected
        if isinstance(source, io.IOBase):
            source.close()


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_ordinary_files_read_as_symusic_and_pretty_midi_read_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    score = core.ScoreTick(int(rng.integers(24, 1000)))
    score.tempos.append(core.TempoTick(0, int(rng.integers(200_000, 900_000))))
    score.tempos.append(core.TempoTick(int(rng.integers(1, 3000)), int(rng.integers(200_000, 900_000))))
    for index in range(int(rng.integers(1, 5))):
        is_drum = index == 2
        part = core.TrackTick(f"part {index}", 0 if is_drum else int(rng.integers(128)), is_drum)
        for pitch in rng.choice(128, 20, replace=False).tolist():
            start, length = rng.integers(0, 3000), rng.integers(1, 500)
            part.notes.append(core.NoteTick(int(start), int(length), pitch, int(rng.integers(1, 128))))
        score.tracks.append(part)
    data = score.dumps_midi()
    ours = rows(to_notes(read_score(data)))
    assert sorted(ours) == sorted(rows(to_notes(core.ScoreTick.from_midi(data))))
    theirs = pretty_midi.PrettyMIDI(io.BytesIO(data))
    expected = [
        (n.start, n.end, n.pitch, n.velocity, i.program, i.is_drum)
        for i in theirs.instruments
        for n in i.notes
    ]
    table, expected_table = (
        np.array(sorted(row[::-1] for row in found), float) for found in (ours, expected)
    )
    np.testing.assert_allclose(table, expected_table, atol=1.1e-5)


# Files


def test_each_note_gets_the_program_in_force_at_its_onset() -> None:
    notes = notes_of(
        (0, program(5)),
        note(0, 200, 60),
        (100, program(6)),
        note(200, 300, 62),
        (400, program(5)),
        note(400, 500, 64),
    )
    assert [(row[2], row[4]) for row in rows(notes)] == [(60, 5), (62, 6), (64, 5)]
    assert [(part.name, part.program) for part in notes.parts] == [("Part 1", 5), ("Part 2", 6)]


def test_a_program_set_in_another_track_counts_for_tracks_without_one() -> None:
    score = read_score(
        midi(track([(0, program(40)), (50, program(41))]), track(in_order(note(0, 9, 60), note(60, 70, 60))))
    )
    assert [part.program for part in to_notes(score).parts] == [40, 41]


def test_channel_10_is_drums_whatever_its_program() -> None:
    notes = notes_of(
        (0, program(16, 9)), note(0, 100, 36, channel=9), (50, program(25, 9)), note(60, 70, 38, channel=9)
    )
    assert notes.is_drum.all()
    assert notes.program.tolist() == [0, 0]
    assert len(notes.parts) == 1


def test_ports_keep_channels_apart() -> None:
    first = track(in_order((0, meta(0x21, b"\0")), (0, program(7)), (0, control(7, 50)), note(0, 100, 60)))
    second = track(in_order((0, meta(0x21, b"\1")), note(0, 100, 62)))
    parts = to_notes(read_score(midi(first, second))).parts
    assert [(part.program, round(float(part.controls.volume(0.0)))) for part in parts] == [(7, 50), (0, 100)]


def test_controllers_of_a_track_without_notes_reach_the_notes_of_its_channel() -> None:
    conductor = track(
        [(0, control(7, 50)), (480, bend(4096)), (960, control(64, 127)), (1440, control(64, 0))]
    )
    notes = to_notes(
        read_score(midi(conductor, track(note(0, 1000, 60)), track(note(0, 1000, 61, channel=1))))
    )
    mine, other = notes.parts
    assert mine.controls.gain_db(0.0) == pytest.approx(40 * np.log10(0.5))
    assert mine.controls.bend_semitones([0.4, 0.5]).tolist() == [0, 1]
    assert notes.release_s.tolist() == [pytest.approx(1.5), pytest.approx(1000 / 960)]
    assert other.controls.gain_db(0.0) == 0


def test_a_pedal_in_one_hand_holds_the_other_hand_of_the_same_piano() -> None:
    right = track(in_order((0, control(64, 127)), note(0, 100, 72), (960, control(64, 0))))
    left = track(note(0, 100, 48))
    assert to_notes(read_score(midi(right, left))).release_s.tolist() == [pytest.approx(1.0)] * 2


def test_a_track_that_reuses_a_channel_for_another_program_keeps_its_controllers_to_itself() -> None:
    one = track(in_order((0, program(10)), (0, control(7, 30)), note(0, 100, 72)))
    two = track(in_order((0, program(20)), note(0, 100, 48)))
    parts = to_notes(read_score(midi(one, two))).parts
    assert [float(part.controls.volume(0.0)) for part in parts] == [30, 100]


def test_controllers_hold_across_a_change_of_program() -> None:
    notes = notes_of(
        (0, control(64, 127)), note(0, 100, 60), (200, program(9)), note(200, 300, 62), (960, control(64, 0))
    )
    assert notes.release_s.tolist() == [pytest.approx(1.0)] * 2


def test_overlapping_notes_of_one_pitch_end_in_the_order_they_began() -> None:
    assert [row[:2] for row in rows(notes_of(note(0, 960, 60), note(480, 1440, 60)))] == [(0, 1), (0.5, 1.5)]


def test_notes_of_no_length_last_a_millisecond() -> None:
    score, report = read_score_with_report(midi(track(note(480, 480, 60))))
    notes = to_notes(score)
    assert notes.key_release_s.tolist() == [0.5]
    assert notes.release_s.tolist() == [0.501]
    assert report.counts == {"notes of no length given 1 ms": 1}


def test_a_note_on_of_no_velocity_ends_the_note() -> None:
    assert rows(notes_of((0, on(60)), (480, on(60, 0)))) == [(0, 0.5, 60, 64, 0, False)]


def test_notes_without_an_end_stop_with_their_pitch_or_track() -> None:
    data = midi(
        track(in_order((0, on(60)), (100, on(60)), (240, off(60)), (0, on(61)), (9, off(62))), end=960)
    )
    score, report = read_score_with_report(data)
    assert [(row[2], row[1]) for row in rows(to_notes(score))] == [(60, 0.25), (61, 1.0), (60, 0.25)]
    assert report.counts == {
        "notes without an end ended with their pitch or track": 2,
        "ends of notes that had not begun ignored": 1,
    }
    assert "ended with their pitch or track: 2" in str(report)


def test_all_notes_off_ends_every_key() -> None:
    assert [row[1] for row in rows(notes_of((0, on(60)), (0, on(64)), (480, control(123, 0))))] == [0.5, 0.5]


def test_format_2_plays_its_patterns_one_after_another_at_their_own_tempos() -> None:
    fast = track(in_order((0, tempo(250_000)), (0, control(64, 127)), note(0, 480, 60)), end=960)
    notes = to_notes(read_score(midi(fast, track(note(480, 960, 62)), kind=2)))
    assert [row[:3] for row in rows(notes)] == [(0, 0.25, 60), (1, 1.5, 62)]
    assert [float(part.controls.sustain(2.0)) for part in notes.parts] == [127, 0]


def test_a_riff_wrapper_changes_nothing() -> None:
    riff = (
        b"RIFF"
        + (len(SCALE) + 12).to_bytes(4, "little")
        + b"RMIDdata"
        + len(SCALE).to_bytes(4, "little")
        + SCALE
    )
    assert rows(to_notes(read_score(riff))) == rows(to_notes(read_score(SCALE)))


@pytest.mark.parametrize(("frames", "rate"), [(24, 24), (25, 25), (29, 30 / 1.001), (30, 30)])
def test_smpte_time_counts_frames_and_ignores_tempo(frames: int, rate: float) -> None:
    data = midi(track(in_order((0, tempo(900_000)), note(4000, 8000, 60))), division=(256 - frames) << 8 | 40)
    notes = to_notes(read_score(data))
    np.testing.assert_allclose(
        [notes.onset_s[0], notes.key_release_s[0]], [100 / rate, 200 / rate], rtol=1e-12
    )


def test_running_status_alien_chunks_and_live_messages_are_understood() -> None:
    body = (
        b"\0\x90\x3c\x40"
        + b"\0\x40\x40"
        + b"\0\xf8"
        + b"\x83\x60\x3c\0"
        + b"\0\x40\0"
        + b"\0\xf0\x02\x01\xf7"
    )
    data = midi(chunk(b"XFIH", b"abc"), chunk(b"MTrk", body + b"\0\xff\x2f\0"), declared=1) + b"\r\n"
    score, report = read_score_with_report(data)
    assert [(row[1], row[2]) for row in rows(to_notes(score))] == [(0.5, 60), (0.5, 64)]
    assert report.counts == {"chunks that are no track skipped": 1, "bytes after the last track ignored": 1}


def test_a_score_without_notes_is_as_long_as_its_tracks() -> None:
    for data in (midi(track([], end=1920)), midi(track([(0, tempo(1_000_000))], end=960))):
        notes = to_notes(read_score(data))
        assert len(notes) == 0
        assert notes.parts == ()
        assert notes.duration_s == 2.0


def test_names_are_cleaned_and_made_different() -> None:
    named = [
        track(in_order((0, meta(3, name)), note(0, 9, 60)))
        for name in (b"Vl\xe9n\0", b"Vl\xe9n", b"  ", "Ö".encode())
    ]
    assert [part.name for part in to_notes(read_score(midi(*named))).parts] == [
        "Vlén",
        "Vlén (2)",
        "Part 3",
        "Ö",
    ]


def test_metre_key_and_markers_are_kept_and_impossible_ones_dropped() -> None:
    events = [
        (0, meta(0x58, b"\x03\x02\x18\x08")),
        (0, meta(0x58, b"\x03\xff\x18\x08")),
        (0, meta(0x59, b"\xfd\x01")),
    ]
    events += [(0, meta(0x59, b"\x7f\x00")), (0, meta(6, b"verse")), (0, tempo(0)), (0, meta(0x51, b"\x01"))]
    score, report = read_score_with_report(midi(track(events)))
    assert [(s.numerator, s.denominator) for s in score.time_signatures] == [(3, 4)]
    assert [(s.key, s.tonality) for s in score.key_signatures] == [(-3, 1)]
    assert [marker.text for marker in score.markers] == ["verse"]
    assert report.counts == {"impossible tempos ignored": 2}


# Time


@settings(max_examples=60)
@given(
    changes=st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 2**24 - 1)), max_size=6),
    division=st.integers(24, 2000),
    ticks=st.lists(st.integers(0, 10_000), min_size=1, max_size=10),
)
def test_tempo_map_adds_up_tick_by_tick(
    changes: list[tuple[int, int]], division: int, ticks: list[int]
) -> None:
    changes = sorted(changes, key=lambda change: change[0])
    score = read_score(midi(track([(at, tempo(us)) for at, us in changes]), division=division))
    length = np.full(10_000, 500_000.0)
    for at, us in changes:
        length[at:] = us
    expected = np.concatenate([[0], np.cumsum(length)]) / 1e6 / division
    np.testing.assert_allclose(TempoMap.of(score).to_seconds(np.array(ticks)), expected[ticks], rtol=1e-12)


# Pedals


def play(
    onsets: list[int],
    ends: list[int],
    pitches: list[int],
    sustain: dict[int, bool],
    sostenuto: dict[int, bool],
    last: int,
) -> list[int]:
    """When each note stops on a piano that is played tick by tick: keys up, pedals, then keys down."""
    stops = [-1] * len(onsets)
    held: set[int] = set()
    sustained, caught = False, False
    catch: set[int] = set()
    again: set[int] = set()
    for now in range(last + 1):
        held -= {n for n in held if ends[n] == now}
        lifted = {n for n in range(len(onsets)) if onsets[n] < now and stops[n] < 0 and n not in held}
        sustained = sustain.get(now, sustained)
        if now in sostenuto:
            if sostenuto[now] and not caught:
                catch = {n for n in range(len(onsets)) if onsets[n] <= now < ends[n]}
            caught = sostenuto[now]
        for n in lifted:
            if n in again or not (sustained or (caught and n in catch)) or now == last:
                stops[n] = now
        for n in range(len(onsets)):
            if onsets[n] == now:
                struck = {
                    other for other in lifted | held if pitches[other] == pitches[n] and onsets[other] < now
                }
                again |= struck
                for other in struck - held:
                    stops[other] = min(stops[other] % (last + 1), now)
                held.add(n)
    return [max(stop, end) for stop, end in zip(stops, ends, strict=True)]


PEDAL = st.dictionaries(st.integers(0, 40), st.booleans(), max_size=8)


@settings(max_examples=150)
@given(
    keys=st.lists(
        st.tuples(st.integers(0, 40), st.integers(1, 15), st.integers(60, 63)), min_size=1, max_size=8
    ),
    sustain=PEDAL,
    sostenuto=PEDAL,
)
def test_pedals_hold_notes_as_a_piano_does(
    keys: list[tuple[int, int, int]], sustain: dict[int, bool], sostenuto: dict[int, bool]
) -> None:
    onsets, lengths, pitches = (list(column) for column in zip(*keys, strict=True))
    ends = [onset + length for onset, length in zip(onsets, lengths, strict=True)]
    pedals = [
        (np.array(sorted(pedal), np.int64), np.array([pedal[at] for at in sorted(pedal)], np.bool_))
        for pedal in (sustain, sostenuto)
    ]
    got = pedalled_ends(
        np.array(onsets), np.array(ends), np.array(pitches), sustain=pedals[0], sostenuto=pedals[1], last=60
    )
    assert got.tolist() == play(onsets, ends, pitches, sustain, sostenuto, 60)


def test_the_pedal_is_kept_as_data_beside_the_length_it_gives() -> None:
    notes = notes_of((0, control(64, 64)), note(0, 240, 60), (960, control(64, 63)))
    assert notes.key_release_s.tolist() == [0.25]
    assert notes.release_s.tolist() == [1.0]
    assert notes.parts[0].controls.pedal([0.0, 0.99, 1.0]).tolist() == [True, True, False]


def test_striking_a_pedalled_pitch_again_ends_it() -> None:
    notes = notes_of(
        (0, control(64, 127)), note(0, 100, 60), note(480, 500, 60), note(600, 700, 61), (960, control(64, 0))
    )
    assert notes.release_s.tolist() == [pytest.approx(0.5), pytest.approx(1.0), pytest.approx(1.0)]


def test_drums_do_not_listen_to_the_pedal() -> None:
    notes = notes_of((0, control(64, 127, 9)), note(0, 240, 36, channel=9), (960, control(64, 0, 9)))
    assert notes.release_s.tolist() == [0.25]


def test_a_pedal_never_lifted_holds_to_the_end_of_the_score() -> None:
    assert notes_of((0, control(64, 127)), note(0, 240, 60), note(480, 960, 62)).release_s.tolist() == [
        1.0,
        1.0,
    ]


def test_pedal_spans_of_a_symusic_score_count() -> None:
    score = core.ScoreTick(480)
    part = core.TrackTick("piano")
    part.notes.append(core.NoteTick(0, 240, 60, 64))
    part.pedals.append(core.PedalTick(0, 960))
    score.tracks.append(part)
    assert to_notes(read_score(score)).release_s.tolist() == [1.0]


# Controllers


def controls_of(*events: Any) -> Controls:
    return notes_of(note(0, 4800, 60), *events).parts[0].controls


def test_gain_pan_and_bend_before_any_event_are_neutral() -> None:
    controls = controls_of()
    assert [controls.gain_db(0.0), controls.pan(0.0), controls.bend_semitones(0.0)] == [0, 0, 0]
    assert not controls.pedal(0.0)


def test_gain_is_forty_decibels_a_decade_of_volume_times_expression() -> None:
    controls = controls_of((480, control(7, 127)), (960, control(11, 64)), (1440, control(11, 0)))
    expected = [0, 40 * np.log10(1.27), 40 * np.log10(1.27 * 64 / 127), -60]
    np.testing.assert_allclose(controls.gain_db([0.0, 0.5, 1.0, 1.5]), expected, atol=1e-12)


def test_pan_reaches_from_left_to_right() -> None:
    controls = controls_of(
        (0, control(10, 0)), (480, control(10, 1)), (960, control(10, 64)), (1440, control(10, 127))
    )
    np.testing.assert_allclose(controls.pan([0.0, 0.5, 1.0, 1.5]), [-1, -1, 0, 1])


def test_bend_follows_the_range_that_registered_parameter_0_sets() -> None:
    rpn = [
        (480, control(*pair))
        for pair in ((101, 0), (100, 0), (6, 12), (38, 50), (101, 127), (100, 127), (6, 99))
    ]
    controls = controls_of(
        (0, bend(-8192)), *rpn, (960, bend(4096)), (1440, control(99, 0)), (1440, control(6, 5))
    )
    np.testing.assert_allclose(controls.bend_semitones([0.0, 0.5, 1.0, 1.5]), [-2, -12.5, 6.25, 6.25])


def test_reset_all_controllers_spares_volume_and_pan() -> None:
    before = [(0, control(n, 20)) for n in (7, 10, 11)] + [(0, control(64, 127)), (0, bend(100))]
    controls = controls_of(*before, (480, control(121, 0)))
    at = np.array([0.5])
    assert [steps(at).item() for steps in (controls.volume, controls.pan_position, controls.expression)] == [
        20,
        20,
        127,
    ]
    assert controls.bend_semitones(at).item() == 0
    assert not controls.pedal(at).item()


# Notes


def random_notes(seed: int, count: int, parts: int) -> Notes:
    """Notes on a grid of 10 ms without two of one pitch at once in a part, with some controllers."""
    rng = np.random.default_rng(seed)
    cells = np.sort(rng.choice(parts * 128 * 20, count, replace=False))
    part, pitch, slot = cells // (128 * 20), cells // 20 % 128, cells % 20
    onset_s = slot * 1.0 + rng.integers(0, 40, count) / 100
    release_s = onset_s + rng.integers(1, 50, count) / 100
    order = np.lexsort((pitch, part, onset_s))
    steps = Steps(np.sort(rng.integers(0, 2000, 5) / 100), rng.integers(0, 128, 5).astype(float), 100)
    wheel = Steps(np.arange(4) / 2, rng.uniform(-7, 7, 4), 0.0)
    made = [
        Part(f"part {i}", 0 if i == 1 else int(rng.integers(128)), i == 1, Controls(volume=steps, bend=wheel))
        for i in range(parts)
    ]
    return Notes(
        onset_s[order],
        release_s[order],
        release_s[order],
        pitch[order],
        rng.integers(1, 128, count),
        np.array([p.program for p in made])[part[order]],
        np.array([p.is_drum for p in made])[part[order]],
        part[order],
        tuple(made),
        float(release_s.max(initial=0)) + 1,
    )


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.integers(1, 20))
def test_notes_survive_the_way_through_a_file_within_a_tick(seed: int, count: int, parts: int) -> None:
    notes = random_notes(seed, count, parts)
    data = notes_to_score(notes).dumps_midi()
    again = to_notes(read_score(data))
    names = [part.name for part in again.parts]
    used = sorted(set(notes.part.tolist()))
    assert names == [notes.parts[index].name for index in used]
    tick_s = 1 / 4000
    for field in ("onset_s", "release_s", "key_release_s"):
        np.testing.assert_allclose(getattr(again, field), getattr(notes, field), atol=tick_s)
    for field in ("pitch", "velocity", "program", "is_drum"):
        np.testing.assert_array_equal(getattr(again, field), getattr(notes, field))
    np.testing.assert_array_equal(np.array(used)[again.part], notes.part)
    assert again.duration_s == pytest.approx(max(notes.duration_s, 19.99), abs=20)
    at = np.arange(0, 20, 0.0937)
    for index, part in zip(used, again.parts, strict=True):
        mine = notes.parts[index].controls
        np.testing.assert_allclose(part.controls.gain_db(at), mine.gain_db(at))
        np.testing.assert_allclose(part.controls.bend_semitones(at), mine.bend_semitones(at), atol=1e-3)


def test_pedalled_notes_survive_the_way_through_a_score() -> None:
    notes = notes_of(
        (0, control(64, 127)), note(0, 240, 60), note(480, 500, 60), (960, control(64, 0)), note(970, 999, 60)
    )
    again = to_notes(notes_to_score(notes))
    np.testing.assert_allclose(again.release_s, notes.release_s, atol=1 / 4000)
    np.testing.assert_allclose(again.key_release_s, notes.key_release_s, atol=1 / 4000)


def test_notes_are_sorted_by_onset_part_and_pitch() -> None:
    notes = random_notes(0, 200, 5)
    order = np.lexsort((notes.pitch, notes.part, notes.onset_s))
    again = to_notes(notes_to_score(notes))
    np.testing.assert_array_equal(order, np.arange(200))
    np.testing.assert_array_equal(np.lexsort((again.pitch, again.part, again.onset_s)), np.arange(200))


def test_a_window_counts_time_from_its_start() -> None:
    notes = notes_of(
        note(0, 480, 60), note(0, 960, 61), note(960, 1440, 62), note(1920, 2400, 63), (960, control(7, 50))
    )
    window = notes.window(0.75, 2.0)
    assert [(row[0], row[2]) for row in rows(window)] == [(-0.75, 61), (0.25, 62)]
    assert window.duration_s == 1.25
    assert window.parts[0].controls.volume([0.2, 0.25]).tolist() == [100, 50]
    with pytest.raises(UserError, match="give a start before its end"):
        notes.window(2.0, 1.0)


def test_selecting_keeps_the_parts_and_the_duration() -> None:
    notes = notes_of(note(0, 480, 60), note(480, 960, 62))
    chosen = notes.select(notes.pitch == 60)
    assert chosen.pitch.tolist() == [60]
    assert (chosen.parts, chosen.duration_s) == (notes.parts, 1.0)


# Refusals


def refused(data: Any, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        to_notes(read_score(data))
    assert "\n" not in str(caught.value)


HUGE = b"\0\x90\x3c\x40" + b"\xff\xff\xff\x7f\x90\x3d\x40" * 9
HEAD = midi(declared=1)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the MIDI data is empty; give a Standard MIDI File"),
        (b"PK\x03\x04 a zip file", "is a damaged or locked archive"),
        (b"OggS", "is not MIDI: it does not begin with 'MThd'"),
        (b"RIFF\0\0\0\0RMID", "is not MIDI"),
        (b"MThd\0\0", "the header ends at byte 6 of 14; the file is truncated"),
        (b"MThd\0\0\0\x02\0\0\0\0\0\0", "a header of 2 bytes, format 0"),
        (midi(track([]), kind=3), "format 3; the formats of MIDI files are 0, 1 and 2"),
        (midi(track([]), division=0), "0 ticks a quarter note; a MIDI file has 1 to 32767"),
        (midi(track([]), division=0xE000), "32 frames a second of 0 ticks"),
        (
            SCALE[:-20],
            "track 1 announces 90 bytes but the file ends after 70 of them, at byte 92; .* truncated",
        ),
        (
            midi(track([]), declared=3),
            "3 tracks are announced but the file ends after 1, at byte 26; .* truncated",
        ),
        (
            HEAD + chunk(b"MTrk", b"\0\x90\x3c"),
            "track 1 ends inside an event at byte 22; the file is truncated",
        ),
        (HEAD + chunk(b"MTrk", b"\0\x90\x3c\x40\0\xff\x03\x0aab"), "ends inside an event at byte 26"),
        (
            HEAD + chunk(b"MTrk", b"\0\x3c\x40"),
            "corrupt at byte 22: data without a status byte; export the file again",
        ),
        (
            HEAD + chunk(b"MTrk", b"\0\x90\x3c\x90\0"),
            "corrupt at byte 22: a status byte stands where data belongs",
        ),
        (HEAD + chunk(b"MTrk", b"\xff\xff\xff\xff\x7f"), "corrupt at byte 22: a number of more than 4 bytes"),
        (HEAD + chunk(b"MTrk", b"\0\xff\x03\xff\xff\xff\x7fab"), "ends inside an event"),
        (HEAD + b"MTrk\xff\xff\xff\xff\0", "announces 4294967295 bytes but the file ends after 1"),
        (HEAD + chunk(b"MTrk", HUGE), "lasts 2415919095 ticks; at most 2147483647 can be counted"),
        (midi(track(note(0, 480 * 2 * 36_001, 60))), "lasts 10.0 hours; the limit is 10 hours, so split it"),
        (midi(track([], end=480 * 2 * 86_400)), "lasts 24.0 hours"),
        (midi(*[track([(0, on(60))], end=2**27)] * 17, kind=2), "lasts 2281701376 ticks"),
        (midi(*[track([])] * 4097), "more than 4096 tracks; merge them"),
        (b"MThd" + bytes(2**24), "has 16 MiB; a score has at most 8 MiB, so split it"),
        (42, "cannot be read from int; give a path, bytes, a binary file, a symusic.Score or a PrettyMIDI"),
        (io.StringIO("MThd"), "is open as text; open it in binary mode"),
    ],
)
def test_bad_data_is_refused_in_one_clear_line(data: Any, words: str) -> None:
    refused(data, words)


def test_bad_paths_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.mid", "none.mid does not exist; give a MIDI file")
    refused(tmp_path, "is a folder; give a MIDI file")
    refused("a\0b.mid", "cannot be read .*null byte")
    (tmp_path / "empty.mid").touch()
    refused(tmp_path / "empty.mid", "empty.mid is empty")


def test_scores_with_impossible_numbers_are_refused() -> None:
    def score(time: float, duration: float, pitch: int, velocity: int, unit: str = "Second") -> Any:
        made = getattr(core, f"Score{unit}")(480)
        part = getattr(core, f"Track{unit}")("solo")
        part.notes.append(getattr(core, f"Note{unit}")(time, duration, pitch, velocity))
        made.tracks.append(part)
        return made

    refused(score(float("nan"), 1, 60, 64), r"track 1 \('solo'\) of the score has notes at NaN or infinity")
    refused(score(0, float("inf"), 60, 64), "NaN or infinity")
    refused(score(-1, 1, 60, 64), "negative time or length")
    refused(score(0, 1, -1, 64), "beyond pitch 0 to 127 or velocity 1 to 127")
    refused(score(0, 1, 60, 0), "beyond pitch 0 to 127 or velocity 1 to 127")
    refused(score(1e8, 1, 60, 64), "the limit is 10 hours")
    refused(score(1e6, 1, 60, 64), "the limit is 10 hours")
    refused(score(2**31 - 1, 2**31 - 1, 60, 64, "Tick"), "the limit is 10 hours")
    refused(core.ScoreTick(0), "0 ticks a quarter note; give 1 or more")
    refused(core.TrackTick("solo"), "cannot be read from TrackTick; give a symusic.Score")
    spoilt = pretty_midi.PrettyMIDI()
    spoilt.instruments.append(pretty_midi.Instrument(0))
    spoilt.instruments[0].notes.append(pretty_midi.Note(64, 60, float("nan"), 1.0))
    refused(spoilt, "the PrettyMIDI score is no MIDI")


def test_too_many_events_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(midi_tracks, "MOST_NOTES", 100)
    refused(midi(track(in_order(*(note(i, i + 1, 60) for i in range(101))))), "more than 100 notes; split it")
    monkeypatch.setattr(midi_file, "MOST_METAS", 10)
    refused(midi(track([(0, tempo(9))] * 10)), "more than 10 tempos, markers and names; thin them out")
    programs = in_order(*([(n, program(n)), *note(n, n, 60)] for n in range(9)))
    monkeypatch.setattr(midi_tracks, "MOST_CONTROLS", 100)
    refused(midi(track([(0, control(7, 9))] * 20 + programs)), "or 100 controller events for them; split it")
    monkeypatch.setattr(midi_tracks, "MOST_PARTS", 8)
    refused(midi(track(programs)), "more than 8 instruments")


def test_a_hundred_thousand_notes_take_less_than_a_second() -> None:
    rng = np.random.default_rng(0)
    body, pedal = bytearray(b"\0\xc0\0"), 0
    for pitch in rng.integers(20, 110, 100_000).tolist():
        body += bytes([20, 0x90, pitch, 64, 30, 0x80, pitch, 0])
        if (pedal := (pedal + 1) % 8) == 0:
            body += b"\0\xb0\x40\0\0\xb0\x40\x7f"
    data = HEAD + chunk(b"MTrk", bytes(body))
    score = read_score(data)

    def seconds() -> float:
        start = time.process_time()
        assert len(to_notes(score)) == 100_000
        return time.process_time() - start

    assert min(seconds() for _ in range(3)) < 1


def test_lengths_of_four_bytes_are_the_longest() -> None:
    assert [len(varlen(value)) for value in (0, 127, 128, 2**28 - 1)] == [1, 1, 2, 4]
    score = read_score(midi(track(note(2**28 - 1, 2**28 - 1, 60)), division=30_000))
    assert score.tracks[0].notes[0].time == 2**28 - 1
