"""The five tasks of Msanii: as published with `compat`, and exact to the sample without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ondes.pipelines.msanii_job as job_module
from msanii_layout import networks, write_msanii
from ondes.audio import Audio
from ondes.errors import UserError
from ondes.pipelines.msanii import MsaniiPipeline, make_msanii_scheduler
from ondes.pipelines.msanii_exchange import import_msanii
from ondes.representations.msanii_mel import MelScaling, MsaniiFeatures, MsaniiSpec, msanii_filters

SPEC = MsaniiSpec(8000, 64, 32, 6)
CONFIG = MsaniiFeatures(SPEC, MelScaling(-2.0, 19.0, -2.2, 1.7)).to_config()


def make(**settings: Any) -> MsaniiPipeline:
    unet, vocoder = networks()
    for network in (unet, vocoder):
        network.register_to_config(features=CONFIG)
    given = {"default_steps": 4, "griffin_lim_iterations": 3, "window_frames": 64, **settings}
    return MsaniiPipeline(unet, vocoder, make_msanii_scheduler(), **given)


@pytest.fixture(scope="module")
def corrected() -> MsaniiPipeline:
    return make()


@pytest.fixture(scope="module")
def published() -> MsaniiPipeline:
    return make(compat=True)


def sound(samples: int = 2001, channels: int = 2, rate_hz: int = 8000, seed: int = 0) -> Audio:
    rng = np.random.default_rng(seed)
    return Audio(rng.uniform(-0.5, 0.5, (channels, samples)).astype(np.float32), rate_hz)


def same(one: Audio, other: Audio) -> bool:
    return one.samples.shape == other.samples.shape and np.allclose(
        one.samples, other.samples, rtol=1e-3, atol=1e-3
    )


def test_new_music_is_as_long_as_asked_or_as_published_fits_the_network(
    corrected: MsaniiPipeline, published: MsaniiPipeline
) -> None:
    exact = corrected.sample(1, duration_s=0.1234, seed=1)[0]
    assert exact.samples.shape == (2, 987)
    fitted = published.sample(1, duration_s=0.1234, channels=1, seed=1)[0]
    assert fitted.samples.shape == (1, SPEC.fitting_samples(987, multiple=4))
    assert exact.sample_rate_hz == fitted.sample_rate_hz == 8000


def test_a_piece_is_the_same_alone_and_in_a_batch_and_seeds_differ(corrected: MsaniiPipeline) -> None:
    together = corrected.sample(3, duration_s=0.1, seed=5)
    alone = corrected.sample(1, duration_s=0.1, seed=7)[0]
    assert np.array_equal(together[2].samples, alone.samples)
    assert not same(together[0], together[1])
    assert np.array_equal(corrected.sample(1, duration_s=0.1, seed=5)[0].samples, together[0].samples)


@pytest.mark.parametrize("steps", [4, 7])
def test_published_sampling_is_diffusers_ddim_and_the_vocoder_with_griffin_lim(
    published: MsaniiPipeline, steps: int
) -> None:
    job = job_module.MsaniiJob(published, progress=None, items=1, steps=steps)
    job.begin(3)
    noisy = start = job.noise(16, 2)[None]
    scheduler: Any = make_msanii_scheduler()
    scheduler.set_timesteps(steps)
    with torch.no_grad():
        for timestep in scheduler.timesteps:
            answer = published.unet(noisy, timestep[None])
            noisy = scheduler.step(answer, timestep, noisy, return_dict=False)[0]
    made = job.denoise(start[0], job.grid(1.0))
    assert torch.allclose(made, noisy[0], atol=1e-4)
    audio = published.sample(1, duration_s=15 * 32 / 8000, seed=3, steps=steps)[0]
    assert audio.samples.shape == (2, 15 * 32)


def test_the_published_grid_and_the_exact_one_begin_elsewhere(
    corrected: MsaniiPipeline, published: MsaniiPipeline
) -> None:
    for pipeline, first in ((published, 897), (corrected, 999)):
        job = job_module.MsaniiJob(pipeline, progress=None, items=1, steps=300)
        assert job.grid(1.0)[0] == first


def watch(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """What is denoised, without its being denoised."""
    seen: list[torch.Tensor] = []

    def keep(self: Any, noisy: torch.Tensor, timesteps: Any) -> torch.Tensor:
        seen.append(noisy)
        return noisy.clamp(-1, 1)

    monkeypatch.setattr(job_module.MsaniiJob, "denoise", keep)
    return seen


def test_interpolated_noise_is_too_weak_as_published_and_of_variance_1_without(
    corrected: MsaniiPipeline, published: MsaniiPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = watch(monkeypatch)
    quiet = Audio(np.full((2, 8001), 1e-9, np.float32), 8000)
    deviations = []
    for pipeline in (published, corrected):
        settings = {"strength": 1.0, "ratio": 0.5, "steps": 1000}
        pipeline.interpolate([quiet], [quiet], seed=1, **settings)
        deviations.append(float(seen[-1].std()))
    assert deviations == [pytest.approx(0.5**0.5, abs=0.03), pytest.approx(1.0, abs=0.03)]


def test_ratio_is_the_share_of_the_first(corrected: MsaniiPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = watch(monkeypatch)
    first, second = sound(seed=1), sound(1500, seed=2)
    corrected.interpolate([first], [second], ratio=1.0, strength=0.001, steps=1)
    corrected.audio_to_audio([first], strength=0.001, steps=1)
    # At the first level of the schedule there is next to no noise.
    assert torch.allclose(seen[0], seen[1], atol=0.05)
    corrected.interpolate([first], [second], ratio=0.0, strength=0.001, steps=1)
    assert (seen[2] - seen[1]).abs().max() > 0.3


@pytest.mark.parametrize(("channels", "rate_hz", "samples"), [(1, 8000, 1999), (2, 11025, 3000)])
def test_variations_have_the_sounds_rate_length_and_channels(
    corrected: MsaniiPipeline, channels: int, rate_hz: int, samples: int
) -> None:
    given = sound(samples, channels, rate_hz)
    made = corrected.audio_to_audio([given], strength=0.5, steps=2)[0]
    assert (made.samples.shape, made.sample_rate_hz) == (given.samples.shape, rate_hz)


@pytest.mark.parametrize(("channels", "rate_hz"), [(2, 8000), (1, 11025)])
def test_samples_outside_regions_come_back_bit_for_bit(
    corrected: MsaniiPipeline, channels: int, rate_hz: int
) -> None:
    given = sound(4001, channels, rate_hz)
    begin, end, last = (int(time_s * rate_hz + 0.5) for time_s in (0.05, 0.1, 0.2))
    made = corrected.inpaint([given], ["0.05-0.1,0.2-end"], steps=3, jump_length=2, jump_n_sample=2)[0]
    assert made.samples.shape == given.samples.shape
    assert np.array_equal(made.samples[:, :begin], given.samples[:, :begin])
    assert np.array_equal(made.samples[:, end:last], given.samples[:, end:last])
    assert np.abs(made.samples[:, begin:end] - given.samples[:, begin:end]).max() > 0.01
    assert np.abs(made.samples[:, last:] - given.samples[:, last:]).max() > 0.01


def test_published_inpainting_synthesises_everything_anew(published: MsaniiPipeline) -> None:
    given = sound(2017)
    made = published.inpaint([given], ["0.05-0.1"], steps=3)[0]
    assert made.samples.shape[1] == SPEC.fitting_samples(2017, multiple=4)
    assert np.abs(made.samples[:, :300] - given.samples[:, :300]).max() > 0.01


@pytest.mark.slow
def test_published_inpainting_asks_the_network_as_often_as_measured(
    published: MsaniiPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[float, float]] = []
    monkeypatch.setattr(type(published.unet), "forward", lambda _, noisy, __: noisy * 0)
    settings = {"griffin_lim_iterations": 0, "progress": lambda *at: told.append(at)}
    published.inpaint([sound()], ["0.05-0.1"], steps=20, **settings)
    assert told[-1] == (110, 110)
    told.clear()
    published.outpaint([sound()], num_spans=2, steps=20, jump_n_sample=1, **settings)
    assert told[-1] == (40, 40)


def test_outpainting_adds_halves_as_published(published: MsaniiPipeline) -> None:
    given = sound(2017)  # 64 frames
    made = published.outpaint([given], num_spans=3, steps=2)[0]
    assert made.samples.shape == (2, SPEC.samples(64 + 3 * 32))


@pytest.mark.parametrize(
    ("samples", "before_s", "after_s"),
    [
        (700, 0.1, 0.2),
        (5000, 0.11, 0.0),
        pytest.param(700, 0.0, 0.3, marks=pytest.mark.slow),
        pytest.param(5000, 0.1, 0.2, marks=pytest.mark.slow),
    ],
)
def test_a_sound_made_longer_holds_itself_bit_for_bit(
    corrected: MsaniiPipeline, samples: int, before_s: float, after_s: float
) -> None:
    given = sound(samples)
    settings: dict[str, Any] = {"steps": 2, "jump_length": 1, "jump_n_sample": 1, "griffin_lim_iterations": 1}
    made = corrected.extend(given, before_s=before_s, after_s=after_s, **settings)
    before, after = round(before_s * 8000), round(after_s * 8000)
    assert made.samples.shape == (2, before + samples + after)
    assert np.array_equal(made.samples[:, before : before + samples], given.samples)
    for new in (made.samples[:, :before], made.samples[:, before + samples :]):
        assert new.size == 0 or np.abs(new[:, new.shape[1] // 2 :]).max() > 1e-6


def test_known_frames_reach_the_network_where_the_sound_has_them(
    corrected: MsaniiPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def keep(self: Any, features: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        seen.append((features, known))
        return features

    monkeypatch.setattr(job_module.MsaniiJob, "repaint", keep)
    corrected.inpaint([sound()], ["0.1-0.15"], steps=1)
    _, known = seen[0]
    holes = torch.nonzero(~known)[:, 0] * 32
    assert (int(holes.min()), int(holes.max())) == (800, 1216)  # half a frame around 800 to 1200


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p: p.sample(0), "0 pieces of 2 channels"),
        (lambda p: p.sample(1, duration_s=float("nan")), "a piece of nan s"),
        (lambda p: p.sample(1, steps=0), "0 steps, 3 iterations of Griffin-Lim and eta 0"),
        (lambda p: p.sample(1, steps=1001), "1001 steps"),
        (lambda p: p.audio_to_audio([sound()], strength=0), "a strength of 0: above 0 to 1"),
        (lambda p: p.audio_to_audio([sound(channels=7)]), "has 7 channels"),
        (lambda p: p.interpolate([sound()], []), "1 and 0 sounds"),
        (lambda p: p.inpaint([sound()], []), "1 sounds and 0 lists of regions"),
        (lambda p: p.inpaint([sound()], ["0.2-0.1"]), "runs backwards"),
        (lambda p: p.inpaint([sound()], ["0.1-0.2"], jump_length=0), "jumps of 0 steps"),
        (lambda p: p.outpaint([sound()], num_spans=0), "0 spans"),
        (lambda p: p.extend(sound()), "give 0 or more, and one above 0"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(corrected: MsaniiPipeline, call: Any, words: str) -> None:
    with pytest.raises(UserError, match=words) as refused:
        call(corrected)
    assert "\n" not in str(refused.value)


def test_a_model_comes_back_from_its_folder(corrected: MsaniiPipeline, tmp_path: Path) -> None:
    corrected.save_pretrained(tmp_path / "model")
    back = MsaniiPipeline.from_pretrained(tmp_path / "model")
    assert back.model_hash == corrected.model_hash
    assert same(back.sample(1, duration_s=0.1)[0], corrected.sample(1, duration_s=0.1)[0])
    corrected.unet.save_pretrained(tmp_path / "unet")
    corrected.vocoder.save_pretrained(tmp_path / "vocoder")
    settings = {"default_steps": 4, "griffin_lim_iterations": 3}
    bare = MsaniiPipeline.from_pretrained(tmp_path / "unet", vocoder=tmp_path / "vocoder", **settings)
    assert same(bare.sample(1, duration_s=0.1)[0], corrected.sample(1, duration_s=0.1)[0])
    without = MsaniiPipeline.from_pretrained(tmp_path / "unet", **settings)
    plain = corrected.sample(1, duration_s=0.1, use_vocoder=False)[0]
    assert same(without.sample(1, duration_s=0.1)[0], plain)


def test_damaged_weights_and_other_folders_are_refused(corrected: MsaniiPipeline, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no audio model"):
        MsaniiPipeline.from_pretrained(tmp_path / "none")
    corrected.save_pretrained(tmp_path / "model")
    weights = next((tmp_path / "model" / "unet").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(UserError, match="is damaged"):
        MsaniiPipeline.from_pretrained(tmp_path / "model")


@pytest.mark.parametrize("compat", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_imported_checkpoint_makes_audio(tmp_path: Path, compat: bool) -> None:
    file = write_msanii(tmp_path / "msanii.pt", msanii_filters(SPEC).T.contiguous(), containers=True)
    import_msanii(str(file), tmp_path / "model", compat=compat)
    origin = json.loads((tmp_path / "model" / "source.json").read_text())
    assert (origin["layout"], origin["compat"], list(origin["sha256"])) == ("msanii", compat, ["msanii.pt"])
    pipeline = MsaniiPipeline.from_pretrained(tmp_path / "model")
    assert pipeline.compat == compat
    assert pipeline.unet.config["attention_frames"] == (None if compat else 8192)
    assert pipeline.features.to_config() == pytest.approx(CONFIG, abs=1e-6)
    assert len(pipeline.sample(1, duration_s=0.1, griffin_lim_iterations=2)) == 1
    with pytest.raises(UserError, match="already exists"):
        import_msanii(str(file), tmp_path / "model")
