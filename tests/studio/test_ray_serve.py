"""Requests that are answered together get what each would get alone; one that is wrong spoils no other."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from served_app import free_port

from ondes.pipelines.composer import ComposerPipeline
from ondes.studio.ray_serve import answer_together
from tiny_model import save_tiny_composer

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_composer(tmp_path_factory.mktemp("composer") / "model")


@pytest.fixture(scope="module")
def composer(model: Path) -> ComposerPipeline:
    return ComposerPipeline.from_pretrained(model)


def body(**options: Any) -> bytes:
    return json.dumps(options).encode()


@pytest.mark.slow
def test_company_changes_no_byte(composer: ComposerPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [body(notes=24, seed=9), body(notes=12), body(notes=24, seed=2), body(notes=24, seed=9, key="Am")]
    alone = [answer_together(composer, [one])[0] for one in asked]
    runs, generate = [], composer.generate
    monkeypatch.setattr(
        composer, "generate", lambda **choices: runs.append(choices["seed"]) or generate(**choices)
    )
    together = answer_together(composer, asked)
    assert runs == [[9, 2], [0], [9]]
    assert [answer.company for answer in together] == [2, 1, 2, 1]
    assert [answer.body for answer in together] == [answer.body for answer in alone]
    assert len({answer.body for answer in together}) == 4
    assert bytes(composer.generate(notes=24, seed=2)[0].dumps_midi()) == together[2].body


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (b"{", "is no JSON"),
        (b"[]", "is no object"),
        (body(notes=0), "notes is 0: 1 or more is allowed"),
        (body(note=4), "did you mean 'notes'"),
        (body(model="/etc"), "leave model out"),
        (body(key="Q minor"), "Q"),
        (b" " * 2**17, "at most 65536 are allowed"),
    ],
)
def test_a_wrong_request_gets_a_sentence_and_spoils_no_other(
    composer: ComposerPipeline, wrong: bytes, sentence: str
) -> None:
    good = body(notes=8)
    answers = answer_together(composer, [good, wrong, good])
    assert [answer.status for answer in answers] == [200, 422, 200]
    assert sentence in json.loads(answers[1].body)["detail"]
    assert answers[0].body == answers[2].body == answer_together(composer, [good])[0].body


@pytest.mark.slow
def test_served_requests_are_batched_and_equal_single_ones(model: Path, composer: ComposerPipeline) -> None:
    pytest.importorskip("ray.serve", reason="pip install 'ondes[ray]'")
    words = ["--model", str(model), "--port", str(free_port()), "--wait-s", "0.5"]
    serving = subprocess.Popen(
        [sys.executable, str(ROOT / "deploy" / "serve_ray.py"), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert serving.stdout is not None
    with serving:
        try:
            address = next((line.strip() for line in serving.stdout if line.startswith("http://")), "")
            assert address.startswith("http://127.0.0.1:")

            def ask(seed: int) -> tuple[bytes, int]:
                request = urllib.request.Request(address, body(notes=16, seed=seed))
                with urllib.request.urlopen(request, timeout=300) as answer:
                    return answer.read(), int(answer.headers["X-Company"])

            with ThreadPoolExecutor(6) as pool:
                answers = list(pool.map(ask, range(6)))
        finally:
            serving.terminate()
    assert max(company for _, company in answers) > 1
    for seed, (midi, _) in enumerate(answers):
        assert midi == bytes(composer.generate(notes=16, seed=seed)[0].dumps_midi())
