from __future__ import annotations

import copy
import json
import logging
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_flow_match_heun_discrete import FlowMatchHeunDiscreteScheduler

from ondes.audio import Audio
from ondes.controls import Controls
from ondes.diffusion.noise import position_noise
from ondes.errors import UserError
from ondes.notes import Part
from ondes.pipelines.limiter import true_peaks
from ondes.pipelines.loading import load_vocoder
from ondes.pipelines.samplers import SAMPLERS, make_scheduler
from ondes.pipelines.synthesis import SynthesisPipeline, part_names
from ondes.representations.mel import MEL
from ondes.representations.note_frames import to_note_frames
from plain_notes import plain_notes  # pyright: ignore[reportMissingImports]
from tiny_model import SIZES, save_tiny_model  # pyright: ignore[reportMissingImports]

ROWS = [(0.0, 0.4, 60, 90, 0), (0.3, 0.8, 64, 70, 0), (0.5, 1.0, 43, 100, 1)]
SONG = plain_notes(ROWS)
SHORT = plain_notes([(0.0, 0.1, 60, 90, 0)], duration_s=0.1)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def pipeline(saved: Path) -> SynthesisPipeline:
    """A pipeline whose network has left its first weights: noise, notes and context all matter."""
    pipeline = SynthesisPipeline.from_pretrained(saved)
    torch.manual_seed(1)
    for weight in [pipeline.denoiser.leave.weight, *pipeline.denoiser.stack.parameters()]:
        torch.nn.init.normal_(weight, std=0.1)
    return pipeline


@pytest.fixture(scope="module")
def loud(pipeline: SynthesisPipeline) -> SynthesisPipeline:
    """The same with a sketch so loud that the limiter must work."""
    loud = copy.deepcopy(pipeline)
    with torch.no_grad():
        loud.denoiser.notes.levels.bias[:-1] += 7
    return loud


@pytest.fixture(scope="module")
def audio(pipeline: SynthesisPipeline) -> Audio:
    return pipeline(SONG)


@pytest.fixture(scope="module")
def log_mel(pipeline: SynthesisPipeline) -> np.ndarray:
    """What the pipeline makes of the song by default."""
    made = pipeline.log_mel(SONG)
    made.flags.writeable = False
    return made


@pytest.fixture(scope="module")
def short_log_mel(pipeline: SynthesisPipeline) -> np.ndarray:
    """What it makes of a short note in three steps."""
    made = pipeline.log_mel(SHORT, steps=3)
    made.flags.writeable = False
    return made


def test_audio_is_as_long_as_the_score_and_its_tail(audio: Audio) -> None:
    assert audio.sample_rate_hz == 44_100
    assert audio.samples.shape == (2, math.ceil(3.0 * MEL.frames_per_second) * 512)
    assert float(np.abs(audio.samples).max()) > 1e-3


def test_a_stream_is_the_whole_bit_for_bit(pipeline: SynthesisPipeline, audio: Audio) -> None:
    blocks = list(pipeline.stream(SONG))
    assert len(blocks) > 1
    assert np.array_equal(np.concatenate([block.samples for block in blocks], 1), audio.samples)


def test_a_seed_means_the_same_music(pipeline: SynthesisPipeline, audio: Audio) -> None:
    assert np.array_equal(pipeline(SONG, seed=0).samples, audio.samples)
    assert not np.allclose(pipeline(SONG, seed=1).samples, audio.samples, atol=1e-3)


def test_a_longer_score_that_begins_alike_sounds_alike(pipeline: SynthesisPipeline, audio: Audio) -> None:
    longer = pipeline(plain_notes([*ROWS, (3.5, 4.0, 72, 100, 0)]))
    join = pipeline.join_times_s(audio.duration_s)[-1] * MEL.frames_per_second
    # The vocoder works in blocks of 64 frames.
    same = (round(join) - pipeline.vocoder.reach_frames) // 64 * 64 * 512 - MEL.fft_size
    assert same > 44_100
    assert np.array_equal(longer.samples[:, :same], audio.samples[:, :same])


def test_context_makes_segments_follow_each_other(pipeline: SynthesisPipeline, log_mel: np.ndarray) -> None:
    changed = copy.deepcopy(pipeline)
    changed.register_to_config(context_frames=0)
    first = SIZES["first_frames"]
    ours, theirs = log_mel, changed.log_mel(SONG)
    assert np.array_equal(ours[..., :first], theirs[..., :first])
    assert not np.allclose(ours[..., first : first + 8], theirs[..., first : first + 8], atol=1e-3)


@pytest.mark.slow
def test_an_untrained_pipeline_makes_the_sketch_plus_the_noise_of_each_place(saved: Path) -> None:
    untrained = SynthesisPipeline.from_pretrained(saved)
    made = untrained.log_mel(SONG, seed=3, steps=16, sampler="heun")
    frames = math.ceil(3.0 * MEL.frames_per_second)
    assert made.dtype == np.float32
    assert made.shape == (2, 128, frames)
    window = to_note_frames(SONG, start_frame=0, frames=frames // 2 * 2)
    with torch.no_grad():
        sketch = untrained.denoiser.condition(window).sketch[0]
    noise = position_noise((2, 128), start_frame=0, frames=window.frames, seed=3)
    expected = untrained.denoiser.restore(sketch + noise).numpy()
    assert np.abs(made[..., : window.frames] - expected).max() < 0.05


def test_an_instrument_is_made_louder_by_its_gain(saved: Path) -> None:
    """The sketch is a sum of powers: of one instrument alone it rises by the gain wherever it is above the floor."""
    score = plain_notes([(0.0, 0.4, 60, 90, 0)], duration_s=0.4)
    plain = SynthesisPipeline.from_pretrained(saved)
    louder, other = (
        SynthesisPipeline.from_pretrained(
            saved, instrument_gains_db=[12.0 * (each == program) for each in range(129)]
        )
        for program in (0, 1)
    )
    ours, more, same = (pipeline.log_mel(score, temperature=0.0) for pipeline in (plain, louder, other))
    assert np.array_equal(ours, same)
    heard = ours > math.log(1e-4)
    assert heard.mean() > 0.2
    assert np.abs((more - ours)[heard] - 12 * math.log(10) / 20).mean() < 0.1


def test_gains_of_instruments_are_saved_and_checked(saved: Path, tmp_path: Path) -> None:
    gains_db = [0.25] * 128 + [-1.0]
    SynthesisPipeline.from_pretrained(saved, instrument_gains_db=gains_db).save_pretrained(tmp_path / "model")
    again = SynthesisPipeline.from_pretrained(tmp_path / "model")
    assert list(again.config["instrument_gains_db"]) == gains_db
    for wrong in ([0.0] * 128, [0.0] * 128 + [math.nan]):
        with pytest.raises(UserError, match="give 129 numbers in dB"):
            SynthesisPipeline.from_pretrained(saved, instrument_gains_db=wrong)


def test_stems_of_one_part_are_the_mix(pipeline: SynthesisPipeline) -> None:
    alone = plain_notes(ROWS[:2])
    stems = pipeline.stems(alone)
    assert list(stems) == ["Piano 0"]
    assert np.array_equal(stems["Piano 0"].samples, pipeline(alone).samples)


@pytest.mark.slow
def test_stems_share_one_limiter(loud: SynthesisPipeline) -> None:
    stems = loud.stems(SONG)
    total = torch.tensor(sum(stem.samples for stem in stems.values()))
    assert float(true_peaks(total).max()) <= 10 ** (-1 / 20) + 1e-6
    alone = loud(SONG.select(SONG.part == 0)).samples
    # Were each part limited by itself, their sum would be too loud.
    assert np.abs(stems["Piano 0"].samples).max() < np.abs(alone).max()


def test_the_mix_stays_below_the_ceiling(loud: SynthesisPipeline) -> None:
    mix = torch.tensor(loud(SONG).samples)
    assert 0.8 < float(true_peaks(mix).max()) <= 10 ** (-1 / 20) + 1e-6


def test_parts_of_one_name_are_numbered() -> None:
    parts = [Part(name, 0, False, Controls()) for name in ("a", "b", "a", "a")]
    assert part_names(plain_notes([], parts=parts)) == ["a", "b", "a (2)", "a (3)"]


def test_no_notes_are_silence_with_a_warning(
    pipeline: SynthesisPipeline, caplog: pytest.LogCaptureFixture
) -> None:
    told = []
    with caplog.at_level(logging.WARNING, logger="ondes"):
        silence = pipeline(plain_notes([], duration_s=1.5), progress=lambda *done: told.append(done))
    assert "no notes" in caplog.text
    assert silence.samples.shape == (2, math.ceil(3.5 * MEL.frames_per_second) * 512)
    assert not silence.samples.any()
    assert told[-1][0] == told[-1][1] == silence.duration_s


def test_progress_rises_to_the_total(pipeline: SynthesisPipeline, audio: Audio) -> None:
    told: list[tuple[float, float]] = []
    pipeline(SONG, progress=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert [total for _, total in told] == pytest.approx([audio.duration_s] * len(told))
    assert told[-1][0] == pytest.approx(audio.duration_s)


def test_a_saved_and_loaded_pipeline_is_the_original(
    pipeline: SynthesisPipeline, audio: Audio, tmp_path: Path
) -> None:
    pipeline.save_pretrained(tmp_path / "a")
    loaded = SynthesisPipeline.from_pretrained(tmp_path / "a")
    assert loaded.model_hash == pipeline.model_hash
    assert loaded.default_steps == 2
    assert np.array_equal(loaded(SONG).samples, audio.samples)
    assert not list((tmp_path / "a").rglob("*.bin"))


def test_the_hash_is_of_the_weights(pipeline: SynthesisPipeline, saved: Path) -> None:
    assert SynthesisPipeline.from_pretrained(saved).model_hash != pipeline.model_hash
    assert (
        SynthesisPipeline.from_pretrained(saved).model_hash
        == SynthesisPipeline.from_pretrained(saved).model_hash
    )


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_plays_in_its_own_way(
    sampler: str, pipeline: SynthesisPipeline, short_log_mel: np.ndarray
) -> None:
    made = pipeline.log_mel(SHORT, sampler=sampler, steps=3)
    assert bool(np.isfinite(made).all())
    assert np.array_equal(made, pipeline.log_mel(SHORT, sampler=sampler, steps=3))
    assert np.array_equal(made, short_log_mel) == (sampler == "euler")


def test_a_scheduler_is_swapped_from_its_config(pipeline: SynthesisPipeline) -> None:
    swapped = copy.copy(pipeline)
    swapped.scheduler = FlowMatchHeunDiscreteScheduler.from_config(pipeline.scheduler.config)
    assert np.array_equal(swapped.log_mel(SONG), pipeline.log_mel(SONG, sampler="heun"))
    assert type(make_scheduler("heun")) is FlowMatchHeunDiscreteScheduler


def test_guidance_of_one_changes_nothing_and_more_does(
    pipeline: SynthesisPipeline, log_mel: np.ndarray
) -> None:
    assert np.array_equal(pipeline.log_mel(SONG, guidance_scale=1.0), log_mel)
    assert not np.allclose(pipeline.log_mel(SONG, guidance_scale=2.0), log_mel, atol=1e-2)


def test_temperature_scales_the_noise(pipeline: SynthesisPipeline, log_mel: np.ndarray) -> None:
    assert np.array_equal(pipeline.log_mel(SONG, temperature=1.0), log_mel)
    cold = [pipeline.log_mel(SONG, seed=seed, temperature=0.0) for seed in (0, 1)]
    assert np.array_equal(cold[0], cold[1])


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"sampler": "eular"}, "no sampler 'eular': did you mean 'euler'"),
        ({"steps": 0}, "0 steps: 1 to 1000"),
        ({"steps": 1001}, "1001 steps"),
        ({"guidance_scale": -1.0}, "guidance scale of -1.0: 0 or more"),
        ({"guidance_scale": math.nan}, "guidance scale of nan"),
        ({"temperature": 2.5}, "temperature of 2.5: 0 to 2"),
    ],
)
def test_what_cannot_be_used_is_refused(
    choice: dict[str, Any], words: str, pipeline: SynthesisPipeline
) -> None:
    with pytest.raises(UserError, match=words):
        pipeline(SONG, **choice)


def test_griffin_lim_stands_in_for_the_vocoder(saved: Path) -> None:
    pipeline = SynthesisPipeline.from_pretrained(saved, vocoder="griffin-lim")
    pipeline.vocoder.register_to_config(iterations=1)
    blocks = list(pipeline.stream(SHORT))
    assert sum(block.samples.shape[1] for block in blocks) == math.ceil(2.1 * MEL.frames_per_second) * 512


def damage(saved: Path, folder: Path, file: str, change: dict[str, object]) -> Path:
    """A copy of a model with other settings in one of its files."""
    shutil.copytree(saved, folder)
    settings = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(settings | change))
    return folder


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("denoiser/config.json", {"width": 32}),
        ("denoiser/config.json", {"width": "wide"}),
        ("vocoder/config.json", {"blocks": 3}),
        ("model_index.json", {"denoiser": ["ondes.models.note_denoiser", "NoteDenoser"]}),
        ("model_index.json", {"denoiser": ["ondes.models.nothing", "NoteDenoiser"]}),
    ],
)
def test_settings_that_do_not_fit_the_weights_are_one_line(
    file: str, change: dict[str, object], saved: Path, tmp_path: Path
) -> None:
    folder = damage(saved, tmp_path / "model", file, change)
    with pytest.raises(
        UserError, match=r"cannot be loaded as a synthesiser|not those that its config\.json asks for"
    ) as refused:
        SynthesisPipeline.from_pretrained(folder)
    assert "\n" not in str(refused.value)


def test_a_flipped_bit_is_one_line(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "model")
    weights = next((tmp_path / "model" / "vocoder").glob("*.safetensors"))
    content = weights.read_bytes()
    weights.write_bytes(content[:-9] + bytes([content[-9] ^ 4]) + content[-8:])
    with pytest.raises(UserError, match="is damaged"):
        SynthesisPipeline.from_pretrained(tmp_path / "model")


def test_a_vocoder_alone_is_loaded_or_refused_in_one_line(saved: Path, tmp_path: Path) -> None:
    vocoder = load_vocoder(saved / "vocoder")
    assert vocoder.config["blocks"] == 1
    folder = damage(saved, tmp_path / "model", "vocoder/config.json", {"width": 32})
    with pytest.raises(UserError, match="cannot be loaded as a vocoder") as refused:
        load_vocoder(folder / "vocoder")
    assert "\n" not in str(refused.value)
