from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_studio import BLOCK, FakeStudio
from starlette.testclient import TestClient
from studio_bench import wait_until

import ondes
from ondes.studio.api import create_app
from ondes.studio.security import Security
from ondes.tasks import TASKS, Synthesize
from ondes.wav import wav_header

PLAY = {"score": "example:prelude", "seed": 3}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> FakeStudio:
    return FakeStudio(tmp_path_factory.mktemp("studio"), hold=True, queue_limit=1000)


@pytest.fixture(scope="module")  # to make an app takes longer than any of these tests
def client(studio: FakeStudio) -> Iterator[TestClient]:
    with TestClient(create_app(studio, Security()), base_url="http://localhost") as client:
        yield client


def test_the_studio_runs_as_long_as_the_app(tmp_path: Path) -> None:
    studio = FakeStudio(tmp_path)
    with TestClient(create_app(studio, Security())):
        assert studio.running
    assert not studio.running


def test_an_upload_comes_back_byte_for_byte(client: TestClient) -> None:
    data = b"MThd" + bytes(range(256)) * 40
    taken = client.post("/v1/files", files={"file": ("../../etc/a b.mid", data)})
    assert taken.status_code == 201
    assert taken.json()["name"] == "a b.mid"
    given = client.get(taken.headers["location"])
    assert given.content == data
    assert given.headers["etag"] == f'"{taken.json()["sha256"]}"'
    assert given.headers["content-disposition"] == "attachment; filename*=utf-8''a%20b.mid"
    assert client.get(f"{taken.headers['location']}/info").json() == taken.json()


def test_ranges_and_tags_are_answered(client: TestClient) -> None:
    data = b"MThd" + bytes(range(200))
    where = client.post("/v1/files", files={"file": ("a.mid", data)}).headers["location"]
    part = client.get(where, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, data[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(data)}"
    assert client.get(where, headers={"If-None-Match": part.headers["etag"]}).status_code == 304
    changed = client.get(where, headers={"Range": "bytes=10-19", "If-Range": '"other"'})
    assert (changed.status_code, changed.content) == (200, data)
    beyond = client.get(where, headers={"Range": f"bytes={len(data)}-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{len(data)}"
    assert beyond.json()["detail"].startswith("the range is not in the file")


def test_each_kind_of_task_has_an_operation_and_each_refusal_a_form(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    for kind in TASKS:
        operation = described["paths"][f"/v1/{kind}"]["post"]
        statuses = {"202", "400", "401", "403", "404", "408", "413", "415", "421", "422", "429", "503"}
        assert set(operation["responses"]) == statuses
        assert set(operation["responses"]["503"]["headers"]) == {"Retry-After"}
        for status in statuses - {"202"}:
            form = operation["responses"][status]["content"]["application/json"]["schema"]
            assert form == {"$ref": "#/components/schemas/Problem"}


def test_a_task_becomes_a_job_that_tells_how_it_stands(client: TestClient, studio: FakeStudio) -> None:
    answer = client.post("/v1/synthesize", json=PLAY)
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["state"], job["files"]) == ("queued", [])
    assert job["task"] == Synthesize(score="example:prelude", seed=3).model_dump(mode="json")
    assert "client" not in job
    studio.run(job["id"])
    studio.finish(job["id"])
    ended = client.get(f"/v1/jobs/{job['id']}").json()
    assert (ended["state"], ended["done"], ended["total"]) == ("done", 2.0, 2.0)
    (file,) = ended["files"]
    assert client.get(f"/v1/files/{file['id']}").content == b"RIFF" + job["id"].encode()
    assert client.get("/v1/jobs", params={"limit": 1}).json()[0] == ended | {"files": []}


def test_cancelling_ends_a_job_and_a_final_one_stays(client: TestClient) -> None:
    where = client.post("/v1/generate", json={"duration_s": 1}).headers["location"]
    assert client.delete(where).json()["state"] == "cancelled"
    assert client.delete(where).json()["state"] == "cancelled"
    refused = client.post(f"{where}/resume")
    assert refused.status_code == 422
    assert "submit it again" in refused.json()["detail"]


def _events(text: str) -> list[dict[str, str]]:
    """The events of a stream, without its comments."""
    blocks = [block.splitlines() for block in text.replace("\r\n", "\n").strip().split("\n\n")]
    return [dict(line.split(": ", 1) for line in lines if not line.startswith(":")) for lines in blocks]


def test_events_tell_each_change_once_and_go_on_where_they_broke(
    client: TestClient, studio: FakeStudio
) -> None:
    where = client.post("/v1/synthesize", json=PLAY).headers["location"]
    job_id = where.rpartition("/")[2]

    def work() -> None:
        for done in (0.5, 1.0):
            wait_until(lambda: studio.told.get(job_id) is studio.job(job_id))
            studio.change(job_id, state="running", attempts=1, total=2.0, done=done)
        wait_until(lambda: studio.told[job_id] is studio.job(job_id))
        studio.finish(job_id)

    worker = threading.Thread(target=work)
    worker.start()
    events = _events(client.get(f"{where}/events").text)
    worker.join()
    assert [event["event"] for event in events] == ["progress"] * 3 + ["end"]
    assert [json.loads(event["data"])["done"] for event in events] == [0.0, 0.5, 1.0, 2.0]
    assert len({event["id"] for event in events}) == 4
    assert json.loads(events[-1]["data"])["files"][0]["name"] == "audio.wav"
    again = client.get(f"{where}/events", headers={"Last-Event-ID": events[1]["id"]})
    assert [event["event"] for event in _events(again.text)] == ["end"]
    nothing = client.get(f"{where}/events", headers={"Last-Event-ID": events[-1]["id"]})
    assert (nothing.status_code, nothing.content) == (204, b"")


def test_a_stream_is_a_wav_file_of_all_blocks(client: TestClient, studio: FakeStudio) -> None:
    job_id = client.post("/v1/synthesize", json=PLAY).json()["id"]
    studio.run(job_id)
    threading.Timer(0.05, studio.finish, [job_id]).start()
    whole = client.get(f"/v1/stream/{job_id}")
    assert whole.content == wav_header(44_100, 2) + BLOCK + BLOCK[::-1]
    assert whole.headers["content-type"] == "audio/wav"
    bare = client.get(f"/v1/stream/{job_id}", params={"format": "pcm"})
    assert bare.content == BLOCK + BLOCK[::-1]
    assert (bare.headers["x-sample-rate-hz"], bare.headers["x-channels"]) == ("44100", "2")


def test_a_job_without_sound_has_no_stream(client: TestClient) -> None:
    where = client.post("/v1/generate", json={}).headers["location"]
    client.delete(where)
    refused = client.get(where.replace("jobs", "stream"))
    assert refused.status_code == 404
    assert "without sound" in refused.json()["detail"]


def test_a_full_queue_says_when_to_ask_again(tmp_path: Path) -> None:
    app = create_app(FakeStudio(tmp_path, hold=True, queue_limit=2), Security())
    with TestClient(app, base_url="http://localhost") as client:
        statuses = [client.post("/v1/generate", json={}).status_code for _ in range(3)]
        assert statuses == [202, 202, 503]
        assert client.post("/v1/generate", json={}).headers["retry-after"] == "7"
        client.delete(f"/v1/jobs/{client.get('/v1/jobs').json()[0]['id']}")
        assert client.post("/v1/generate", json={}).status_code == 202


REFUSED = [
    ("/v1/generate", '{"duration_s": -1}', 422, "duration_s is -1: 0.05 or more is allowed"),
    ("/v1/generate", '{"durations": 3}', 422, "there is no option 'durations': did you mean 'duration_s'?"),
    ("/v1/generate", "{", 422, "the task is no JSON"),
    ("/v1/generate", "[]", 422, "the task is"),
    ("/v1/generate", "", 422, "missing"),
    ("/v1/generate", '{"model": "\\ud800"}', 422, "model is"),
    ("/v1/generate", '{"\\ud800": 1}', 422, "the task is"),
    ("/v1/generate", '{"seed": ' + "9" * 5000 + "}", 400, "the body cannot be read"),
    ("/v1/generate", "[" * 60_000, 400, "the body cannot be read"),
    ("/v1/generate", '{"duration_s": NaN}', 422, "duration_s is nan"),
    ("/v1/synthesize", "{}", 422, "score is missing; give one"),
    ("/v1/synthesize", '{"score": "0"}', 404, "there is no file '0'"),
    ("/v1/sing", "{}", 404, "there is nothing at /v1/sing"),
]


@pytest.mark.parametrize(("path", "body", "status", "words"), REFUSED, ids=range(len(REFUSED)))
def test_wrong_bodies_are_refused_with_a_sentence(
    client: TestClient, path: str, body: str, status: int, words: str
) -> None:
    refused = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert refused.status_code == status
    assert list(refused.json()) == ["detail"]
    assert words in refused.json()["detail"]


def test_other_media_types_are_refused(client: TestClient) -> None:
    for path, given, wanted in [
        ("/v1/generate", "text/plain", "application/json"),
        ("/v1/generate", "application/x-www-form-urlencoded", "application/json"),
        ("/v1/files", "application/json", "multipart/form-data"),
    ]:
        refused = client.post(path, content="{}", headers={"Content-Type": given})
        assert refused.status_code == 415
        assert refused.json()["detail"] == f"the body is {given}; {path} takes {wanted}"


def test_what_no_reader_knows_is_refused(client: TestClient) -> None:
    refused = client.post("/v1/files", files={"file": ("a.mid", b"nothing")})
    assert refused.status_code == 422
    assert refused.json()["detail"] == "a.mid is no score and no audio; give a .mid or a .wav"


def test_a_defect_of_ours_is_told_without_its_traceback(client: TestClient) -> None:
    again = TestClient(client.app, base_url="http://localhost", raise_server_exceptions=False)
    failed = again.post("/v1/files", files={"file": ("a.mid", b"defect")})
    assert failed.status_code == 500
    assert failed.json() == {"detail": "the server met an error of its own; its log says which"}


def test_views_are_named_and_unknown_ones_refused(client: TestClient) -> None:
    seen = client.get("/v1/files/example:prelude/notes")
    assert (seen.json(), seen.headers["content-type"]) == ({}, "application/json")
    assert client.get("/v1/files/example:prelude/peaks").status_code == 422
    assert client.get("/v1/files/example:prelude/colours").status_code == 422


def test_metrics_count_jobs_and_requests(tmp_path: Path) -> None:
    studio = FakeStudio(tmp_path, hold=True)
    with TestClient(create_app(studio, Security()), base_url="http://localhost") as client:
        for _ in range(3):
            job_id = client.post("/v1/synthesize", json=PLAY).json()["id"]
        studio.run(job_id)
        studio.finish(job_id)
        client.get("/v1/nothing/of/the/kind")
        lines = client.get("/metrics").text.splitlines()
        once = 'ondes_jobs_ended_total{kind="synthesize",state="done"} 1.0'
        assert once in client.get("/metrics").text.splitlines()
    assert 'ondes_jobs{kind="synthesize",state="queued"} 2.0' in lines
    assert "ondes_queue_length 2.0" in lines
    assert once in lines
    assert 'ondes_job_seconds_count{kind="synthesize"} 1.0' in lines
    assert 'ondes_audio_seconds_total{kind="synthesize"} 2.0' in lines
    assert 'ondes_request_seconds_count{method="POST",route="/v1/synthesize",status="202"} 3.0' in lines
    assert 'ondes_request_seconds_count{method="GET",route="other",status="404"} 1.0' in lines


def test_models_and_life_are_told(client: TestClient) -> None:
    assert client.get("/v1/models").json() == [
        {"name": "synth-small", "kind": "synthesiser", "licence": "Apache-2.0", "loaded": False}
    ]
    assert client.get("/healthz").json() == {"status": "ok", "version": ondes.__version__}


def test_the_docs_name_every_operation(client: TestClient) -> None:
    docs = (Path(__file__).parent.parent.parent / "docs" / "studio.md").read_text("utf-8")
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        known = path.replace("{job_id}", "{id}").replace("{file_id}", "{id}")
        for method in operations:
            named = (
                f"`{path.removeprefix('/v1/')}`"
                if path.removeprefix("/v1/") in TASKS
                else f"`{method.upper()} {known}`"
            )
            assert named in docs or f"`POST {path}`" in docs
