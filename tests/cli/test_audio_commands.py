"""`generate`, `vary`, `interpolate`, `inpaint` and `outpaint` with a pipeline of noise."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hum_pipeline import HumPipeline
from sine_pipeline import Ondes

from ondes.cli import audio_editing

RATE_HZ = 22_050
VERBS = {
    "generate": ["generate", "--duration", "1.5"],
    "vary": ["vary", "take.wav"],
    "interpolate": ["interpolate", "take.wav", "other.flac"],
    "inpaint": ["inpaint", "take.wav", "--regions", "0.5-1"],
    "outpaint": ["outpaint", "take.wav", "--after", "0.5"],
}
DIALS = [
    "--seed",
    "7",
    "--sampler",
    "heun",
    "--guidance",
    "1.5",
    "--temperature",
    "0.5",
    "--style",
    "piano",
    "--style",
    "strings",
]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _listed(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


@pytest.fixture
def hum(monkeypatch: pytest.MonkeyPatch) -> HumPipeline:
    """Replaces every model by noise."""
    pipeline = HumPipeline()
    monkeypatch.setattr(audio_editing, "load_audio", lambda *_: pipeline)
    return pipeline


@pytest.fixture
def takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a 16-bit WAV file and a mono FLAC file of two seconds."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    soundfile.write("take.wav", rng.integers(-9999, 9999, (2 * RATE_HZ, 2), np.int16), RATE_HZ)
    soundfile.write("other.flac", rng.uniform(-0.1, 0.1, 2 * RATE_HZ), RATE_HZ, subtype="PCM_24")
    return tmp_path


@pytest.mark.parametrize("verb", VERBS)
def test_all_dials_reach_the_pipeline(verb: str, ondes: Ondes, hum: HumPipeline, takes: Path) -> None:
    steps = "--sampling-steps" if verb == "interpolate" else "--steps"
    lufs = [] if verb in ("inpaint", "outpaint") else ["--lufs", "-16"]
    run = ondes(*VERBS[verb], "-o", "new.wav", *DIALS, steps, "9", *lufs)
    assert run.status == 0
    own: dict[str, dict[str, Any]] = {
        "generate": {"duration_s": 1.5, "loudness_lufs": -16.0},
        "vary": {"strength": 0.3, "loudness_lufs": -16.0},
        "interpolate": {"strength": 0.5, "method": "noise", "ratio": 0.5, "loudness_lufs": -16.0},
        "inpaint": {"regions": "0.5-1"},
        "outpaint": {"before_s": 0.0, "after_s": 0.5},
    }
    shared = {
        "seed": 7,
        "steps": 9,
        "sampler": "heun",
        "guidance_scale": 1.5,
        "temperature": 0.5,
        "style": ["piano", "strings"],
    }
    assert hum.calls == [(verb, own[verb] | shared)]


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_not_said_is_left_to_the_pipeline(
    verb: str, ondes: Ondes, hum: HumPipeline, takes: Path
) -> None:
    assert ondes(*VERBS[verb]).status == 0
    ((_, choices),) = hum.calls
    assert not {"steps", "sampler", "guidance_scale", "temperature", "style", "loudness_lufs"} & set(choices)


@pytest.mark.parametrize("verb", VERBS)
def test_a_replay_makes_the_same_bytes(verb: str, ondes: Ondes, hum: HumPipeline, takes: Path) -> None:
    (takes / "out").mkdir()
    assert ondes(*VERBS[verb], "-o", "out/new.wav", *DIALS).status == 0
    made = takes / "out" / "new.wav"
    before = made.read_bytes()
    made.unlink()
    run = ondes("replay", "out/new.json")
    assert (run.status, "The same bytes again: out/new.wav" in run.err) == (0, True)
    assert made.read_bytes() == before
    assert hum.calls[1] == (verb, {"steps": 16} | hum.calls[0][1])


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_floats_and_lossy_files_are_replayed_to_the_byte(
    suffix: str, ondes: Ondes, hum: HumPipeline, takes: Path
) -> None:
    soundfile.write("float.wav", np.full((RATE_HZ, 1), 0.3, np.float32), RATE_HZ, subtype="FLOAT")
    assert ondes("vary", "float.wav", "-o", f"new{suffix}").status == 0
    assert ondes("replay", "new.json", "-o", f"again{suffix}").status == 0
    assert Path(f"again{suffix}").read_bytes() == Path(f"new{suffix}").read_bytes()


def test_the_record_tells_what_was_made_from_what(ondes: Ondes, hum: HumPipeline, takes: Path) -> None:
    (takes / "out").mkdir()
    ondes(
        "interpolate",
        "take.wav",
        "other.flac",
        "-o",
        "out/new.wav",
        "--ratio",
        0.25,
        "--vocoder",
        "griffin-lim",
    )
    card = json.loads((takes / "out" / "new.json").read_text())
    assert card["verb"] == "interpolate"
    assert card["inputs"] == [
        {"name": f"../{name}", "sha256": _sha256(takes / name)} for name in ("take.wav", "other.flac")
    ]
    assert card["model"] == {"name": "audio-small", "sha256": hum.model_hash}
    assert card["vocoder"] == "griffin-lim"
    assert card["choices"]["ratio"] == 0.25
    assert card["output"] == {
        "file": "new.wav",
        "sha256": _sha256(takes / "out" / "new.wav"),
        "sample_rate_hz": RATE_HZ,
        "channels": 2,
        "duration_s": 2.0,
        "stems": {},
    }
    assert {"ondes", "torch"} <= set(card["versions"])


KINDS = ["PCM_U8", "PCM_16", "PCM_24", "FLOAT"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("output", ["new.wav", "new.flac"])
def test_no_sample_outside_the_regions_changes(
    kind: str, output: str, ondes: Ondes, hum: HumPipeline, takes: Path
) -> None:
    rng = np.random.default_rng(2)
    given = (2 * rng.normal(size=(2 * RATE_HZ, 2))).astype(np.float32)
    soundfile.write("in.wav", given, RATE_HZ, subtype=kind)
    before = Path("in.wav").read_bytes()
    run = ondes("inpaint", "in.wav", "--regions", "0.5-1,1.25-1.5", "-o", output)
    assert run.status == 0
    exact = output == "new.wav" or kind != "FLOAT"
    assert ("new.flac cannot hold the samples of in.wav exactly" in run.err) is not exact
    assert Path("in.wav").read_bytes() == before
    assert soundfile.info(output).subtype == ("FLOAT" if exact and kind == "FLOAT" else "PCM_24")
    first, new = (soundfile.read(name, dtype="float32")[0] for name in ("in.wav", output))
    time_s = np.arange(len(first)) / RATE_HZ
    inside = ((time_s >= 0.5) & (time_s < 1)) | ((time_s >= 1.25) & (time_s < 1.5))
    assert np.array_equal(new[~inside], first[~inside]) is exact
    assert not np.isclose(new[inside], first[inside], atol=1e-5).all()


@pytest.mark.parametrize("suffix", [".ogg", ".mp3"])
def test_lossy_outputs_are_said_to_be_inexact(
    suffix: str, ondes: Ondes, hum: HumPipeline, takes: Path
) -> None:
    run = ondes("outpaint", "take.wav", "--before", "0.5", "-o", f"new{suffix}")
    assert run.status == 0
    assert f"new{suffix} cannot hold the samples of take.wav exactly" in run.err
    assert "exactly" not in ondes("vary", "take.wav", "-o", f"varied{suffix}").err


def test_several_files_and_seeds_go_into_a_folder(ondes: Ondes, hum: HumPipeline, takes: Path) -> None:
    assert ondes("vary", "take.wav", "other.flac", "-n", 2, "--seed", 5, "-o", "out").status == 0
    audio = ["other-01.flac", "other-02.flac", "take-01.wav", "take-02.wav"]
    assert _listed(takes / "out") == sorted([*audio, *(f"{Path(name).stem}.json" for name in audio)])
    assert [choices["seed"] for _, choices in hum.calls] == [5, 6, 5, 6]
    ondes("vary", "other.flac", "--seed", 6, "-o", "alone.flac")
    assert Path("alone.flac").read_bytes() == Path("out/other-02.flac").read_bytes()
    assert ondes("replay", "out/other-02.json", "-o", "again.flac").status == 0


def test_records_of_other_files_stay(ondes: Ondes, hum: HumPipeline, takes: Path) -> None:
    Path("c.json").write_text('{"ondes_composition": 1, "outputs": {"c.mid": "0"}}')
    for _ in range(2):
        assert ondes("vary", "take.wav", "-o", "c.wav").status == 0
    assert Path("c.json").read_text() == '{"ondes_composition": 1, "outputs": {"c.mid": "0"}}'
    assert _listed(takes) == ["c.json", "c.wav", "c.wav.json", "other.flac", "take.wav"]
    assert ondes("replay", "c.wav.json", "-o", "again.wav").status == 0
    assert Path("again.wav").read_bytes() == Path("c.wav").read_bytes()


def test_sounds_of_one_name_in_two_formats_have_a_record_each(
    ondes: Ondes, hum: HumPipeline, takes: Path
) -> None:
    soundfile.write("take.flac", np.zeros(RATE_HZ), RATE_HZ)
    assert ondes("vary", "take.wav", "take.flac", "-o", "out").status == 0
    assert _listed(takes / "out") == ["take.flac", "take.flac.json", "take.wav", "take.wav.json"]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("generate -n 3 --duration 0.1", ["generated/01.wav", "generated/02.wav", "generated/03.wav"]),
        ("generate --duration 0.1", ["generated.wav"]),
        ("generate --duration 0:00.1 -o a.mp3", ["a.mp3"]),
        ("vary take.wav", ["take.varied.wav"]),
        ("vary take.wav -n 2", ["take.varied/01.wav", "take.varied/02.wav"]),
        ("vary take.wav other.flac", ["varied/other.flac", "varied/take.wav"]),
        ("inpaint other.flac --regions 0-end", ["other.inpainted.flac"]),
        ("outpaint take.wav --after 0:01", ["take.outpainted.wav"]),
        ("interpolate take.wav other.flac", ["take-other.interpolated.wav"]),
        (
            "interpolate take.wav other.flac --steps 3",
            [f"take-other.interpolated/0{number}.wav" for number in (1, 2, 3)],
        ),
    ],
)
def test_files_get_names_that_say_what_they_are(
    words: str, names: list[str], ondes: Ondes, hum: HumPipeline, takes: Path
) -> None:
    assert ondes(*words.split(), "--no-sidecar").status == 0
    assert _listed(takes) == sorted([*names, "take.wav", "other.flac"])


def test_a_walk_goes_from_the_first_to_the_second(ondes: Ondes, hum: HumPipeline, takes: Path) -> None:
    assert ondes("interpolate", "take.wav", "other.flac", "--steps", 5, "-o", "walk", "--seed", 2).status == 0
    assert [choices["ratio"] for _, choices in hum.calls] == [0, 0.25, 0.5, 0.75, 1]
    assert {choices["seed"] for _, choices in hum.calls} == {2}
    ondes("interpolate", "take.wav", "other.flac", "--ratio", 0.25, "--seed", 2, "-o", "alone.wav")
    assert Path("alone.wav").read_bytes() == Path("walk/02.wav").read_bytes()


def test_a_config_file_stands_for_the_flags(ondes: Ondes, hum: HumPipeline, takes: Path) -> None:
    Path("run.yaml").write_text(
        "sounds: [take.wav, other.flac]\nregions: 0:00.5-0:01,1.25-end\noutput: out\nstyle: piano\nseed: 4\n"
    )
    assert ondes("inpaint", "--config", "run.yaml", "--seed", 5).status == 0
    assert _listed(takes / "out") == ["other.flac", "other.json", "take.json", "take.wav"]
    assert [choices["seed"] for _, choices in hum.calls] == [5, 5]
    assert {choices["regions"] for _, choices in hum.calls} == {"0:00.5-0:01,1.25-end"}
    Path("run.yaml").write_text(
        "first: take.wav\nsecond: other.flac\nsteps: 2\nsampling-steps: 9\noutput: walk"
    )
    assert ondes("interpolate", "--config", "run.yaml", "--no-sidecar").status == 0
    assert _listed(takes / "walk") == ["01.wav", "02.wav"]
    assert hum.calls[-1][1]["steps"] == 9
