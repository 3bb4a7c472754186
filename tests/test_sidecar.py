"""Places of records: nothing that somebody else wrote is overwritten, nor the record of another file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ondes.errors import UserError
from ondes.sidecar import record_beside, replaceable


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (None, "song.json"),
        ('{"ondes_sidecar": 1, "output": {"file": "song.wav"}}', "song.json"),
        ('{"ondes_audio": 1, "output": {"file": "song.wav"}}', "song.json"),
        ('{"ondes_audio": 1, "output": {"file": "song.flac"}}', "song.wav.json"),
        ('{"ondes_composition": 1, "outputs": {"song.mid": "0"}}', "song.wav.json"),
        ('{"ondes_composition": 1}', "song.wav.json"),
        ('{"ondes_audio": 1, "output": 3, "outputs": []}', "song.wav.json"),
    ],
)
def test_a_record_replaces_one_of_the_same_file_alone(tmp_path: Path, found: str | None, name: str) -> None:
    if found is not None:
        (tmp_path / "song.json").write_text(found)
    assert record_beside(tmp_path / "song.wav") == tmp_path / name


@pytest.mark.parametrize("own", ['{"mine": true}', "[1]", "no JSON", ""])
def test_somebodys_own_file_is_refused_wherever_the_record_would_lie(tmp_path: Path, own: str) -> None:
    plain, named = tmp_path / "song.json", tmp_path / "song.wav.json"
    plain.write_text(own)
    with pytest.raises(UserError, match=r"song\.json exists and is no record of ondes; .* another -o$"):
        record_beside(tmp_path / "song.wav")
    plain.write_text('{"ondes_composition": 1}')
    named.write_text(own)
    with pytest.raises(UserError, match=r"song\.wav\.json exists and is no record of ondes"):
        record_beside(tmp_path / "song.wav")
    with pytest.raises(UserError, match=r"another --audio$"):
        replaceable(named, option="--audio")
