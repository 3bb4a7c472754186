from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

import ondes
from ondes.audio import Audio
from ondes.checkpoints.spectrogram_folder import write_spectrogram_folder
from ondes.checkpoints.spectrogram_parts import PUBLIC_SCHEDULER, SpectrogramParts
from ondes.errors import UserError
from ondes.models.framed_vocoder import FramedVocoder
from ondes.models.mel_decoder import FramedGriffinLim
from ondes.notes import Notes
from ondes.pipelines.segment_network import PublishedNetwork, SegmentNetwork
from ondes.pipelines.spectrogram_diffusion import SpectrogramDiffusionPipeline
from ondes.pipelines.spectrogram_loading import load_mel_decoder
from ondes.pipelines.spectrogram_samplers import SPECTROGRAM_SAMPLERS
from ondes.pipelines.spectrogram_segments import (
    Sampling,
    Stretch,
    cut_segments,
    cut_windows,
    sample_stretches,
)
from plain_notes import plain_notes
from tiny_spectrograms import FRAMES, PlainVocoder, port_pipeline, tiny_networks, tiny_pipeline

SONG = plain_notes([(0.0, 0.4, 60, 80, 0), (0.3, 0.9, 64, 80, 0), (0.8, 1.03, 67, 80, 0)])
SHORT = plain_notes([(0.1, 0.5, 50, 80, 0)])
OTHER = plain_notes([(0.0, 0.7, 72, 80, 0), (0.7, 0.75, 48, 80, 0)])


@pytest.fixture(scope="module")
def pipeline() -> SpectrogramDiffusionPipeline:
    return tiny_pipeline()


@pytest.fixture(scope="module")
def plain() -> SpectrogramDiffusionPipeline:
    return tiny_pipeline(with_context=False)


def test_the_result_is_16_khz_mono_as_long_as_the_song(pipeline: SpectrogramDiffusionPipeline) -> None:
    made = pipeline(SONG)
    assert made.samples.shape == (1, round(1.03 * 16_000))
    assert made.sample_rate_hz == 16_000
    assert pipeline.log_mel(SONG).shape == (52, 128)


@pytest.mark.parametrize("continuation", ["context", "none", "inpainting"])
def test_several_songs_in_a_batch_are_the_single_ones(
    continuation: str, pipeline: SpectrogramDiffusionPipeline
) -> None:
    choices: dict[str, Any] = {"seed": 3, "continuation": continuation, "steps": 2}
    together = pipeline([SONG, SHORT, OTHER], **choices)
    for one, song in zip(together, (SONG, SHORT, OTHER), strict=True):
        alone = pipeline(song, **choices)
        assert one.samples.shape == alone.samples.shape
        assert np.abs(one.samples - alone.samples).max() < 1e-5


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_segments_made_in_parallel_do_not_depend_on_the_batch(
    batch_size: int, plain: SpectrogramDiffusionPipeline
) -> None:
    other = tiny_pipeline(with_context=False, batch_size=batch_size)
    assert np.abs(other.log_mel(SONG) - plain.log_mel(SONG)).max() < 1e-4


def test_ancestral_noise_does_not_depend_on_the_batch() -> None:
    made = [
        tiny_pipeline(with_context=False, batch_size=size).log_mel(SONG, sampler="ancestral", steps=3)
        for size in (1, 8)
    ]
    assert np.abs(made[0] - made[1]).max() < 1e-4


def test_blocks_of_a_stream_are_the_whole(pipeline: SpectrogramDiffusionPipeline) -> None:
    blocks = list(pipeline.stream(SONG, seed=1))
    assert len(blocks) > 1
    assert np.array_equal(Audio.concatenate(blocks).samples, pipeline(SONG, seed=1).samples)


def test_a_longer_song_begins_alike(pipeline: SpectrogramDiffusionPipeline) -> None:
    longer = plain_notes([(0.0, 0.4, 60, 80, 0), (0.3, 0.9, 64, 80, 0), (1.5, 2.0, 30, 80, 0)])
    assert np.abs(pipeline.log_mel(longer)[:32] - pipeline.log_mel(SONG)[:32]).max() < 1e-4


def test_the_seed_changes_the_music(pipeline: SpectrogramDiffusionPipeline) -> None:
    one, again, other = (pipeline.log_mel(SONG, seed=seed, steps=2) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert np.abs(one - other).max() > 0.1


def test_context_is_heard_from_the_second_segment_on(pipeline: SpectrogramDiffusionPipeline) -> None:
    hearing, deaf = pipeline.log_mel(SONG), pipeline.log_mel(SONG, continuation="none")
    assert np.abs(hearing[:FRAMES] - deaf[:FRAMES]).max() < 1e-4
    assert np.abs(hearing[FRAMES:] - deaf[FRAMES:]).max() > 0.01


def test_notes_are_heard(plain: SpectrogramDiffusionPipeline) -> None:
    moved = plain_notes([(0.0, 0.4, 61, 80, 0), (0.3, 0.9, 64, 80, 0), (0.8, 1.03, 67, 80, 0)])
    assert np.abs(plain.log_mel(moved)[:FRAMES] - plain.log_mel(SONG)[:FRAMES]).max() > 0.01


@pytest.mark.parametrize("sampler", SPECTROGRAM_SAMPLERS)
def test_every_sampler_stays_in_the_range_of_the_features(
    sampler: str, pipeline: SpectrogramDiffusionPipeline
) -> None:
    made = pipeline.log_mel(SONG, sampler=sampler, steps=4)
    assert np.isfinite(made).all()
    assert made.min() >= -11.5130
    assert made.max() <= 4.0001
    assert made.std() > 0.1


class Calls:
    """Counts what the networks are asked."""

    def __init__(self, pipeline: SpectrogramDiffusionPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: dict[str, list[int]] = {}
        for name, function in (
            ("notes_encoder", "forward"),
            ("continuous_encoder", "forward"),
            ("decoder", "forward"),
            ("decoder", "memory"),
        ):
            owner = getattr(pipeline, name)
            self.batches[f"{name}.{function}"] = []
            monkeypatch.setattr(
                owner, function, functools.partial(self._count, name, function, getattr(owner, function))
            )

    def _count(self, name: str, function: str, asked: Any, *words: Any) -> Any:
        self.batches[f"{name}.{function}"].append(len(words[0]))
        return asked(*words)


def test_encoders_run_once_a_segment_and_guidance_is_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = tiny_pipeline()
    calls = Calls(pipeline, monkeypatch)
    pipeline(SONG, steps=5)  # four segments
    assert calls.batches == {
        "notes_encoder.forward": [1] * 4,
        "continuous_encoder.forward": [1] * 3,
        "decoder.memory": [1] * 4,
        "decoder.forward": [2] * 20,
    }


def test_guidance_costs_only_in_its_interval_and_not_at_scale_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = tiny_pipeline(with_context=True, sampler="ancestral")
    calls = Calls(pipeline, monkeypatch)
    pipeline(SHORT, steps=10, guidance_interval=(0.25, 0.65))
    counts = calls.batches["decoder.forward"]
    assert counts[:10] == [1] * 4 + [2] * 4 + [1] * 2  # times 1.0, 0.9, ... 0.1
    counts.clear()
    pipeline(SHORT, steps=3, guidance_scale=1.0)
    assert set(counts) == {1}


def test_parallel_segments_share_batches_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = tiny_pipeline(batch_size=2)
    calls = Calls(pipeline, monkeypatch)
    pipeline([SONG, SHORT], continuation="none", steps=1)
    assert calls.batches["notes_encoder.forward"] == [1, 2, 2, 1]


def test_guidance_moves_the_result_and_rescaling_too(plain: SpectrogramDiffusionPipeline) -> None:
    made = [
        plain.log_mel(SONG, **choices)
        for choices in (
            {"guidance_scale": 1.0},
            {"guidance_scale": 3.0},
            {"guidance_scale": 3.0, "guidance_rescale": 0.7},
        )
    ]
    assert np.abs(made[0] - made[1]).max() > 1e-3
    assert np.abs(made[1] - made[2]).max() > 1e-4


def test_a_segment_with_too_many_tokens_is_split_and_nothing_is_lost() -> None:
    rows = [(0.02 * n, 0.02 * n + 0.01, 40 + n % 40, 80, 0) for n in range(32)]
    dense = plain_notes(rows, duration_s=0.64)
    pipeline = tiny_pipeline(most_tokens=40)
    network = pipeline.network
    whole = cut_segments(dense, pipeline.codec, tiny_pipeline(most_tokens=2048).network)
    split = cut_segments(dense, pipeline.codec, network)
    assert len(split) > len(whole) == 2
    assert max(len(stretch.tokens) for stretch in split) <= 40
    assert [s.start_frame for s in split[1:]] == list(np.cumsum([s.kept for s in split])[:-1])
    assert pipeline.log_mel(dense, steps=1).shape == (32, 128)
    assert pipeline(dense, steps=1).duration_s == 0.64
    windows = cut_windows(dense, pipeline.codec, network, 4)
    assert max(len(window.tokens) for window in windows) <= 40
    assert sum(window.kept for window in windows) == 32


def test_windows_cover_the_song_once_and_overlap(pipeline: SpectrogramDiffusionPipeline) -> None:
    windows = cut_windows(SONG, pipeline.codec, pipeline.network, 4)
    assert [(w.start_frame, w.known, w.kept) for w in windows] == [
        (0, 0, 16),
        (12, 4, 12),
        (24, 4, 12),
        (36, 4, 12),
    ]


@pytest.mark.parametrize("sampler", ["dpm++", "ancestral", "ddim"])
def test_inpainting_keeps_what_was_made(sampler: str, pipeline: SpectrogramDiffusionPipeline) -> None:
    history = torch.rand(9, 128, generator=torch.Generator().manual_seed(0)) - 0.5
    network = pipeline.network
    assert isinstance(network, SegmentNetwork)
    (stretch,) = cut_segments(SHORT, pipeline.codec, network)[:1]
    sampling = Sampling(0, 4, lambda: SPECTROGRAM_SAMPLERS[sampler]("epsilon"), 2.0)
    made = sample_stretches(
        network,
        [Stretch(stretch.tokens, 0, 6, 10)],
        [history],
        sampling,
        use_context=False,
        report=lambda _: None,
    )
    assert torch.equal(made[0, :6], history[-6:])


def test_visits_need_a_sampler_without_memory(pipeline: SpectrogramDiffusionPipeline) -> None:
    choices: dict[str, Any] = {"continuation": "inpainting", "visits": 3}
    made = pipeline.log_mel(SONG, sampler="ddim", **choices)
    assert np.abs(made - pipeline.log_mel(SONG, sampler="ddim", continuation="inpainting")).max() > 1e-3
    with pytest.raises(UserError, match="3 visits"):
        pipeline.log_mel(SONG, **choices)


def test_progress_rises_to_the_length_of_all_songs(pipeline: SpectrogramDiffusionPipeline) -> None:
    told: list[tuple[float, float]] = []
    pipeline([SONG, SHORT], progress=lambda *seconds: told.append(seconds))
    done = [seconds for seconds, _ in told]
    assert done == sorted(done)
    assert done[0] == 0
    assert told[-1] == (pytest.approx(1.53), pytest.approx(1.53))
    assert len(set(done)) > 10  # a step at a time


def test_work_ends_when_the_caller_wants(
    pipeline: SpectrogramDiffusionPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Calls(pipeline, monkeypatch)

    def stop(done_s: float, total_s: float) -> None:
        if done_s > 0.1:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        pipeline(SONG, progress=stop, steps=10)
    assert 0 < len(calls.batches["decoder.forward"]) < 10
    calls.batches["decoder.forward"].clear()
    stream: Any = pipeline.stream(SONG, steps=2)
    next(stream)
    stream.close()
    assert len(calls.batches["decoder.forward"]) in (2, 4)


@pytest.mark.parametrize("with_context", [pytest.param(False, marks=pytest.mark.slow), True])
def test_networks_of_the_port_play_too(with_context: bool) -> None:
    pipeline = port_pipeline(with_context=with_context)
    made = pipeline([SONG, SHORT], steps=3)
    assert [audio.duration_s for audio in made] == [1.03, 0.5]
    assert np.abs(made[0].samples - pipeline(SONG, steps=3).samples).max() < 1e-5
    official = pipeline.log_mel(SONG)
    pipeline.register_to_config(lead_frames=0)
    assert np.array_equal(official[:-1], pipeline.log_mel(SONG)[1:])


def test_a_saved_pipeline_is_the_original(pipeline: SpectrogramDiffusionPipeline, tmp_path: Path) -> None:
    networks = tiny_networks()
    saved = SpectrogramDiffusionPipeline(
        *networks, pipeline.scheduler, FramedGriffinLim(iterations=1), default_steps=2, default_guidance=1.5
    )
    saved.save_pretrained(tmp_path / "model")
    loaded = ondes.SpectrogramDiffusionPipeline.from_pretrained(tmp_path / "model")
    assert loaded.model_hash == saved.model_hash
    assert np.abs(loaded.log_mel(SHORT) - saved.log_mel(SHORT)).max() < 1e-5
    assert isinstance(loaded.vocoder, FramedGriffinLim)
    other = ondes.SpectrogramDiffusionPipeline.from_pretrained(tmp_path / "model", vocoder=PlainVocoder())
    assert np.abs(other(SHORT).samples - saved(SHORT, vocoder=PlainVocoder()).samples).max() < 1e-6


def test_a_model_without_context_and_vocoder_is_saved_too(tmp_path: Path) -> None:
    notes, _, decoder = tiny_networks()
    scheduler = DPMSolverMultistepScheduler()
    SpectrogramDiffusionPipeline(notes, None, decoder, scheduler).save_pretrained(tmp_path / "model")
    loaded = SpectrogramDiffusionPipeline.from_pretrained(tmp_path / "model")
    assert loaded.continuous_encoder is None
    assert isinstance(loaded.vocoder, FramedGriffinLim | FramedVocoder)


def test_damaged_weights_are_noticed(pipeline: SpectrogramDiffusionPipeline, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    SpectrogramDiffusionPipeline(*tiny_networks(), pipeline.scheduler).save_pretrained(folder)
    weights = folder / "decoder" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"oops")
    with pytest.raises(UserError, match=r"decoder/diffusion_pytorch_model\.safetensors is damaged"):
        SpectrogramDiffusionPipeline.from_pretrained(folder)


def test_the_published_layout_plays_the_same_networks(
    pipeline: SpectrogramDiffusionPipeline, tmp_path: Path
) -> None:
    parts = SpectrogramParts(*tiny_networks(), dict(PUBLIC_SCHEDULER), None, {})
    write_spectrogram_folder(parts, tmp_path / "public")
    loaded = SpectrogramDiffusionPipeline.from_pretrained(tmp_path / "public", vocoder=PlainVocoder())
    assert isinstance(loaded.scheduler, DPMSolverMultistepScheduler)
    assert loaded.default_steps == 20
    assert np.abs(loaded.log_mel(SONG, steps=3) - pipeline.log_mel(SONG)).max() < 1e-5


def test_the_hub_is_asked_for_the_index_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"notes_encoder": ["diffusers", "Other"]}')
    asked = []
    place = "ondes.pipelines.spectrogram_loading"
    monkeypatch.setattr(f"{place}.hf_hub_download", lambda *words: str(tmp_path / words[1]))

    def read(name: str) -> SpectrogramParts:
        asked.append(name)
        return SpectrogramParts(*tiny_networks(), dict(PUBLIC_SCHEDULER), None, {})

    monkeypatch.setattr(f"{place}.read_spectrogram_folder", read)
    SpectrogramDiffusionPipeline.from_pretrained("someone/spectrograms")
    assert asked == ["someone/spectrograms"]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"steps": 0}, "0 steps"),
        ({"steps": 1001, "sampler": "ddim"}, "1001 steps: 1 to 1000"),
        ({"sampler": "heun"}, "no sampler 'heun'"),
        ({"guidance_scale": -1.0}, "guidance scale of -1"),
        ({"guidance_interval": (0.7, 0.2)}, "from 0.7 to 0.2"),
        ({"guidance_rescale": 2.0}, "rescale of 2"),
        ({"continuation": "fade"}, "no continuation 'fade'"),
        ({"continuation": "context"}, "no context encoder"),
        ({"vocoder": "no/such/decoder"}, "no mel decoder"),
    ],
)
def test_wrong_choices_are_refused_in_one_line(
    choices: dict[str, Any], message: str, plain: SpectrogramDiffusionPipeline
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        plain(SONG, **choices)
    assert "\n" not in str(caught.value)


def test_a_score_without_notes_is_silence_with_a_warning(
    plain: SpectrogramDiffusionPipeline, caplog: pytest.LogCaptureFixture
) -> None:
    empty: Notes = plain_notes([], duration_s=3.0)
    silent, sounding = plain([empty, SHORT])
    assert "no notes" in caplog.text
    assert silent.duration_s == 3.0
    assert not silent.samples.any()
    assert np.array_equal(sounding.samples, plain(SHORT).samples)
    assert (plain.log_mel(empty) == np.float32(np.log(1e-5))).all()


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    for place in (tmp_path, "nowhere"):
        with pytest.raises(UserError) as caught:
            SpectrogramDiffusionPipeline.from_pretrained(place)
        assert "\n" not in str(caught.value)
    (tmp_path / "config.json").write_text('{"_class_name": "Vocoder"}')
    with pytest.raises(UserError, match="is a Vocoder"):
        load_mel_decoder(tmp_path)


def test_padding_of_a_batch_is_not_heard() -> None:
    network = PublishedNetwork(*tiny_networks())
    short, long = np.array([1134, 5, 1]), np.arange(1, 60)
    context = torch.rand(FRAMES, 128) - 0.5
    noise, time = torch.randn(2, FRAMES, 128), torch.full((2,), 0.4)
    with torch.no_grad():
        both = network.denoise(noise, time, network.encode([short, long], [context[:5], context]))
        alone = network.denoise(noise[:1], time[:1], network.encode([short], [context[:5]]))
    assert torch.allclose(both[:1], alone, atol=1e-5)


def test_batches_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="batch_size is 0: at least 1"):
        tiny_pipeline(batch_size=0)
