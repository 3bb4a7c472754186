from __future__ import annotations

import csv
import inspect
import json
import subprocess
import sys
from pathlib import Path

import lightning
import numpy as np
import pytest
import torch
from spectrogram_runs import SYSTEMS, SpectrogramTrain, Unbroken, write_system  # pyright: ignore[reportMissingImports]

from ondes.errors import UserError
from ondes.models.spectrogram_autoregressive import SpectrogramAutoregressive
from ondes.pipelines.spectrogram_diffusion import SpectrogramDiffusionPipeline
from ondes.representations.events import Mt3Codec
from ondes.training.cli import GONE_FROM_TRAINER, main, refusal
from plain_notes import plain_notes


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_resumed_run_is_an_unbroken_one_bit_for_bit(
    system: str, train_spectrogram: SpectrogramTrain, unbroken: Unbroken, tmp_path: Path
) -> None:
    begun = train_spectrogram(system, tmp_path / "broken", "--trainer.max_steps", "2")
    resumed = train_spectrogram(system, tmp_path / "broken")
    assert begun["global_step"] == 2
    weights = unbroken(system)[1]["state_dict"]
    assert all(torch.equal(resumed["state_dict"][name], value) for name, value in weights.items())
    assert any(not torch.equal(begun["state_dict"][name], value) for name, value in weights.items())


@pytest.mark.slow
def test_a_run_saves_a_pipeline_of_the_averaged_weights_and_logs_their_losses(
    train_spectrogram: SpectrogramTrain, tmp_path: Path
) -> None:
    weights = train_spectrogram("diffusion", tmp_path, "--model.init_args.prediction", "v_prediction")[
        "state_dict"
    ]
    pipeline = SpectrogramDiffusionPipeline.from_pretrained(tmp_path / "model")
    for part in ("notes_encoder", "continuous_encoder", "decoder"):
        for name, value in getattr(pipeline, part).state_dict().items():
            assert torch.equal(value, weights[f"average.module.{part}.{name}"])
    assert pipeline.scheduler.config["prediction_type"] == "v_prediction"
    assert pipeline.continuous_encoder.config["terminal_relative"]
    with (tmp_path / "log" / "metrics.csv").open() as file:
        row = next(row for row in csv.DictReader(file) if row["validation/loss"])
    times = [float(row[f"validation/loss_{time}"]) for time in (0.1, 0.3, 0.5, 0.7, 0.9)]
    assert float(row["validation/loss"]) == pytest.approx(sum(times) / 5, rel=1e-4)


@pytest.mark.slow
def test_the_codec_of_a_run_is_saved_and_used_at_inference(
    train_spectrogram: SpectrogramTrain, tmp_path: Path
) -> None:
    codec = {"name": "mt3", "velocity_bins": 9, "granularity": "midi_class"}
    words = [f"--{part}.init_args.codec={json.dumps(codec)}" for part in ("model", "data")]
    train_spectrogram("diffusion", tmp_path, "--trainer.max_steps", "1", *words)
    pipeline = SpectrogramDiffusionPipeline.from_pretrained(tmp_path / "model")
    assert pipeline.config["codec"] == codec
    assert pipeline.codec == Mt3Codec(velocity_bins=9, granularity="midi_class")
    assert pipeline.notes_encoder.config["vocab_size"] == pipeline.codec.vocabulary_size
    played = [plain_notes([(0.0, 0.5, 60, velocity, 45)]) for velocity in (20, 110)]
    soft, loud = (pipeline.log_mel(notes, steps=1, guidance_scale=1.0) for notes in played)
    assert not np.array_equal(soft, loud)


@pytest.mark.slow
def test_the_baseline_is_saved_as_itself(unbroken: Unbroken) -> None:
    folder, checkpoint = unbroken("autoregressive")
    weights = checkpoint["state_dict"]
    saved = SpectrogramAutoregressive.from_pretrained(folder / "model", low_cpu_mem_usage=False)
    assert all(
        torch.equal(value, weights[f"average.module.{name}"]) for name, value in saved.state_dict().items()
    )


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--data.init_args.musicnet_pat", "x"], "did you mean 'data.init_args.musicnet_path'"),
        (
            ["--model.init_args.emb_dims", "3"],
            "'model.init_args.emb_dims': did you mean 'model.init_args.emb_dim'",
        ),
        (
            ["--model.class_path", "models.diffusion.DiffusionLM"],
            "'models.diffusion.DiffusionLM' cannot be used",
        ),
        (["--data.init_args.with_context", "false"], "with_context is True but .*with_context is False"),
        (["--data.init_args.codec", "port"], "codec is 'mt3' but data.init_args.codec is 'port'"),
        (
            ["--data.init_args.codec", "{name: mt3, velocity_bins: 16}"],
            "codec is 'mt3' but data.init_args.codec is {'name': 'mt3', 'velocity_bins': 16}",
        ),
        (
            ["--data.init_args.codec", "{name: mt3, velocity_bin: 16}"],
            "'mt3' has no field 'velocity_bin'; did you mean 'velocity_bins'",
        ),
        (["--data.init_args.midi_output_size", "null"], "have 2048 tokens but the model reads 64"),
        (["--data.init_args.rendered_path", "null"], "there is nothing to train on"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(
    words: list[str], hint: str, rendered: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=hint) as refused:
        main(
            "spectrogram-diffusion", ["--config", str(write_system("diffusion", rendered, tmp_path)), *words]
        )
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", GONE_FROM_TRAINER)
def test_settings_of_an_older_lightning_are_known(name: str) -> None:
    hint = f"the setting 'trainer.{name}' went with Lightning 1: "
    for message in (
        f"Group 'trainer' does not accept option '{name}'",
        f"unrecognized arguments: --trainer.{name} 1",
    ):
        assert refusal(message, ["trainer.devices"]).startswith(hint)
    assert name not in inspect.signature(lightning.Trainer).parameters


def test_a_configuration_for_an_older_lightning_is_refused_with_what_took_its_place(tmp_path: Path) -> None:
    config = tmp_path / "old.yaml"
    config.write_text("trainer:\n  gpus: 1\n")
    for words in (["--config", str(config)], ["--trainer.gpus", "1"]):
        with pytest.raises(UserError, match=r"'trainer.gpus' went with Lightning 1: use trainer.devices"):
            main("spectrogram-diffusion", words)


@pytest.mark.slow
def test_two_processes_train_together_even_if_every_condition_is_dropped(
    rendered: Path, tmp_path: Path
) -> None:
    """Weights without a gradient in one of them would end in an error of the other."""
    config = write_system("diffusion", rendered, tmp_path)
    together = ["--trainer.devices", "2", "--trainer.strategy", "ddp", "--model.init_args.cfg_dropout", "1.0"]
    ondes = str(Path(sys.executable).parent / "ondes")
    words = [ondes, "train", "spectrogram-diffusion", "--config", str(config), *together]
    subprocess.run(words, check=True, timeout=500)
    checkpoint = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=False)
    assert checkpoint["global_step"] == 4
    weights = {name: value for name, value in checkpoint["state_dict"].items() if name.startswith("network.")}
    average = {name.replace("network.", "average.module."): value for name, value in weights.items()}
    assert any(not torch.equal(checkpoint["state_dict"][name], value) for name, value in average.items())
