"""A job that is asked for twice under one key is one job, however the two requests meet."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fake_studio import FakeStudio
from served_app import served
from starlette.testclient import TestClient
from studio_bench import Tone, quiet

from ondes.errors import UserError
from ondes.scores import bundled_score
from ondes.studio.api import create_app
from ondes.studio.client import Client, StudioError
from ondes.studio.security import Security
from ondes.studio.service import QueueFull
from ondes.tasks import Generate

HERE = "http://localhost"


def at_once(work: Callable[[int], object], number: int) -> list[object]:
    """What calls give that begin at the same time; exceptions among it."""
    together, given = threading.Barrier(number), []

    def call(index: int) -> None:
        together.wait(60)
        try:
            given.append(work(index))
        except UserError as error:
            given.append(error)

    threads = [threading.Thread(target=call, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return given


def test_many_that_ask_at_once_under_one_key_get_one_job(tmp_path: Path) -> None:
    studio = quiet(tmp_path)
    studio.store.create()
    jobs = at_once(lambda _: studio.submit(Tone(seed=1), client="me", key="k").id, 8)
    assert len(jobs) == 8
    assert len(set(jobs)) == 1
    assert studio.counts()["jobs_queued"] == 1


def test_of_many_tasks_under_one_key_one_is_accepted(tmp_path: Path) -> None:
    studio = quiet(tmp_path)
    studio.store.create()
    given = at_once(lambda index: studio.submit(Tone(seed=index), client="me", key="k").id, 6)
    refused = [one for one in given if isinstance(one, UserError)]
    assert len(refused) == 5
    assert {str(one) for one in refused} == {
        "the idempotency key 'k' was sent before with another task; each task needs its own, so make a new one"
    }
    assert [job.id for job in studio.jobs()] == [one for one in given if isinstance(one, str)]


def test_a_key_is_its_clients_own(tmp_path: Path) -> None:
    studio = quiet(tmp_path)
    studio.store.create()
    mine = studio.submit(Tone(), client="me", key="k")
    assert studio.submit(Tone(), client="you", key="k").id != mine.id
    assert studio.submit(Tone(), client="me").id != mine.id
    assert studio.submit(Tone(), client="me", key="k").id == mine.id


def test_the_first_answer_stands_though_queue_and_inputs_have_changed(tmp_path: Path) -> None:
    studio = quiet(tmp_path, queue_limit=1)
    studio.start()
    try:
        score = studio.add_file("a.mid", bundled_score("prelude").path)
        job = studio.submit(Tone(score=score.id), key="k")
        with pytest.raises(QueueFull):
            studio.submit(Tone(score=score.id), key="other")
        studio.settings = replace(studio.settings, models=("none",))
        studio.store.files.mark_gone([score.id])
        assert studio.submit(Tone(score=score.id), key="k").id == job.id
        studio.cancel(job.id)
        assert studio.submit(Tone(score=score.id), key="k").state == "cancelled"
    finally:
        studio.stop()


def test_a_key_is_forgotten_with_its_job(tmp_path: Path) -> None:
    studio = quiet(tmp_path)
    studio.store.create()
    first = studio.submit(Tone(), key="k")
    studio.cancel(first.id)
    assert studio.store.files.forget(time.time() + 1) == [first.id]
    assert studio.submit(Tone(seed=5), key="k").id != first.id


def test_a_refused_task_leaves_its_key_free(tmp_path: Path) -> None:
    studio = quiet(tmp_path)
    studio.store.create()
    with pytest.raises(UserError, match="not one of this studio"):
        studio.submit(Tone(model="none"), key="k")
    assert studio.submit(Tone(), key="k").state == "queued"


def test_over_http_the_same_key_and_task_lead_to_the_same_job(tmp_path: Path) -> None:
    studio = quiet(tmp_path, models=())
    with (
        served(create_app(studio, Security())) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http,
    ):

        def ask(key: str, seed: int = 0) -> httpx.Response:
            return http.post("/v1/generate", json={"seed": seed}, headers={"Idempotency-Key": key})

        answers = at_once(lambda _: ask('"one"'), 6)
        assert [answer.status_code for answer in answers if isinstance(answer, httpx.Response)] == [202] * 6
        places = {answer.headers["location"] for answer in answers if isinstance(answer, httpx.Response)}
        assert len(places) == 1
        assert ask("one").headers["location"] in places, "quotes may be left out"
        assert ask("one", seed=1).status_code == 422
        assert "make a new one" in ask("one", seed=1).json()["detail"]
        assert ask("two").headers["location"] not in places
        elsewhere = http.post(
            "/v1/outpaint", json={"audio": "0" * 32, "after_s": 1}, headers={"Idempotency-Key": "one"}
        )
        assert (elsewhere.status_code, "make a new one" in elsewhere.text) == (422, True)
        assert studio.counts()["jobs_queued"] == 2


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    with TestClient(create_app(FakeStudio(tmp_path), Security()), base_url=HERE) as client:
        for key in ('""', "", "a b", '"a"b"', "a" * 256, '"a\\\\b"', "é".encode().decode("latin1")):
            refused = client.post("/v1/generate", json={}, headers={b"Idempotency-Key": key.encode("latin1")})
            assert refused.status_code == 422, key
            assert refused.json()["detail"].startswith("the Idempotency-Key "), key
            assert refused.json()["detail"].endswith("or up to 255 letters and digits in quotes"), key


def test_the_key_is_described(tmp_path: Path) -> None:
    described = create_app(FakeStudio(tmp_path), Security()).openapi()
    (header,) = described["paths"]["/v1/generate"]["post"]["parameters"]
    assert (header["name"].lower(), header["in"], header["required"]) == ("idempotency-key", "header", False)
    assert "same job" in header["description"]


class Breaking(httpx.BaseTransport):
    """Leads to an app whose answers are lost on the way so many times."""

    def __init__(
        self, app: TestClient, losses: int, error: type[httpx.TransportError] = httpx.ReadError
    ) -> None:
        self.app, self.losses, self.error = app, losses, error
        self.keys: list[str | None] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.keys.append(request.headers.get("idempotency-key"))
        answer = self.app.request(
            request.method, request.url.path, content=request.read(), headers=dict(request.headers)
        )
        if len(self.keys) <= self.losses:
            raise self.error("lost")
        return httpx.Response(answer.status_code, content=answer.content, headers=answer.headers)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ondes.studio.client.RETRY_S", (0.0, 0.0, 0.0))


@pytest.mark.usefixtures("no_pauses")
def test_the_client_submits_once_though_answers_are_lost(tmp_path: Path) -> None:
    studio = FakeStudio(tmp_path, hold=True)
    with TestClient(create_app(studio, Security()), base_url=HERE) as app:
        way = Breaking(app, losses=3)
        with Client(HERE, transport=way) as client:
            job = client.submit(Generate())
            assert list(studio.table) == [job.id]
            assert len(way.keys) == 4
            assert len(set(way.keys)) == 1
            assert client.submit(Generate()).id != job.id, "every submission has a key of its own"
            assert client.submit(Generate(), key="mine").id == client.submit(Generate(), key="mine").id
        with (
            Client(HERE, transport=Breaking(app, losses=4)) as client,
            pytest.raises(StudioError, match="lost"),
        ):
            client.submit(Generate())


@pytest.mark.usefixtures("no_pauses")
def test_an_upload_is_sent_again_only_where_nothing_was_sent(tmp_path: Path) -> None:
    studio = FakeStudio(tmp_path / "studio")
    (song := tmp_path / "song.mid").write_bytes(b"MThd")
    with TestClient(create_app(studio, Security()), base_url=HERE) as app:
        with (
            Client(HERE, transport=Breaking(app, losses=1)) as client,
            pytest.raises(StudioError, match="lost"),
        ):
            client.upload(song)
        with Client(HERE, transport=Breaking(app, losses=1, error=httpx.ConnectError)) as client:
            assert client.upload(song).name == "song.mid"
