from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_studio import FakeStudio
from starlette.testclient import TestClient

from ondes.studio.api import create_app
from ondes.studio.security import Security

PLAY = {"score": "example:prelude", "seed": 3}


@pytest.fixture
def studio(tmp_path: Path) -> FakeStudio:
    return FakeStudio(tmp_path / "studio", hold=True)


@pytest.fixture
def client(studio: FakeStudio) -> Iterator[TestClient]:
    with TestClient(create_app(studio, Security()), base_url="http://localhost") as client:
        yield client


def test_the_studio_runs_as_long_as_the_app(studio: FakeStudio) -> None:
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
