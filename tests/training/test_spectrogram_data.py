from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ondes.audio import Audio
from ondes.errors import UserError
from ondes.representations.framed_mel import to_framed_log_mel, to_scaled
from ondes.score import read_score, to_notes
from ondes.training.spectrogram_data import SpectrogramData, in_a_list


def opened(cache: Path, **settings: Any) -> SpectrogramData:
    data = SpectrogramData(**{"batch_size": 2, "cache_folder": cache, **settings})
    data.prepare_data()
    data.setup("fit")
    return data


def test_a_segment_is_the_log_mel_and_the_tokens_of_the_resampled_file(
    rendered: Path, tmp_path: Path
) -> None:
    data = opened(tmp_path, rendered_path=rendered, with_context=True)
    batch = next(iter(data.train_dataloader()))
    songs = {song.id: song for song in data.training[0]}
    assert sorted(songs) == ["0", "1", "2"]
    heard = [int(mask.sum()) for mask in batch.context_mask]
    for song in songs.values():
        audio = Audio.read(rendered / f"{song.id}.flac")
        mono = Audio(audio.samples.mean(0, keepdims=True), audio.sample_rate_hz).resample(16_000).samples[0]
        whole = to_scaled(to_framed_log_mel(torch.tensor(mono)))
        notes = to_notes(read_score(rendered / f"{song.id}.mid"))
        for number, start in enumerate(heard):
            length = int(batch.target_mask[number].sum())
            if length != len(whole) - start or not torch.allclose(
                batch.target[number, :length], whole[start:], atol=1e-3
            ):
                continue
            assert torch.allclose(batch.context[number, :start], whole[:start], atol=1e-3)
            expected = data.codec.encode_window(notes, start_frame=start, frames=length)
            assert batch.tokens[number][batch.token_mask[number]].tolist() == expected.tolist()
            heard[number] = -1
    assert heard == [-1, -1]


def test_the_validation_split_is_another_and_its_batches_are_fixed(rendered: Path, tmp_path: Path) -> None:
    data = opened(tmp_path, rendered_path=rendered)
    assert [song.id for song in data.validation[0]] == ["3"]
    first, second = (list(data.val_dataloader()) for _ in range(2))  # pyright: ignore[reportArgumentType]
    assert len(first) == 4
    assert all(torch.equal(one.target, other.target) for one, other in zip(first, second, strict=True))


def test_two_folders_with_files_of_the_same_name_are_two_data_sets(rendered: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(rendered, other)
    for name in ("0", "1", "2"):
        Audio(np.zeros((2, 44_100), np.float32), 44_100).write(other / f"{name}.flac")
    data = opened(tmp_path / "cache", rendered_path=[rendered, other])
    loudest = [max(float(song.log_mel.max()) for song in songs) for songs in data.training]
    assert loudest[0] > 0
    assert loudest[1] == pytest.approx(np.log(1e-5), abs=0.01)


def test_data_sets_without_a_path_are_left_out_and_none_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is nothing to train on: no data set is given"):
        opened(tmp_path, musicnet_path=None)


def test_scores_of_urmp_without_its_recordings_are_refused(rendered: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="urmp_midi_path is given without urmp_wav_path"):
        opened(tmp_path, rendered_path=rendered, urmp_midi_path=tmp_path)


def test_batches_of_nothing_are_refused() -> None:
    with pytest.raises(UserError, match="batch_size is 0; give 1 or more"):
        SpectrogramData(batch_size=0)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        opened(tmp_path, maestro_path=tmp_path / "nowhere")


def test_what_is_left_out_is_counted(
    rendered: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(rendered, damaged)
    (damaged / "1.flac").write_bytes(b"no sound")
    data = opened(tmp_path / "cache", rendered_path=damaged)
    assert [song.id for song in data.training[0]] == ["0", "2"]
    assert "left out: 1 x corrupt audio, the first rendered 1" in caplog.text


def test_one_folder_or_several_or_none_are_a_list() -> None:
    assert in_a_list(None) == []
    assert in_a_list(Path("a")) == [Path("a")]
    assert in_a_list([Path("a"), Path("b")]) == [Path("a"), Path("b")]
