"""Engines differ in speed alone; a worker that dies costs one file, and stopping leaves nothing half-made."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType

import pytest
import stand_in
from stand_in import write_scores

from ondes.errors import UserError
from ondes.tasks.batch_engines import RAY_STARTS, engine_of, join_ray, ray_aside

SCORES = {"a": "aaa", "b": "bbb refuse", "c": "crash", "d__d": "ddd", "e": "eee", "f": "fff"}


def finish(
    engine: str, scores: Path, out: Path, workers: int, *, most: int = 100
) -> dict[str, tuple[str, str]]:
    """Status and reason of every file that is worked on in a process of its own, which Ray may litter."""
    words = [sys.executable, stand_in.__file__, engine, scores, out, workers, most]
    search = {"PYTHONPATH": str(Path(stand_in.__file__).parent)}  # also of Ray's workers
    done = subprocess.run(
        [str(word) for word in words], env=os.environ | search, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]  # nobody else may write there
    # Of a file that was finished as another's worker died, the word may be lost: it is found instead.
    return {name: (status.replace("kept", "made"), reason) for name, status, reason in rows}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_one_and_two_processes_and_ray_give_the_same_bytes_and_outlive_a_crash(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="pip install 'ondes[ray]'")
    scores = write_scores(tmp_path / "in", **SCORES)
    found, made = [], []
    for engine, workers in (("local", 1), ("local", 2), ("ray", 2)):
        out = tmp_path / f"out-{engine}-{workers}"
        found.append(finish(engine, scores, out, workers))
        made.append(contents(out))
    assert found[0]["b.mid"] == ("failed", "../../in/b.mid is refused; give another")
    assert "died" in found[0]["c.mid"][1]
    assert sorted(name for name, (status, _) in found[0].items() if status == "made") == [
        *("a.mid", "d/d.mid", "e.mid", "f.mid")
    ]
    assert len(made[0]) == 4 * 3
    assert found[0] == found[1] == found[2]
    assert made[0] == made[1] == made[2]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_stopping_ends_the_work_and_leaves_only_whole_results(tmp_path: Path, engine: str) -> None:
    if engine == "ray":
        pytest.importorskip("ray", reason="pip install 'ondes[ray]'")
    scores = write_scores(tmp_path / "in", a="aaa", b="forever", c="forever")
    out = tmp_path / "out"
    assert finish(engine, scores, out, 2, most=1) == {"a.mid": ("made", "")}
    assert sorted(contents(out)) == ["a/.batch.json", "a/a.txt", "a/record.json"]
    assert [path.name for path in out.iterdir()] == ["a"]


def test_engines_are_known_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no engine 'slurm'; local, ray or ray://HOST:PORT"):
        engine_of("slurm")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install 'ondes\[ray\]'"):
        engine_of("ray://example:10001")


class BusyRay(ModuleType):
    """Ray that does not start so many times."""

    def __init__(self, failures: int, words: str) -> None:
        super().__init__("ray")
        self.failures, self.words, self.starts = failures, words, 0

    def init(self, **_: object) -> None:
        self.starts += 1
        if self.starts <= self.failures:
            raise RuntimeError(self.words)

    def shutdown(self) -> None:
        """Nothing has begun."""


SLOW = "The current node timed out during startup."


@pytest.mark.parametrize(
    ("address", "words", "failures", "starts"),
    [
        (None, SLOW, 0, 1),
        (None, SLOW, RAY_STARTS - 1, RAY_STARTS),
        (None, SLOW, 99, RAY_STARTS),
        (None, "no room", 99, 1),
        ("ray://a:1", SLOW, 99, 1),
    ],
)
def test_ray_is_waited_for_on_a_busy_machine(
    address: str | None, words: str, failures: int, starts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = BusyRay(failures, words)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    expected = nullcontext() if failures < starts else pytest.raises(UserError, match=words)
    with expected:
        join_ray(address, 2)
    assert ray.starts == starts


def test_what_threads_of_ray_print_is_logged_and_results_are_not(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    plain = sys.stdout
    with caplog.at_level(logging.DEBUG, "ondes"), ray_aside():
        other = threading.Thread(target=print, args=("(raylet) a worker died",))
        other.start()
        other.join()
        print("a result")
    assert sys.stdout is plain
    assert capsys.readouterr().out == "a result\n"
    assert "(raylet) a worker died" in caplog.text
