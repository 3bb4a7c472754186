"""A player measured against itself scores one everywhere; worse players score worse."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from ondes.audio import Audio
from ondes.errors import UserError
from ondes.evaluation import synth_run
from ondes.evaluation.excerpts import Excerpt
from ondes.evaluation.synth_report import SynthReport, check_folder
from ondes.evaluation.synth_rows import GATES
from ondes.evaluation.synth_run import Subject, evaluate_synth, partner
from ondes.score import notes_to_score, to_notes

DURATION_S = 3.2
RATE_HZ = 44100


def additive(score, *, harmonics=5, velocity_counts=True):
    """A crude synthesiser: decaying harmonics, spread between left and right by pitch."""
    notes = to_notes(score)
    mix = np.zeros((2, round((notes.duration_s + 0.5) * RATE_HZ)))
    for onset_s, release_s, pitch, velocity in zip(
        notes.onset_s, notes.release_s, notes.pitch, notes.velocity, strict=True
    ):
        time_s = np.arange(int((release_s - onset_s) * RATE_HZ)) / RATE_HZ
        base_hz = 440 * 2 ** ((pitch - 69) / 12)
        tone = sum(
            np.sin(2 * np.pi * k * base_hz * time_s) * np.exp(-k * time_s) / k for k in range(1, harmonics)
        )
        level = 0.05 * (velocity / 127 if velocity_counts else 0.5) * np.minimum(1, time_s / 0.005)
        start, right = round(onset_s * RATE_HZ), (pitch % 12) / 11
        mix[:, start : start + len(time_s)] += np.outer([1 - right, right], level * tone)
    return Audio(mix.astype(np.float32), RATE_HZ)


def hum(score):
    """The same sound whatever the notes."""
    time_s = np.arange(round((to_notes(score).duration_s + 0.5) * RATE_HZ)) / RATE_HZ
    tone = 0.1 * np.sin(2 * np.pi * 110 * time_s)
    return Audio(np.stack([tone, tone]).astype(np.float32), RATE_HZ)


@pytest.fixture(scope="module")
def chosen(make_notes):
    found = []
    for index, group in enumerate(["solo", "solo", "quartet", "quartet"]):
        random = np.random.default_rng(index)
        notes = make_notes(np.arange(8) * 0.36 + 0.1, random.integers(55, 80, 8), length_s=0.35)
        score = notes_to_score(replace(notes, duration_s=DURATION_S))
        found.append(Excerpt(group, group, f"work {index}", 0.0, to_notes(score), score))
    return found


@pytest.fixture(scope="module")
def few_probes():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synth_run, "PROBED", ((0, 40), (16, 64, 127)))
        yield


@pytest.fixture(scope="module")
def itself(chosen, few_probes):
    subject = Subject(
        render=additive,
        joins_s=lambda duration_s: np.arange(1.0, duration_s, 1.1),
        stream=lambda score: iter([additive(score)]),
        vocoders={
            "vocoder": lambda _: additive(chosen[0].score),
            "Griffin-Lim": lambda _: hum(chosen[0].score),
        },
    )
    findings = evaluate_synth(subject, chosen, {"render": additive}, duration_s=DURATION_S)
    return SynthReport.of(findings, {"model": "itself", "seed": 0})


@pytest.fixture(scope="module")
def worse(chosen, few_probes):
    references = {"render": additive, "second": lambda score: additive(score, harmonics=3)}
    findings = evaluate_synth(Subject(render=hum), chosen, references, duration_s=DURATION_S)
    return SynthReport.of(findings, {"model": "hum"})


def rows_named(report, start, **where):
    found = [row for row in report.rows if row.figure.startswith(start)]
    return [row for row in found if all(getattr(row, name) == value for name, value in where.items())]


@pytest.mark.slow
def test_a_player_is_its_own_equal(itself):
    for start in ("note F1, share", "onset AUC"):
        shares = rows_named(itself, start)
        assert [row.group for row in shares] == ["solo", "quartet", "all"]
        assert {(row.value.value, row.value.low, row.value.high) for row in shares} == {(1.0, 1.0, 1.0)}
    assert all(row.value.value == 0.0 for row in rows_named(itself, "log-mel"))
    assert all(row.value.value == pytest.approx(0.0, abs=1e-9) for row in rows_named(itself, "left/right"))
    assert rows_named(itself, "loudness, |")[0].value.value == 0.0


def test_the_control_of_other_notes_is_far_below_the_notes_themselves(itself):
    (own,) = rows_named(itself, "note F1 of ours")
    (control,) = rows_named(itself, "control, note F1", against="ours")
    assert own.value.value > 0.5
    assert control.value.value < 0.4 * own.value.value
    (onsets,) = rows_named(itself, "control, onset AUC")
    assert onsets.value.value < 0.75


def test_vocoders_stand_beside_each_other_and_only_ours_is_gated(itself):
    ours, other = rows_named(itself, "vocoder alone") + rows_named(itself, "Griffin-Lim alone")
    assert ours.gate == GATES["vocoder F1 share"]
    assert other.gate is None
    assert other.value.value == 0.0
    assert 0.2 < ours.value.value < 0.6  # it plays the first excerpt whatever it is given


def test_joins_that_are_none_have_the_renders_own_ratio(itself):
    ours, control = rows_named(itself, "joins: spectral flux")
    assert ours.value == control.value
    assert ours.note == "8 joins"


@pytest.mark.slow
def test_a_hum_misses_what_it_should(worse):
    by_reference = {row.against: row for row in rows_named(worse, "note F1, share", group="all")}
    assert set(by_reference) == {"render", "second"}
    assert all(row.value.value == 0.0 and row.verdict == "miss" for row in by_reference.values())
    assert rows_named(worse, "onset AUC", group="all", against="render")[0].value.value < 0.65
    (velocity,) = rows_named(worse, "velocity", against="-")
    assert (velocity.value.value, velocity.verdict) == (0.0, "miss")
    (own,) = rows_named(worse, "velocity", against="the render's own")
    assert own.value.value == 1.0
    (coherence,) = rows_named(worse, "left/right")
    assert coherence.verdict == "miss"


@pytest.mark.slow
def test_what_was_not_measured_says_why(itself, worse):
    second = rows_named(itself, "everything above", against="second SoundFont")
    assert [(row.verdict, row.note) for row in second] == [
        ("not measured", "not given: pass --second-soundfont")
    ]
    assert rows_named(worse, "vocoder alone", against="render")[0].note == "no vocoder"
    assert rows_named(worse, "joins")[0].verdict == "not measured"
    assert rows_named(worse, "first block")[0].note == "no stream"
    assert rows_named(worse, "peak memory")[0].verdict == "not measured"
    assert not rows_named(worse, "everything above")


@pytest.mark.slow
def test_distances_stand_in_their_order(worse):
    distances = {name: np.mean(values) for name, values in worse.table.mel_distances("render").items()}
    assert distances["SoundFont second"] < distances["mean spectrum"] < distances["silence"]
    assert distances["ours"] > distances["SoundFont second"]


def test_memory_is_a_row_when_it_was_measured(itself):
    findings = replace(itself.findings, peak_bytes={2: 1_000_000_000, 10: 1_020_000_000})
    peak, growth = rows_named(SynthReport.of(findings, {}), "peak memory")
    assert (peak.value.value, peak.verdict) == (1.02, "pass")
    assert growth.value.value == pytest.approx(1.02)


def test_reports_are_written_whole(itself, tmp_path):
    markdown, data = itself.write(tmp_path / "report")
    assert sorted(path.name for path in markdown.parent.iterdir()) == [data.name, markdown.name]
    plain = json.loads(data.read_text())
    assert plain["settings"]["model"] == "itself"
    assert [e["name"] for e in plain["excerpts"]] == [e.name for e in itself.findings.excerpts]
    assert plain["excerpts"][0]["heard"]["ours"] == plain["excerpts"][0]["heard"]["render"] | {
        name: plain["excerpts"][0]["heard"]["ours"][name] for name in ("flux_ratio", "jump_ratio")
    }
    text = markdown.read_text()
    assert text.startswith("# Evaluation of itself")
    for heading in ("## Gates", "## Note F1 by group", "## Log-mel distance to the render", "## Velocity"):
        assert heading in text


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="cannot hold a report"):
        check_folder(tmp_path / "taken")


def test_partners_are_of_the_group_and_another_source(chosen):
    assert [partner(chosen, k) for k in range(4)] == [1, 0, 3, 2]
    same = [replace(excerpt, source="one") for excerpt in chosen]
    assert partner(same, 0) is None
    assert partner([chosen[0], chosen[2]], 0) == 1


@pytest.mark.slow
def test_vocoders_alone_need_no_player(chosen):
    subject = Subject(vocoders={"vocoder": lambda _: additive(chosen[0].score)})
    findings = evaluate_synth(subject, chosen[:2], {"render": additive}, duration_s=DURATION_S)
    report = SynthReport.of(findings, {"model": "vocoder"})
    assert [row.figure for row in report.rows if not math.isnan(row.value.value)] == [
        "vocoder alone: note F1 share"
    ]
    assert "vocoder of render" in report.to_markdown()
