from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from ondes.errors import UserError
from ondes.models.mel_decoder import (
    BLOCK_FRAMES,
    MARGIN_FRAMES,
    FramedGriffinLim,
    OnnxMelDecoder,
    framed_transform,
    overlap_framed,
)
from ondes.representations.framed_mel import OFFICIAL, to_framed_log_mel
from onnx_bytes import convolution_decoder

REACH = 9
FRAMES = 2 * BLOCK_FRAMES + MARGIN_FRAMES + 30
WEIGHT = np.random.default_rng(0).normal(0, 0.05, (320, 128, REACH)).astype(np.float32)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("decoder") / "model.onnx"
    path.write_bytes(convolution_decoder(WEIGHT))
    return path


@pytest.fixture(scope="module")
def log_mel() -> torch.Tensor:
    return torch.randn(FRAMES, 128, generator=torch.Generator().manual_seed(0))


def convolved(log_mel: torch.Tensor) -> torch.Tensor:
    """What the ONNX file computes, by torch."""
    made = functional.conv1d(log_mel.T[None], torch.from_numpy(WEIGHT), padding=REACH // 2)
    return made[0].T.flatten()


def in_pieces(
    decoder: OnnxMelDecoder | FramedGriffinLim, log_mel: torch.Tensor, sizes: list[int]
) -> torch.Tensor:
    stream = decoder.stream()
    made = [stream.push(piece) for piece in log_mel.split(sizes)]
    return torch.cat([*made, stream.push(log_mel[:0], last=True)])


def test_the_onnx_decoder_computes_what_is_in_the_file(file: Path, log_mel: torch.Tensor) -> None:
    assert torch.allclose(OnnxMelDecoder(file)(log_mel), convolved(log_mel), atol=1e-4)


def test_a_stream_is_the_whole_where_the_margin_covers_the_reach(file: Path, log_mel: torch.Tensor) -> None:
    made = in_pieces(OnnxMelDecoder(file, margin_frames=REACH // 2), log_mel, [200] * 2 + [FRAMES - 400])
    assert made.shape == (FRAMES * 320,)
    assert float((made - convolved(log_mel)).abs().max()) < 1e-4


def test_a_margin_that_is_too_small_is_heard_at_the_joins_only(file: Path, log_mel: torch.Tensor) -> None:
    made = in_pieces(OnnxMelDecoder(file, margin_frames=1), log_mel, [FRAMES])
    wrong = ((made - convolved(log_mel)).abs() > 1e-4).view(FRAMES, 320).any(1).nonzero().flatten()
    joins = torch.tensor([BLOCK_FRAMES, 2 * BLOCK_FRAMES])
    assert len(wrong) > 0
    assert int((wrong[:, None] - joins).abs().amin(1).max()) <= REACH // 2


@pytest.mark.parametrize("sizes", [[FRAMES], [1] * 40 + [FRAMES - 40], [BLOCK_FRAMES, FRAMES - BLOCK_FRAMES]])
def test_any_pieces_give_the_very_samples(file: Path, log_mel: torch.Tensor, sizes: list[int]) -> None:
    decoder = OnnxMelDecoder(file)
    assert torch.equal(in_pieces(decoder, log_mel, sizes), decoder.stream().push(log_mel, last=True))


def test_a_saved_decoder_is_the_original(file: Path, log_mel: torch.Tensor, tmp_path: Path) -> None:
    OnnxMelDecoder(file, margin_frames=12).save_pretrained(tmp_path / "melgan")
    loaded = OnnxMelDecoder.from_pretrained(tmp_path / "melgan")
    assert loaded.config["margin_frames"] == 12
    assert torch.equal(loaded(log_mel), OnnxMelDecoder(file)(log_mel))
    assert str(tmp_path) not in (tmp_path / "melgan" / "config.json").read_text()
    assert OnnxMelDecoder.from_pretrained(file).config["sha256"] == loaded.config["sha256"]


def test_a_hub_id_is_fetched(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        "ondes.models.mel_decoder.hf_hub_download", lambda *words: asked.append(words) or str(file)
    )
    OnnxMelDecoder.from_pretrained("someone/decoder")
    assert asked == [("someone/decoder", "model.onnx")]


def test_what_is_no_decoder_is_refused_in_one_line(file: Path, tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no network")
    (tmp_path / "other.onnx").write_bytes(convolution_decoder(WEIGHT, input_name="mel"))
    (tmp_path / "short.onnx").write_bytes(convolution_decoder(WEIGHT[:160]))
    (tmp_path / "empty").mkdir()
    for place, message in {
        "text.onnx": "cannot be read as ONNX",
        "other.onnx": "has the inputs mel",
        "empty": "holds no model.onnx",
        "a/b/c": "there is no mel decoder",
    }.items():
        with pytest.raises(UserError, match=message) as caught:
            OnnxMelDecoder.from_pretrained(tmp_path / place)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="480 samples of 3 frames"):
        OnnxMelDecoder(tmp_path / "short.onnx")(torch.zeros(3, 128))
    with pytest.raises(UserError, match=r"cannot decode a log-mel \(3, 64\)"):
        OnnxMelDecoder(file)(torch.zeros(3, 64))


def test_without_onnxruntime_the_extra_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"ondes\[onnx\]"):
        OnnxMelDecoder(file)


@pytest.fixture(scope="module")
def chord() -> torch.Tensor:
    """Samples of decaying harmonics, enough for `FRAMES` frames and what they reach beyond."""
    time_s = torch.arange((FRAMES + 2) * 320) / OFFICIAL.sample_rate_hz
    partials = [
        torch.sin(2 * math.pi * hz * h * time_s) / h for hz in (220.0, 277.2, 329.6) for h in range(1, 6)
    ]
    return 0.05 * torch.stack(partials).sum(0)


@pytest.fixture(scope="module")
def chord_mel(chord: torch.Tensor) -> torch.Tensor:
    return to_framed_log_mel(chord)[:FRAMES]


def test_the_framed_transform_can_be_inverted(chord: torch.Tensor) -> None:
    audio, energy = overlap_framed(framed_transform(chord, OFFICIAL), OFFICIAL)
    inside = slice(320, len(audio) - 320)
    assert torch.allclose((audio / energy)[inside], chord[: len(audio)][inside], atol=1e-6)


def test_griffin_lim_gives_a_hop_a_frame_and_the_same_each_time(chord_mel: torch.Tensor) -> None:
    decoder = FramedGriffinLim(iterations=4)
    made = decoder(chord_mel)
    assert made.shape == (FRAMES * 320,)
    assert torch.equal(decoder(chord_mel), made)
    assert torch.equal(in_pieces(decoder, chord_mel, [100] * 3 + [FRAMES - 300]), made)


def test_iterations_come_nearer_to_the_mel_than_random_phases(chord_mel: torch.Tensor) -> None:
    def distance(iterations: int) -> float:
        made = to_framed_log_mel(FramedGriffinLim(iterations=iterations)(chord_mel))
        return float((made - chord_mel)[:-2].abs().mean())

    assert distance(16) < 0.6 * distance(0)


def test_blocks_of_griffin_lim_join_without_a_click(chord_mel: torch.Tensor) -> None:
    steps = FramedGriffinLim(iterations=8)(chord_mel).diff(n=2).abs()
    join = BLOCK_FRAMES * 320
    assert float(steps[join - 4 : join + 4].max()) < 1.5 * float(steps[2048:-2048].quantile(0.999))


def test_a_saved_griffin_lim_is_the_original(chord_mel: torch.Tensor, tmp_path: Path) -> None:
    FramedGriffinLim(iterations=2, seed=5).save_pretrained(tmp_path)
    loaded = FramedGriffinLim.from_pretrained(tmp_path)
    assert torch.equal(loaded(chord_mel), FramedGriffinLim(iterations=2, seed=5)(chord_mel))
