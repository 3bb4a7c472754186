"""The Dockerfile names files and options that are there, and runs nothing as root."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ondes.cli.main import build_app

ROOT = Path(__file__).parent.parent


def instructions() -> list[tuple[str, str]]:
    """Instruction and words of each line, continued lines joined, comments left out."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines()
    return [(first, rest.strip()) for first, _, rest in (line.partition(" ") for line in whole if line)]


def test_every_copied_source_is_there_and_not_ignored() -> None:
    copies = [shlex.split(rest) for name, rest in instructions() if name == "COPY"]
    sources = [source for words in copies for source in words[:-1]]
    assert {"pyproject.toml", "src"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
    first, *rest = (ROOT / ".dockerignore").read_text("utf-8").split()
    kept = {line[1:] for line in rest if line.startswith("!")}
    assert first == "*"
    assert set(sources) == kept
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {project["readme"], *project["license-files"]} <= set(sources)
    assert "studio" in project["optional-dependencies"]


def test_what_runs_is_no_root_and_asks_for_a_token() -> None:
    names = [name for name, _ in instructions()]
    assert set(names) <= {
        *(
            "FROM",
            "WORKDIR",
            "COPY",
            "ARG",
            "RUN",
            "USER",
            "VOLUME",
            "EXPOSE",
            "HEALTHCHECK",
            "ENTRYPOINT",
            "CMD",
        )
    }
    assert names[0] == "FROM"
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert dict(instructions())["USER"] not in {"root", "0"}
    assert not any(fnmatch.fnmatch(rest, "*TOKEN=*") for _, rest in instructions())


def test_the_default_command_has_its_options_and_is_refused_without_a_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("ONDES_TOKEN", raising=False)
    found = dict(instructions())
    assert json.loads(found["ENTRYPOINT"]) == ["ondes"]
    words = [word.replace("/data", str(tmp_path)) for word in json.loads(found["CMD"])]
    result = CliRunner().invoke(build_app(), words)
    assert "token" in str(result.exception).lower()
    assert list(tmp_path.iterdir()) == []
    assert f":{found['EXPOSE']}/healthz" in found["HEALTHCHECK"]


@pytest.mark.slow
def test_what_is_copied_starts_as_the_image_does_and_is_healthy(tmp_path: Path) -> None:
    image, data = tmp_path / "image", tmp_path / "data"
    data.mkdir()
    image.mkdir()
    for *sources, _ in [shlex.split(rest) for name, rest in instructions() if name == "COPY"]:
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, image / source, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, image / source)
    found = dict(instructions())
    words = [word.replace("/data", str(data)) for word in json.loads(found["CMD"])]
    started = [
        sys.executable,
        "-c",
        "import ondes, sys; print(ondes.__file__, flush=True); import ondes.cli.main as m; m.main()",
    ]
    environment = os.environ | {
        "PYTHONPATH": str(image / "src"),
        "ONDES_TOKEN": "0123456789abcdef",
        "COLUMNS": "300",
    }
    with subprocess.Popen(
        [*started, *words, "--port", "0", "--threads", "1"],
        cwd=data,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().startswith(str(image))
            line = process.stdout.readline()
            port = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            assert port, line + process.stdout.read()
            check = json.loads(found["HEALTHCHECK"].partition(" CMD ")[2])
            probe = [sys.executable, *(word.replace(":7860", f":{port[1]}") for word in check[1:])]
            # Docker gives up after three times.
            assert any(subprocess.run(probe, check=False, timeout=60).returncode == 0 for _ in range(3))
            assert (data / "studio" / "studio.sqlite").is_file()
        finally:
            process.terminate()
