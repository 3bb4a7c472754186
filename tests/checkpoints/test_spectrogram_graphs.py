"""Graphs for other engines answer what the networks do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ondes.checkpoints.spectrogram_graphs import write_onnx, write_openvino
from ondes.checkpoints.spectrogram_parts import PUBLIC_SCHEDULER, SpectrogramParts
from ondes.errors import UserError
from ondes.models.int8_linear import relative_error
from tiny_spectrograms import FRAMES, tiny_networks

Run = Callable[[str, dict[str, np.ndarray]], list[np.ndarray]]
"""Runs the graph of a name on its inputs."""


def parts() -> SpectrogramParts:
    return SpectrogramParts(*tiny_networks(), dict(PUBLIC_SCHEDULER), None, {})


def assert_same(run: Run, model: SpectrogramParts) -> None:
    """Compare a segment of three examples, one of which hears nothing, and other sizes than those of the trace."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(1, 1300, (3, 9), generator=generator)
    mask = torch.arange(9) < torch.tensor([9, 4, 0])[:, None]
    frames = torch.randn(3, 11, 128, generator=generator).clamp(-1, 1)
    heard = torch.arange(11) < torch.tensor([11, 3, 0])[:, None]
    noisy, time = torch.randn(3, FRAMES, 128, generator=generator), torch.tensor([0.9, 0.5, 0.1])
    with torch.no_grad():
        notes = model.notes_encoder(tokens, mask)
        assert model.continuous_encoder is not None
        context = model.continuous_encoder(frames, heard)
        both, known = torch.cat([notes, context], 1), torch.cat([mask, heard], 1)
        wanted = model.decoder(noisy, time, model.decoder.memory(both, known))

    (found_notes,) = run("notes_encoder", {"tokens": tokens.numpy(), "mask": mask.numpy()})
    (found_context,) = run("continuous_encoder", {"frames": frames.numpy(), "mask": heard.numpy()})
    for found, true, valid in ((found_notes, notes, mask), (found_context, context, heard)):
        np.testing.assert_allclose(found[valid.numpy()], true[valid].numpy(), atol=1e-4)
    encodings = np.concatenate([found_notes, found_context], 1)
    keys, values = run("memory", {"encodings": encodings})
    inputs = {
        "noisy": noisy.numpy(),
        "time": time.numpy(),
        "keys": keys,
        "values": values,
        "mask": known.numpy(),
    }
    (answer,) = run("decoder", inputs)
    np.testing.assert_allclose(answer, wanted.numpy(), atol=1e-4)


@pytest.mark.slow
def test_onnx_graphs_answer_what_the_networks_do(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    write_onnx(parts(), tmp_path / "graphs")

    def run(name: str, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        session = onnxruntime.InferenceSession(str(tmp_path / "graphs" / f"{name}.onnx"))
        return session.run(None, inputs)

    assert_same(run, parts())


@pytest.mark.slow
def test_a_decoder_of_8_bits_answers_nearly_the_same_and_the_error_is_told(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    model, folder = parts(), tmp_path / "graphs"
    error = write_onnx(model, folder, int8=True)
    assert error is not None
    assert 0 < error < 0.1
    decoder = model.decoder
    generator = torch.Generator().manual_seed(1)
    encodings = torch.randn(2, 20, int(decoder.config["d_model"]), generator=generator)
    noisy, time = torch.randn(2, FRAMES, 128, generator=generator), torch.tensor([0.9, 0.2])
    heard = torch.ones(2, 20, dtype=torch.bool)
    with torch.no_grad():
        wanted = decoder(noisy, time, decoder.memory(encodings, heard))
    memory = onnxruntime.InferenceSession(str(folder / "memory.onnx"))
    keys, values = memory.run(None, {"encodings": encodings.numpy()})
    inputs = {"noisy": noisy.numpy(), "time": time.numpy(), "keys": keys, "values": values}
    rounded = onnxruntime.InferenceSession(str(folder / "decoder_int8.onnx"))
    (found,) = rounded.run(None, inputs | {"mask": heard.numpy()})
    assert error / 3 < relative_error(torch.from_numpy(found), wanted) < 3 * error


@pytest.mark.slow
def test_openvino_graphs_answer_what_the_networks_do(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    openvino = pytest.importorskip("openvino")
    write_openvino(parts(), tmp_path / "graphs")
    core = openvino.Core()

    def run(name: str, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        settings = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = core.compile_model(tmp_path / "graphs" / f"{name}.xml", "CPU", settings)
        made = compiled(inputs)
        return [made[output] for output in compiled.outputs]

    assert_same(run, parts())


@pytest.mark.parametrize(
    ("write", "package", "extra"), [(write_onnx, "onnx", "export"), (write_openvino, "openvino", "openvino")]
)
def test_missing_packages_are_named_with_their_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[..., None], package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"package '{package}' is missing.*pip install 'ondes\[{extra}\]'"):
        write(parts(), tmp_path / "graphs")
    assert not (tmp_path / "graphs").exists()
