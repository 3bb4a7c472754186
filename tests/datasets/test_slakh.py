"""Slakh: notes of exactly the stems that are heard, seeded sub-mixes, levels."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import soundfile

from ondes.datasets.recordings import RejectedError
from ondes.datasets.slakh import cerberus_programs, read_slakh, submix_programs
from ondes.errors import UserError
from public_layouts import RATE_HZ, write_slakh

BAND = [(0, False), (25, False), (33, False), (0, True), (48, False)]
"""Piano, guitar, bass, drums of program 0, strings."""


def by_id(recordings):
    return {recording.id.partition("/")[2]: recording for recording in recordings}


def test_a_song_with_all_four_groups_gives_sub_mixes_and_fifteen_groups(tmp_path):
    write_slakh(tmp_path / "slakh2100_flac_redux", "Track00001", BAND)
    recordings, rejections = read_slakh(tmp_path, "train")
    names = list(by_id(recordings))
    assert len(names) == 6 + 15
    assert names[:6] == [
        "-".join(map(str, choice)) for choice in submix_programs([0, 25, 33, 48, 128], 10, [0])
    ]
    assert names[6] == "piano"
    assert names[-1] == "piano+guitar+bass+drums"
    assert not rejections.rows


def test_drum_notes_of_program_0_do_not_follow_the_piano(tmp_path):
    write_slakh(tmp_path, "Track00001", BAND)
    mixes = by_id(read_slakh(tmp_path, "train")[0])
    piano, drums = mixes["piano"].read_notes(), mixes["drums"].read_notes()
    assert (piano.pitch.tolist(), piano.is_drum.tolist()) == ([40, 60], [False, False])
    assert (drums.pitch.tolist(), drums.is_drum.tolist()) == ([43, 60], [True, True])
    assert drums.program.tolist() == [0, 0]
    both = mixes["piano+drums"]
    assert len(both.read_notes()) == 4
    heard = [soundfile.read(tmp_path / "train" / "Track00001" / "stems" / f"S0{k}.flac")[0] for k in (0, 3)]
    np.testing.assert_allclose(both.read_audio(RATE_HZ), heard[0] + heard[1], atol=1e-6)


def test_stems_of_one_program_do_not_overlap_in_a_pitch(tmp_path):
    write_slakh(tmp_path, "Track00001", [(0, False), (0, False), *BAND[1:4]])
    notes = by_id(read_slakh(tmp_path, "train")[0])["piano"].read_notes()
    assert notes.pitch.tolist() == [40, 41, 60]
    assert notes.onset_s.tolist() == [0.0, 0.0, 0.1]


def test_test_songs_are_whole_mixes_and_the_four_groups(tmp_path):
    write_slakh(tmp_path, "Track01876", BAND, split="test")
    write_slakh(tmp_path, "Track01877", BAND[:2], split="test")
    recordings, _ = read_slakh(tmp_path, "test")
    assert [recording.id for recording in recordings] == [
        "Track01876",
        "Track01876/piano+guitar+bass+drums",
        "Track01877",
    ]
    assert recordings[0].audio == (tmp_path / "test" / "Track01876" / "mix.flac",)
    assert len(recordings[0].read_notes()) == 10


def test_a_mix_with_a_stem_without_notes_is_made_from_the_other_stems(tmp_path):
    write_slakh(tmp_path, "Track01876", BAND, split="test")
    (tmp_path / "test" / "Track01876" / "MIDI" / "S04.mid").unlink()
    recordings, rejections = read_slakh(tmp_path, "test")
    assert [path.name for path in recordings[0].audio] == [f"S0{k}.flac" for k in range(4)]
    assert rejections.counts == {"missing notes of a stem": 1}


@pytest.mark.parametrize(("mix_gain", "wanted"), [(1.0, 1.0), (1.003, 1.0), (0.4, 0.4)])
def test_stems_are_brought_to_the_level_of_the_mix(tmp_path, mix_gain, wanted):
    write_slakh(tmp_path, "Track00001", BAND, mix_gain=mix_gain)
    piano = by_id(read_slakh(tmp_path, "train")[0])["piano"]
    stem = soundfile.read(tmp_path / "train" / "Track00001" / "stems" / "S00.flac")[0]
    np.testing.assert_allclose(piano.read_audio(RATE_HZ), wanted * stem, atol=2e-6)


def test_stems_of_another_mix_are_rejected(tmp_path):
    write_slakh(tmp_path, "Track00001", BAND)
    folder = tmp_path / "train" / "Track00001"
    noise = np.random.default_rng(0).normal(0, 0.1, RATE_HZ // 2)
    soundfile.write(folder / "mix.flac", noise, RATE_HZ)
    piano = by_id(read_slakh(tmp_path, "train")[0])["piano"]
    with pytest.raises(RejectedError, match="stems are not those of the mix"):
        piano.read_audio(RATE_HZ)


def test_small_songs_without_groups_and_damaged_metadata_are_counted(tmp_path):
    write_slakh(tmp_path, "Track00001", BAND[:2])
    write_slakh(tmp_path, "Track00002", BAND)
    (tmp_path / "train" / "Track00002" / "metadata.yaml").write_text("stems: [")
    recordings, rejections = read_slakh(tmp_path, "train")
    assert recordings == []
    assert rejections.counts == {"fewer than 4 programs": 1, "corrupt metadata": 1}
    write_slakh(tmp_path, "Track00003", [*BAND[:3], (128, False)])
    assert read_slakh(tmp_path, "train")[1].counts["corrupt metadata"] == 2
    with pytest.raises(UserError, match="is no Slakh2100"):
        read_slakh(tmp_path / "train", "train")


def test_few_choices_are_all_made_and_many_are_drawn_by_the_seed():
    assert submix_programs([1, 2, 3, 3], 10, [0]) == []
    assert submix_programs([5, 1, 2, 3], 10, [0]) == [(1, 2, 3, 5)]
    every = submix_programs(range(5), 10, [0])
    assert every == sorted([tuple(range(5)), *combinations(range(5), 4)])
    drawn = submix_programs(range(30), 10, [3, 1])
    assert len(set(drawn)) == 10
    assert drawn == submix_programs(range(30), 10, [3, 1])
    assert drawn != submix_programs(range(30), 10, [3, 2])
    assert all(len(set(choice)) == len(choice) >= 4 and max(choice) < 30 for choice in drawn)


def test_choices_are_drawn_evenly():
    """Sizes come up in proportion to how many choices of that size there are: 15, 6 and 1 of 22."""
    sizes = np.array([len(submix_programs(range(6), 1, [seed])[0]) for seed in range(2000)])
    shares = [np.mean(sizes == size) for size in (4, 5, 6)]
    expected = [math.comb(6, size) / 22 for size in (4, 5, 6)]
    np.testing.assert_allclose(shares, expected, atol=0.03)


def test_groups_need_all_four():
    choices = cerberus_programs([1, 7, 24, 38, 128, 90])
    assert len(choices) == 15
    assert choices["piano+drums"] == (1, 7, 128)
    assert cerberus_programs([1, 24, 38]) == {}
