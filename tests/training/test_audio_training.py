"""Tests of the audio model's windows and training."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from rendered_sines import Train  # pyright: ignore[reportMissingImports]

from ondes.errors import UserError
from ondes.models.mel_unet import MelUNet
from ondes.representations.mel import MEL
from ondes.training.audio_windows import Piece, PieceWindows, read_pieces, vary_sound

FLOOR = math.log(MEL.floor)


def ramp(frames: int, styles: tuple[str, ...] = (), name: str = "ramp") -> Piece:
    """A piece whose left channel tells its frame, and whose right channel is silent."""
    log_mel = np.full((2, 128, frames), FLOOR, np.float16)
    log_mel[0] = np.arange(frames) / 256
    return Piece(name, log_mel, styles)


def windows(*pieces: Piece, frames: int = 32, batch: int = 64, **settings: object) -> PieceWindows:
    given = {"styles": ("piano", "organ"), "seed": 3, "vary": False, **settings}
    return PieceWindows(pieces, frames=frames, batch=batch, **given)  # pyright: ignore[reportArgumentType]


def test_windows_know_where_they_lie() -> None:
    batch = windows(ramp(400)).at(0)
    first_frame = batch.log_mel[:, 0, 0, 0] * 256
    torch.testing.assert_close(batch.since_start_s * MEL.frames_per_second, first_frame, atol=0.2, rtol=0)
    whole_s = batch.since_start_s + batch.until_end_s
    torch.testing.assert_close(whole_s, torch.full_like(whole_s, 400 / MEL.frames_per_second))


def test_beginnings_and_ends_are_seen_more_often_than_chance_has_them() -> None:
    since = windows(ramp(40_000), batch=400).at(0).since_start_s
    assert 0.08 < float((since == 0).float().mean()) < 0.25
    assert 0.08 < float((since == since.max()).float().mean()) < 0.25


def test_beyond_a_short_piece_there_is_silence_and_its_end_is_told() -> None:
    batch = windows(ramp(20), batch=1).at(0)
    assert float(batch.log_mel[0, 0, 0, 19]) == pytest.approx(19 / 256, abs=1e-3)
    assert torch.all(batch.log_mel[..., 20:] == FLOOR)
    assert float(batch.until_end_s) == pytest.approx(20 / MEL.frames_per_second)


def test_batches_are_functions_of_seed_and_number() -> None:
    source = windows(ramp(300), vary=True)
    later = iter(windows(ramp(300), vary=True, first=2))
    for one, other in zip(source.at(2), next(later), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(source.at(2).log_mel, source.at(3).log_mel)


def test_styles_are_flags_in_the_networks_order() -> None:
    batch = windows(ramp(64, ("organ", "unknown to the network")), batch=2).at(0)
    assert batch.style.tolist() == [[0.0, 1.0]] * 2


def test_varied_sound_changes_sides_and_loudness_and_nothing_else() -> None:
    piece = torch.from_numpy(ramp(32).log_mel).float()
    made = [vary_sound(piece, np.random.default_rng(seed)) for seed in range(40)]
    swapped = [bool((one[0] <= FLOOR + 0.35).all()) for one in made]
    assert 8 < sum(swapped) < 32
    for one, other in zip(made, swapped, strict=True):
        gain = (one.flip(0) if other else one)[0] - piece[0]
        torch.testing.assert_close(gain, gain[:1, :1].expand_as(gain), atol=1e-5, rtol=0)
        assert abs(float(gain[0, 0])) <= 3 * math.log(10) / 20 + 1e-6
        assert float(one.min()) >= FLOOR - 1e-6


def test_styles_come_from_the_manifest_or_the_notes(pairs: Path, tmp_path: Path) -> None:
    assert {piece.styles for piece in read_pieces([pairs], "train")} == {("synth lead",)}
    log_mel = np.zeros((2, 128, 40), np.float16)
    np.save(tmp_path / "a.npy", log_mel)
    row = {"id": "a", "mel": "a.npy", "split": "train", "styles": ["jazz"]}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row) + "\n")
    (piece,) = read_pieces([tmp_path], "train")
    assert piece.styles == ("jazz",)
    assert np.array_equal(piece.log_mel, log_mel)


@pytest.mark.slow
def test_a_run_resumes_as_if_unbroken(train: Train, tmp_path: Path) -> None:
    whole = train("audio", tmp_path / "whole", "--trainer.max_steps", "4")["state_dict"]
    train(
        "audio",
        tmp_path / "broken",
        "--trainer.max_steps",
        "4",
        "--trainer.limit_train_batches",
        "2",
        "--trainer.max_epochs",
        "1",
    )
    again = train("audio", tmp_path / "broken", "--trainer.max_steps", "4")["state_dict"]
    assert all(torch.equal(again[name], value) for name, value in whole.items())


def test_a_run_saves_a_network_with_the_statistics_of_its_data(
    train: Train, pairs: Path, tmp_path: Path
) -> None:
    state = train("audio", tmp_path, "--trainer.max_steps", "2")["state_dict"]
    pieces = [piece.log_mel.astype(np.float64) for piece in read_pieces([pairs], "train")]
    left, right = np.concatenate(pieces, -1)
    expected = np.stack([(left + right) / 2, (left - right) / 2])
    assert np.allclose(state["model.mean"], expected.mean(-1), atol=1e-5)
    network = MelUNet.from_pretrained(tmp_path / "model")
    assert network.styles == ("piano", "organ")
    assert torch.equal(network.leave.weight, state["average.module.leave.weight"])
    assert (tmp_path / "pictures" / "step_0000002.png").is_file()


def test_windows_that_are_no_whole_tokens_are_refused(train: Train, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="multiples of 4"):
        train("audio", tmp_path, "--data.frames", "30")
