"""Who is answered: names, origins, tokens and how often; each check is a function from a request to its refusal.

Nothing here reads a body; `ondes.studio.body_limits` does, behind these checks.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ondes.errors import UserError

COOKIE = "ondes_studio"
LOGIN_PATH = "/login"
HEALTH_PATH = "/healthz"
OPEN_PATHS = (HEALTH_PATH, LOGIN_PATH)
"""Answered without a token: one says that the server lives, the other takes the token."""

SHORTEST_TOKEN = 16
"""Characters; at ten guesses a client and one more every five seconds nobody finds one of them."""

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
MOST_CLIENTS = 10_000
"""Clients whose rate is remembered."""

Check = Callable[[HTTPConnection], Response | None]
"""Looks at the head of a request and says how it is refused, or None."""


@dataclass(frozen=True)
class Security:
    """What a server asks of those it answers.

    Attributes:
        token: The secret that clients show; None answers everybody who reaches the address.
        names: Host names by which the server may be called besides `localhost` and addresses, in lower case;
            `*.example.org` stands for all names under `example.org`.
        framed_by: Origins that may show the page in a frame.
        requests_per_s: How many requests a client may send in the long run; None counts none.
        burst: How many it may send at once.
        guesses: Wrong tokens that a client may show at once; then it has one more every five seconds.
        json_bytes: Largest body of a request that is no upload.
        page_bytes: Largest body of a request of the page, outside `/v1`.
        body_idle_s: How long a body may pause.
        body_bytes_per_s: How fast a body must come in the long run, after a grace of twice `body_idle_s`.
    """

    token: str | None = field(default=None, repr=False)
    names: frozenset[str] = frozenset()
    framed_by: tuple[str, ...] = ()
    requests_per_s: float | None = 50.0
    burst: int = 200
    guesses: int = 10
    json_bytes: int = 64 * 1024
    page_bytes: int = 4 * 1024 * 1024
    body_idle_s: float = 10.0
    body_bytes_per_s: float = 10_000.0

    def cookie(self) -> str:
        """What the page's cookie holds: it follows from the token, the token does not follow from it."""
        return hmac.new((self.token or "").encode(), b"ondes studio", hashlib.sha256).hexdigest()

    def is_token(self, given: str) -> bool:
        """Whether this is the token; takes as long for every wrong one."""
        return self.token is not None and _same(given, self.token)

    def is_known(self, request: HTTPConnection) -> bool:
        """Whether a request shows the token as a bearer, or the cookie that follows from it."""
        if self.token is None:
            return True
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self.is_token(given.strip())
        return _same(request.cookies.get(COOKIE, ""), self.cookie())


def _same(one: str, other: str) -> bool:
    """Compare secrets in a time that depends on neither."""
    digests = (hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in (one, other))
    return hmac.compare_digest(*digests)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there; other names are not looked up."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_address(host: str, token: str | None) -> None:
    """Refuse to listen where others can reach without asking them for a token.

    Raises:
        UserError: If there is no token though one is needed, or it is short enough to be guessed.
    """
    if token is not None and (len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable()):
        raise UserError(
            f"the token has {len(token)} characters but needs at least {SHORTEST_TOKEN} of plain ASCII; make one with: "
            "python -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    if token is None and not is_loopback(host):
        raise UserError(
            f"--host {host} lets other machines in, so it needs --token (or ONDES_TOKEN in the environment); "
            "leave --host out to serve this machine alone"
        )


def refusal(
    status: int, sentence: str, *, retry_after_s: float | None = None, **headers: str
) -> JSONResponse:
    """An answer that says in one sentence what is wrong.

    Args:
        status: HTTP status.
        sentence: What is wrong, what is allowed, what to do.
        retry_after_s: When to ask again, rounded up to whole seconds.
        **headers: More headers; an underscore stands for a hyphen.
    """
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if retry_after_s is not None:
        named["Retry-After"] = str(max(1, int(-(-retry_after_s // 1))))
    return JSONResponse({"detail": plain(sentence)}, status, headers=named)


def plain(sentence: str) -> str:
    """A sentence on one line, without halves of surrogate pairs, which JSON of a request may hold and UTF-8 may not."""
    return " ".join(sentence.encode("utf-8", "replace").decode().split())


class Gate:
    """Lets a request through to `app` when no check refuses it; the first that does answers."""

    def __init__(self, app: ASGIApp, checks: Sequence[Check]) -> None:
        self.app = app
        self.checks = checks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; a web socket is closed, nothing here speaks through one."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "http":
            request = HTTPConnection(scope)
            for check in self.checks:
                if (refused := check(request)) is not None:
                    await refused(scope, receive, send)
                    return
        await self.app(scope, receive, send)


def checks(security: Security) -> list[Check]:
    """All checks in the order that tells strangers least."""
    found: list[Check] = [known_name(security.names), same_origin]
    if security.requests_per_s is not None:
        found.append(rate(Buckets(security.requests_per_s, security.burst)))
    if security.token is not None:
        found.append(shown_token(security))
    return found


def known_name(names: frozenset[str]) -> Check:
    """Refuse names that anybody could have pointed at this address: a page of theirs would read our answers.

    An address in the Host header is nobody's name, so it is always answered.
    """

    def check(request: HTTPConnection) -> Response | None:
        host = host_name(request.headers.get("host", ""))
        if host == "localhost" or _is_address(host) or host in names:
            return None
        if any(name.startswith("*.") and host.endswith(name[1:]) for name in names):
            return None
        return refusal(
            421, f"this server does not answer to the name {host[:80]!r}; start it with --name {host[:80]}"
        )

    return check


def host_name(header: str) -> str:
    """The name in a Host header, in lower case, without its port and the brackets of IPv6."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _is_address(host: str) -> bool:
    """Whether this is an IP address rather than a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def same_origin(request: HTTPConnection) -> Response | None:
    """Refuse what a page from elsewhere makes a browser send: it may look at nothing and change nothing."""
    if request.scope["method"] in SAFE_METHODS:
        return None
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "none")
    if site in ("same-origin", "none") and (
        origin is None or _names(origin, request.headers.get("host", ""))
    ):
        return None
    return refusal(
        403, "requests from pages of other sites are refused; send it from a program or our own page"
    )


def _names(origin: str, host: str) -> bool:
    """Whether an origin is the server at this Host header; a proxy may speak TLS for us, so the scheme is free."""
    try:
        return urlsplit(origin).netloc.lower() == host.lower() != ""
    except ValueError:
        return False


class Buckets:
    """Token buckets, one a client: full at first, filled steadily, one token a request.

    Args:
        rate_hz: Tokens a second.
        burst: Tokens in a full bucket.
        clock: Tells seconds.
        most: Clients that are remembered; the one heard of longest ago is forgotten first.
    """

    def __init__(
        self,
        rate_hz: float,
        burst: float,
        clock: Callable[[], float] = time.monotonic,
        most: int = MOST_CLIENTS,
    ) -> None:
        self.rate_hz = rate_hz
        self.burst = burst
        self.clock = clock
        self.most = most
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, client: str) -> float:
        """How long until a client's bucket holds a token; 0 where it does."""
        return max(0.0, (1.0 - self._level(client)) / self.rate_hz)

    def take(self, client: str) -> float:
        """Take a token if there is one; returns how long to wait, 0 where it was taken."""
        wait_s = self.wait_s(client)
        if wait_s == 0.0:
            self._levels[client] = (self._level(client) - 1.0, self.clock())
            self._levels.move_to_end(client)
            if len(self._levels) > self.most:
                self._levels.popitem(last=False)
        return wait_s

    def _level(self, client: str) -> float:
        """Tokens in a client's bucket now."""
        level, at_s = self._levels.get(client, (self.burst, self.clock()))
        return min(self.burst, level + (self.clock() - at_s) * self.rate_hz)


def client_of(request: HTTPConnection) -> str:
    """Who asks: an address; of IPv6 the first 64 bits, which one household has to itself."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return host


def rate(buckets: Buckets) -> Check:
    """Refuse clients that ask too often; the sign of life is always given."""

    def check(request: HTTPConnection) -> Response | None:
        if request.url.path == HEALTH_PATH:
            return None
        wait_s = buckets.take(client_of(request))
        if wait_s == 0.0:
            return None
        return refusal(
            429,
            f"more than {buckets.rate_hz:g} requests a second; ask again after the seconds in Retry-After",
            retry_after_s=wait_s,
        )

    return check


def shown_token(security: Security) -> Check:
    """Refuse who shows no token or a wrong one; browsers are led to where they can type it."""
    guesses = Buckets(0.2, security.guesses)

    def check(request: HTTPConnection) -> Response | None:
        path = request.url.path
        if path == HEALTH_PATH or (path == LOGIN_PATH and request.scope["method"] != "POST"):
            return None
        client = client_of(request)
        if wait_s := guesses.wait_s(client):
            return refusal(
                429, "too many wrong tokens; ask again after the seconds in Retry-After", retry_after_s=wait_s
            )
        if path == LOGIN_PATH:
            request.scope["ondes.wrong_token"] = lambda: guesses.take(client)
            return None
        if security.is_known(request):
            return None
        if "authorization" in request.headers:
            guesses.take(client)
        return _ask_for_token(request)

    return check


def _ask_for_token(request: HTTPConnection) -> Response:
    """A page to type the token for people, a status for programs."""
    wants_page = "text/html" in request.headers.get("accept", "")
    if wants_page and request.scope["method"] == "GET" and not request.url.path.startswith("/v1"):
        return RedirectResponse(f"{LOGIN_PATH}?next={quote(request.url.path, safe='/')}", 303)
    sentence = "this server needs its token: send it as 'Authorization: Bearer TOKEN', or log in at /login"
    return refusal(401, sentence, WWW_Authenticate="Bearer")
