from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_studio import FakeStudio
from starlette.requests import HTTPConnection
from starlette.testclient import TestClient

from ondes.errors import UserError
from ondes.studio.api import create_app
from ondes.studio.login import local_path
from ondes.studio.security import (
    COOKIE,
    Buckets,
    Security,
    check_address,
    client_of,
    is_loopback,
    known_name,
    same_origin,
)

TOKEN = "correct-horse-battery-staple"
HERE = "http://localhost"


def _app(folder: Path, security: Security) -> TestClient:
    return TestClient(create_app(FakeStudio(folder), security), base_url=HERE, follow_redirects=False)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    security = Security(token=TOKEN, names=frozenset({"studio.example.org", "*.example.net"}))
    with _app(tmp_path_factory.mktemp("studio"), security) as client:
        yield client


@pytest.fixture(autouse=True)
def forgotten_cookies(request: pytest.FixtureRequest) -> None:
    if "guarded" in request.fixturenames:
        request.getfixturevalue("guarded").cookies.clear()


def _request(method: str = "GET", client: str = "127.0.0.1", **headers: str) -> HTTPConnection:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection(
        {
            "type": "http",
            "method": method,
            "path": "/v1/jobs",
            "headers": raw,
            "client": (client, 5),
            "server": ("localhost", 80),
            "scheme": "http",
            "query_string": b"",
        }
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "LOCALHOST"])
def test_the_loopback_needs_no_token(host: str) -> None:
    assert is_loopback(host)
    check_address(host, None)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.4", "studio.example.org", "localhost.example.org", ""]
)
def test_all_other_addresses_do(host: str) -> None:
    with pytest.raises(UserError, match="lets other machines in, so it needs --token"):
        check_address(host, None)
    check_address(host, TOKEN)


@pytest.mark.parametrize("token", ["", "short", "fifteen letters", "sixteen lettersé"])
def test_a_token_that_could_be_guessed_is_refused(token: str) -> None:
    with pytest.raises(UserError, match=f"the token has {len(token)} characters"):
        check_address("127.0.0.1", token)


PRIVATE = [
    "/",
    "/v1/jobs",
    "/v1/models",
    "/metrics",
    "/openapi.json",
    "/v1/files/example:prelude",
    "/v1/nothing",
]


@pytest.mark.parametrize("path", PRIVATE)
def test_nothing_private_is_told_without_the_token(guarded: TestClient, path: str) -> None:
    for headers in (
        {},
        {"Authorization": f"Basic {TOKEN}"},
        {"Cookie": f"{COOKIE}={TOKEN}"},
        {"Cookie": f"{COOKIE}="},
    ):
        refused = guarded.get(path, headers=headers)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert "needs its token" in refused.json()["detail"]
    assert guarded.get(path, headers={"Authorization": f"Bearer {TOKEN}"}).status_code in (200, 404)


def test_a_wrong_token_is_refused_and_guessing_ends_after_ten(tmp_path: Path) -> None:
    with _app(tmp_path, Security(token=TOKEN)) as client:
        statuses = [
            client.get("/v1/jobs", headers={"Authorization": f"Bearer {TOKEN}{guess}"}).status_code
            for guess in range(11)
        ]
        assert statuses == [401] * 10 + [429]
        late = client.get("/v1/jobs", headers={"Authorization": f"Bearer {TOKEN}"})
        assert late.status_code == 429
        assert 1 <= int(late.headers["retry-after"]) <= 5
        assert client.get("/healthz").status_code == 200


def test_only_life_and_the_login_page_need_no_token(guarded: TestClient) -> None:
    assert guarded.get("/healthz").status_code == 200
    assert guarded.get("/login").status_code == 200
    people = guarded.get("/", headers={"Accept": "text/html,*/*"})
    assert (people.status_code, people.headers["location"]) == (303, "/login?next=/")


def test_logging_in_sets_a_cookie_that_scripts_and_other_sites_cannot_use(guarded: TestClient) -> None:
    wrong = guarded.post("/login", data={"token": "something else", "next": "/"})
    assert wrong.status_code == 401
    assert "set-cookie" not in wrong.headers
    assert "This is not the token" in wrong.text
    right = guarded.post("/login", data={"token": TOKEN, "next": "/v1/models"}, headers={"Origin": HERE})
    assert (right.status_code, right.headers["location"]) == (303, "/v1/models")
    cookie = right.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert "Secure" not in cookie
    assert guarded.get("/v1/models").status_code == 200
    with_tls = guarded.post(
        "/login", data={"token": TOKEN}, headers={"Origin": HERE.replace("http:", "https:")}
    )
    assert "; Secure" in with_tls.headers["set-cookie"]


@pytest.mark.parametrize(
    "path", ["//evil.example", "/\\evil.example", "https://evil.example", "", "/a\nb", "evil"]
)
def test_logging_in_leads_nowhere_else(path: str) -> None:
    assert local_path(path) == "/"


def test_the_login_page_writes_no_markup_of_others(guarded: TestClient) -> None:
    page = guarded.get("/login", params={"next": '/"><script>alert(1)</script>'})
    assert "<script>" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8000",
        "127.0.0.1:1",
        "[::1]:8000",
        "10.0.0.7",
        "studio.example.org:80",
        "a.example.net",
    ],
)
def test_known_names_are_answered(host: str) -> None:
    assert known_name(frozenset({"studio.example.org", "*.example.net"}))(_request(host=host)) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evilexample.net",
        "example.net",
        "",
        "[",
    ],
)
def test_names_that_anybody_could_point_here_are_not(guarded: TestClient, host: str) -> None:
    refused = guarded.get("/v1/jobs", headers={"Host": host, "Authorization": f"Bearer {TOKEN}"})
    assert refused.status_code == 421
    assert "does not answer to the name" in refused.json()["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:8001"},
        {"origin": "http://["},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
def test_pages_of_other_sites_change_nothing(guarded: TestClient, headers: dict[str, str]) -> None:
    for method in ("POST", "DELETE", "PUT", "PATCH"):
        refused = same_origin(_request(method, host="localhost:8000", **headers))
        assert refused is not None
        assert refused.status_code == 403
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = guarded.post("/v1/generate", json={}, headers={"Authorization": f"Bearer {TOKEN}"} | told)
    assert sent.status_code == 403


def test_programs_and_our_own_page_do() -> None:
    assert same_origin(_request("POST", host="localhost:8000")) is None
    assert (
        same_origin(_request("POST", host="a.org", origin="https://a.org", sec_fetch_site="same-origin"))
        is None
    )


def test_no_other_site_may_read_an_answer(guarded: TestClient) -> None:
    for method in ("GET", "OPTIONS"):
        answer = guarded.request(method, "/healthz", headers={"Origin": "https://evil.example"})
        assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_every_answer_says_what_a_browser_may_do_with_it(guarded: TestClient) -> None:
    for path in ("/healthz", "/v1/jobs", "/login", "/nothing"):
        headers = guarded.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert guarded.get("/healthz").headers["content-security-policy"].startswith("default-src 'none'")
    assert guarded.get("/v1/jobs").headers["cache-control"] == "no-store"


def test_a_defect_of_ours_has_the_headers_too_and_is_still_raised(tmp_path: Path) -> None:
    app = create_app(FakeStudio(tmp_path), Security())

    @app.get("/v1/defect")
    async def defect() -> None:
        raise ZeroDivisionError("a secret")

    failed = TestClient(app, base_url=HERE, raise_server_exceptions=False).get("/v1/defect")
    assert failed.status_code == 500
    assert failed.json() == {"detail": "the server met an error of its own; its log says which"}
    fine = TestClient(app, base_url=HERE).get("/healthz")
    ours = {name: value for name, value in fine.headers.items() if not name.startswith("content-length")}
    assert ours.items() <= failed.headers.items()
    with pytest.raises(ZeroDivisionError):  # so that the server logs it
        TestClient(app, base_url=HERE).get("/v1/defect")


def test_a_page_may_be_framed_where_that_is_said(tmp_path: Path) -> None:
    with _app(tmp_path, Security(framed_by=("https://example.org",))) as client:
        headers = client.get("/nothing").headers
        assert "x-frame-options" not in headers
        assert headers["content-security-policy"].endswith("frame-ancestors https://example.org")


PATHS = [
    "/v1/files/..%2f..%2fstudio.sqlite",
    "/v1/files/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "/v1/files/....//....//etc/passwd",
    "/v1/files/example:..%2f..%2fetc%2fpasswd",
    "/v1/files/example:prelude/..%2f..%2fwav",
    "/v1/files/%00",
    "/v1/files/" + "0" * 31,
    "/v1/files/" + "0" * 32 + "%0a",
    "/v1/jobs/..%2f..%2fetc%2fpasswd",
    "/v1/stream/..%2flive.pcm",
    "/v1/jobs/" + "A" * 32 + "/events",
]


@pytest.mark.parametrize("path", PATHS)
def test_no_path_of_a_request_reaches_the_disk(
    guarded: TestClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the studio was asked")

    for name in ("file", "view", "job", "watch", "live", "live_format"):
        monkeypatch.setattr(FakeStudio, name, never)
    refused = guarded.get(path, headers={"Authorization": f"Bearer {TOKEN}"})
    assert refused.status_code in (404, 422)
    assert list(refused.json()) == ["detail"]


def test_a_client_has_a_burst_and_then_a_rate() -> None:
    now_s = 0.0
    buckets = Buckets(2.0, 3, clock=lambda: now_s)
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert buckets.take("b") == 0
    now_s = 0.5
    assert [buckets.take("a") for _ in range(2)] == [0, 0.5]
    now_s = 1000.0
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]


def test_clients_are_forgotten_before_they_fill_the_memory() -> None:
    buckets = Buckets(1.0, 1, most=20)
    for number in range(30):
        buckets.take(str(number))
    assert list(buckets._levels) == [str(number) for number in range(10, 30)]


def test_a_household_is_one_client() -> None:
    assert client_of(_request(client="2001:db8:1:2:aaaa::1")) == client_of(
        _request(client="2001:db8:1:2:bbbb::9")
    )
    assert client_of(_request(client="2001:db8:1:2::1")) != client_of(_request(client="2001:db8:1:3::1"))
    assert client_of(_request(client="10.0.0.1")) != client_of(_request(client="10.0.0.2"))


def test_too_many_requests_are_refused_and_life_is_still_told(tmp_path: Path) -> None:
    with _app(tmp_path, Security(requests_per_s=0.001, burst=3)) as client:
        answers = [client.get("/v1/models") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert 900 < int(answers[-1].headers["retry-after"]) <= 1000
        assert client.get("/healthz").status_code == 200


def test_bodies_over_their_limit_are_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    studio = FakeStudio(tmp_path / "studio", upload_bytes=50_000)
    with TestClient(create_app(studio, Security(json_bytes=1000)), base_url=HERE) as client:
        before = sorted(tmp_path.rglob("*"))

        def pieces() -> Iterator[bytes]:
            yield b'{"model": "'
            for _ in range(100):
                yield b"x" * 100

        for body in (b'{"model": "' + b"x" * 1000 + b'"}', pieces()):
            refused = client.post("/v1/generate", content=body, headers={"Content-Type": "application/json"})
            assert refused.status_code == 413
            assert "the 1000 bytes allowed here" in refused.json()["detail"]
        just_over = client.post("/v1/files", files={"file": ("a.mid", b"MThd" + bytes(49_997))})
        assert just_over.status_code == 413
        far_over = client.post("/v1/files", files={"file": ("a.mid", b"MThd" + bytes(80_000))})
        assert far_over.status_code == 413
        assert sorted(tmp_path.rglob("*")) == before
        assert client.post("/v1/files", files={"file": ("a.mid", b"MThd" + bytes(49_996))}).status_code == 201


def test_without_a_token_there_is_nothing_to_log_in_to(tmp_path: Path) -> None:
    with _app(tmp_path, Security()) as client:
        assert client.get("/login").status_code == 404
        assert client.post("/login", data={"token": "x"}).status_code == 404


def test_secrets_are_in_no_message(guarded: TestClient) -> None:
    assert TOKEN not in repr(Security(token=TOKEN))
    assert TOKEN not in guarded.get("/v1/jobs").text
