"""Checksums by mirdata's index; mirdata itself is replaced by what is used of it."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from ondes.datasets.checksums import check_dataset
from ondes.errors import UserError
from public_layouts import write_guitarset, write_slakh

NAME = "00_BN1-129-Eb_comp"


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture
def mirdata(tmp_path, monkeypatch):
    """`initialize` gives a data set whose index is `index.json`; `validate` is as in mirdata 1.0."""
    index = tmp_path / "index.json"
    fetched: list[list[str]] = []

    def validate(path, checksum):
        exists = Path(path).is_file()
        return exists, exists and md5(Path(path)) == checksum

    def download(*, partial_download):
        fetched.append(partial_download)
        index.write_text('{"tracks": {}}')

    parts = {
        "mirdata": {"initialize": lambda *_, **__: SimpleNamespace(index_path=str(index), download=download)},
        "mirdata.validate": {"validate": validate},
        "mirdata.datasets.guitarset": {"LICENSE_INFO": "\nMIT\n License."},
        "mirdata.datasets.slakh": {"LICENSE_INFO": "CC BY 4.0"},
    }
    for name, contents in parts.items():
        module = ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)
    return SimpleNamespace(index=index, fetched=fetched)


def test_only_the_files_that_are_read_are_checked(tmp_path, mirdata):
    root = tmp_path / "guitarset"
    write_guitarset(root, [NAME, "01_Rock1-90-C_solo", "02_SS1-68-E_comp"])
    tracks = {}
    for path in sorted((root / "annotation").glob("*.jams")):
        audio = root / "audio_mono-mic" / f"{path.stem}_mic.wav"
        tracks[path.stem] = {
            "jams": [f"annotation/{path.name}", md5(path)],
            "audio_mic": [f"audio_mono-mic/{audio.name}", md5(audio)],
            "audio_hex": [f"audio_hex-pickup_original/{path.stem}_hex.wav", "0" * 32],
        }
    mirdata.index.write_text(json.dumps({"version": "1.1.0", "tracks": tracks}))
    (root / "audio_mono-mic" / f"{NAME}_mic.wav").unlink()
    (root / "annotation" / "01_Rock1-90-C_solo.jams").write_text("{}")
    told: list[tuple[int, int]] = []
    found = check_dataset("guitarset", root, progress=lambda *counts: told.append(counts))
    assert found.files == 6
    assert found.missing == (f"audio_mono-mic/{NAME}_mic.wav",)
    assert found.damaged == ("annotation/01_Rock1-90-C_solo.jams",)
    assert found.licence == "MIT License."
    assert told == [(number, 6) for number in range(1, 7)]


def test_slakh_is_looked_for_beside_and_inside_its_folder(tmp_path, mirdata):
    root = tmp_path / "slakh2100_flac_redux"
    write_slakh(root, "Track00001", [(0, False)])
    song = root / "train" / "Track00001"

    def entry(relative):
        return [f"slakh2100_flac_redux/train/Track00001/{relative}", md5(song / relative)]

    meta = entry("metadata.yaml")
    stem = {"audio": entry("stems/S00.flac"), "midi": entry("MIDI/S00.mid"), "metadata": meta}
    unrendered = {"audio": [None, None], "midi": [None, None], "metadata": meta}
    mix = {"mix": entry("mix.flac"), "midi": [None, None], "metadata": meta, "tracks": ["Track00001-S00"]}
    tracks = {"Track00001-S00": stem, "Track00001-S99": unrendered}
    mirdata.index.write_text(json.dumps({"tracks": tracks, "multitracks": {"Track00001": mix}}))
    for folder in (tmp_path, root):
        found = check_dataset("slakh", folder)
        assert (found.files, found.missing, found.damaged) == (4, (), ())


def test_the_index_is_fetched_only_when_asked_for(tmp_path, mirdata):
    with pytest.raises(
        UserError,
        match=r"index of slakh is not on this machine; fetch it with .* --kind slakh --download-index",
    ):
        check_dataset("slakh", tmp_path)
    assert mirdata.fetched == []
    assert check_dataset("slakh", tmp_path, download_index=True).files == 0
    assert mirdata.fetched == [["index"]]


def test_a_failed_download_is_one_line(tmp_path, mirdata, monkeypatch):
    def fail(*_, **__):
        raise OSError("no network")

    dataset = SimpleNamespace(index_path=str(mirdata.index), download=fail)
    monkeypatch.setattr(sys.modules["mirdata"], "initialize", lambda *_, **__: dataset)
    with pytest.raises(UserError, match=r"could not fetch its index of slakh \(no network\)"):
        check_dataset("slakh", tmp_path, download_index=True)


def test_what_mirdata_does_not_know_is_refused(tmp_path, mirdata):
    with pytest.raises(
        UserError, match=r"no checksums of 'maestro' as it is read here; .*Allowed: guitarset, slakh"
    ):
        check_dataset("maestro", tmp_path)
    with pytest.raises(UserError, match=r"nowhere does not exist; give the folder of slakh"):
        check_dataset("slakh", tmp_path / "nowhere")


def test_without_mirdata_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mirdata", None)
    with pytest.raises(UserError, match=r"loaders and checksums need it: pip install 'ondes\[data\]'"):
        check_dataset("slakh", tmp_path)
