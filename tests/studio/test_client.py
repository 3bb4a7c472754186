from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from fake_studio import BLOCK, FakeStudio
from served_app import served

from ondes.errors import UserError
from ondes.studio.answers import JobInfo
from ondes.studio.api import create_app
from ondes.studio.client import Client, StudioError
from ondes.studio.security import Security
from ondes.tasks import Generate, Synthesize

TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> FakeStudio:
    return FakeStudio(tmp_path_factory.mktemp("studio"), hold=True)


@pytest.fixture(scope="module")
def url(studio: FakeStudio) -> Iterator[str]:
    with served(create_app(studio, Security(token=TOKEN))) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url, TOKEN) as client:
        yield client


def test_a_file_goes_there_and_back(client: Client, tmp_path: Path) -> None:
    (tmp_path / "song.mid").write_bytes(b"MThd" + bytes(1000))
    file = client.upload(tmp_path / "song.mid")
    assert (file.name, file.kind, file.bytes) == ("song.mid", "score", 1004)
    assert client.read(file) == b"MThd" + bytes(1000)
    folder = tmp_path / "there"
    folder.mkdir()
    assert client.download(file, folder) == folder / "song.mid"
    assert client.download(file.id, tmp_path / "again.mid").read_bytes() == b"MThd" + bytes(1000)
    assert (folder / "song.mid").read_bytes() == b"MThd" + bytes(1000)


def test_a_task_runs_and_tells_how_it_stands(client: Client, studio: FakeStudio) -> None:
    told: list[JobInfo] = []

    def progress(job: JobInfo) -> None:
        told.append(job)
        if job.state == "queued":
            studio.run(job.id)
        elif job.state == "running":
            studio.finish(job.id)

    done = client.run(Synthesize(score="example:prelude", seed=5), progress=progress)
    assert [job.state for job in told] == ["queued", "running", "done"]
    assert done == told[-1] == client.job(done)
    assert done.task["seed"] == 5
    assert client.read(done.files[0]) == b"RIFF" + done.id.encode()
    assert client.jobs(1)[0].id == done.id


def test_the_sound_comes_in_blocks(client: Client, studio: FakeStudio) -> None:
    job = client.submit(Synthesize(score="example:prelude"))
    studio.run(job.id)
    blocks = []
    for block in client.stream(job):
        if not blocks:
            studio.finish(job.id)  # so the first came while the job ran
        blocks.append(block)
    assert {(block.sample_rate_hz, block.channels) for block in blocks} == {(44_100, 2)}
    samples = np.concatenate([block.samples for block in blocks], axis=1)
    wanted = np.frombuffer(BLOCK + BLOCK[::-1], "<i2").reshape(-1, 2).T / 32767
    np.testing.assert_allclose(samples, wanted, atol=1e-6)


def test_a_cancelled_job_is_an_error_to_who_waits(client: Client) -> None:
    job = client.submit(Generate())
    assert client.cancel(job).state == "cancelled"
    with pytest.raises(StudioError, match=f"job {job.id} is cancelled"):
        client.wait(job)
    with pytest.raises(StudioError, match="submit it again"):
        client.resume(job)


def test_a_failed_job_says_why(client: Client, studio: FakeStudio) -> None:
    job = client.submit(Generate())
    studio.change(job.id, state="failed", error="the model is not there; install it again")
    with pytest.raises(StudioError, match="the model is not there; install it again"):
        client.wait(job.id)


def test_refusals_are_the_sentences_of_the_server(client: Client, url: str, tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="there is no file '0000'") as error:
        client.submit(Synthesize(score="0000"))
    assert error.value.status == 404
    assert isinstance(error.value, UserError)
    (tmp_path / "a.txt").write_text("words")
    with pytest.raises(StudioError, match=r"a.txt is no score and no audio") as error:
        client.upload(tmp_path / "a.txt")
    assert error.value.status == 422
    with Client(url) as stranger, pytest.raises(StudioError, match="needs its token"):
        stranger.models()
    with pytest.raises(StudioError, match=r"answered 404|no file"):
        client.read("0" * 32)


def test_models_are_named(client: Client) -> None:
    assert [model.name for model in client.models()] == ["synth-small"]


def test_nobody_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    slept_s: list[float] = []
    monkeypatch.setattr(time, "sleep", slept_s.append)
    with (
        Client("http://127.0.0.1:9") as client,
        pytest.raises(StudioError, match="is 'ondes serve' running there"),
    ):
        client.models()
    assert slept_s == [0.25, 0.5, 1.0]


def _scripted(*answers: tuple[int, dict[str, str]]) -> tuple[httpx.MockTransport, list[float]]:
    """A server that gives these statuses and headers in turn, and when it was asked."""
    asked_s: list[float] = []

    def answer(_: httpx.Request) -> httpx.Response:
        status, headers = answers[len(asked_s)]
        asked_s.append(time.monotonic())
        return httpx.Response(status, headers=headers, json=[] if status == 200 else {"detail": "busy"})

    return httpx.MockTransport(answer), asked_s


def test_a_busy_server_is_asked_again_when_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    slept_s: list[float] = []
    monkeypatch.setattr(time, "sleep", slept_s.append)
    transport, asked_s = _scripted(
        (503, {"Retry-After": "7"}), (429, {"Retry-After": "2"}), (503, {}), (200, {})
    )
    with Client("http://127.0.0.1", transport=transport) as client:
        assert client.models() == []
    assert slept_s == [7, 2, 1]
    assert len(asked_s) == 4


def test_patience_ends_and_then_the_sentence_comes() -> None:
    transport, asked_s = _scripted((503, {"Retry-After": "7"}))
    client = Client("http://127.0.0.1", patience_s=5, transport=transport)
    with client, pytest.raises(StudioError, match="busy") as error:
        client.models()
    assert (error.value.status, len(asked_s)) == (503, 1)


@pytest.mark.slow
def test_events_go_on_after_the_connection_breaks(studio: FakeStudio, client: Client) -> None:
    job_id = client.submit(Generate()).id
    whole = client._http
    connections: list[str | None] = []

    def broken(request: httpx.Request) -> httpx.Response:
        connections.append(request.headers.get("last-event-id"))
        if len(connections) == 1:
            studio.change(job_id, state="running", attempts=1, done=1.0, total=2.0)
            now = client.job(job_id)
            event = (
                f"id: 1-running-1-2\r\nevent: progress\r\ndata: {now.model_dump_json()}\r\n\r\n: half an eve"
            )
            return httpx.Response(200, content=event.encode())
        if len(connections) == 2:
            raise httpx.ConnectError("gone")
        studio.finish(job_id)
        return httpx.Response(200, content=whole.get(request.url.path, headers=request.headers).content)

    with Client("http://127.0.0.1", transport=httpx.MockTransport(broken)) as other:
        states = [job.state for job in other.events(job_id)]
    assert states == ["running", "done"]
    assert connections == [None, "1-running-1-2", "1-running-1-2"]


def test_what_the_page_about_the_studio_shows_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "studio.md").read_text("utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "song.mid").write_bytes(b"MThd" + bytes(1000))
    monkeypatch.chdir(tmp_path)
    with served(create_app(FakeStudio(tmp_path / "studio"), Security())) as port:
        exec(compile(block.replace(":8000", f":{port}"), "studio.md", "exec"), {})
    assert (tmp_path / "song.wav").stat().st_size > 0
