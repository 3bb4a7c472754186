from __future__ import annotations

import builtins
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from ondes.cli import serve
from ondes.cli.main import main
from ondes.errors import UserError
from ondes.studio import serving
from ondes.studio.settings import StudioSettings


def _refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as leaving:
        main(["serve", *words])
    assert leaving.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The apps and addresses that would be served."""
    found: list[Any] = []
    monkeypatch.setattr(serve, "run_server", lambda *given, **_: found.append(given))
    monkeypatch.delenv("ONDES_TOKEN", raising=False)
    return found


def test_an_address_for_others_needs_a_token(
    capsys: pytest.CaptureFixture[str], started: list[Any], tmp_path: Path
) -> None:
    said = _refused(capsys, "--host", "0.0.0.0", "--folder", str(tmp_path))
    assert "--host 0.0.0.0 lets other machines in, so it needs --token" in said
    assert "the token has 5 characters" in _refused(capsys, "--token", "short")
    assert started == []


def test_the_token_of_the_environment_counts(
    monkeypatch: pytest.MonkeyPatch, started: list[Any], tmp_path: Path
) -> None:
    monkeypatch.setenv("ONDES_TOKEN", "correct-horse-battery-staple")
    with pytest.raises(SystemExit):
        main(["serve", "--host", "0.0.0.0", "--name", "Studio.Example.org", "--folder", str(tmp_path)])
    ((app, host, port),) = started
    assert (host, port) == ("0.0.0.0", 8000)
    stranger = TestClient(app, base_url="http://studio.example.org")
    assert stranger.get("/v1/models").status_code == 401
    assert TestClient(app, base_url="http://evil.example").get("/v1/models").status_code == 421


def test_limits_reach_the_studio(monkeypatch: pytest.MonkeyPatch, started: list[Any], tmp_path: Path) -> None:
    made: list[StudioSettings] = []
    plain = serve.open_settings

    def kept(*arguments: Any, **limits: Any) -> StudioSettings:
        made.append(plain(*arguments, **limits))
        return made[-1]

    monkeypatch.setattr(serve, "open_settings", kept)
    words = (
        "--workers 2 --threads 3 --queue 5 --upload-mib 0.5 --audio-s 60 --notes 70 --wall-s 80 --keep-h 2"
    )
    with pytest.raises(SystemExit) as leaving:
        main(["serve", "--folder", str(tmp_path), *words.split(), "--storage-gib", "0.25"])
    assert leaving.value.code == 0
    assert made == [
        StudioSettings(
            tmp_path,
            workers=2,
            threads=3,
            queue_limit=5,
            upload_bytes=2**19,
            audio_s=60,
            notes=70,
            wall_s=80,
            keep_s=7200,
            storage_bytes=2**28,
        )
    ]


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "sse_starlette":
            raise ModuleNotFoundError(name=name)
        return real(name, *arguments, **named)

    monkeypatch.delitem(sys.modules, "sse_starlette", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        UserError, match=r"the studio needs sse_starlette: install it with pip install 'ondes\[studio\]'"
    ):
        serve.need_extra()


def test_the_address_that_is_said_can_be_opened() -> None:
    assert serve.address("127.0.0.1", 80) == "http://127.0.0.1:80"
    assert serve.address("0.0.0.0", 8000) == "http://127.0.0.1:8000"
    assert serve.address("::1", 8000) == "http://[::1]:8000"


def test_a_taken_port_is_refused_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with serving.listen("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        assert f"cannot listen at 127.0.0.1 port {port}" in _refused(
            capsys, "--port", port, "--folder", str(tmp_path)
        )
