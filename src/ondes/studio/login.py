"""The page on which a person types the token, once for each browser."""

from __future__ import annotations

import html
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from ondes.studio.security import COOKIE, LOGIN_PATH, Security

KEPT_S = 30 * 24 * 3600
"""How long a browser stays logged in."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>ondes · log in</title>
<style>
:root {{ color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }}
main {{ max-width: 22rem; margin: 15vh auto; padding: 0 1rem }}
input, button {{ font: inherit; width: 100%; box-sizing: border-box; padding: .5rem; margin: .25rem 0 1rem }}
</style>
<main>
<h1>ondes</h1>
<form method="post" action="{action}">
<label for="token">Token, as given to --token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<input name="next" type="hidden" value="{after}">
<button>Log in</button>
</form>
<p role="alert">{complaint}</p>
</main>
</html>
"""


def login_routes(security: Security) -> APIRouter:
    """The page and what it sends; browsers get a cookie that scripts cannot read and other sites cannot send."""
    router = APIRouter(include_in_schema=False)

    @router.get(LOGIN_PATH)
    async def show(after: Annotated[str, Query(alias="next")] = "/") -> Response:
        return _page(after)

    @router.post(LOGIN_PATH)
    async def log_in(request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=4)
        after = local_path(str(form.get("next", "/")))
        if not security.is_token(str(form.get("token", ""))):
            request.scope["ondes.wrong_token"]()
            return _page(after, "This is not the token of this server; look at how it was started.")
        response = RedirectResponse(after, 303)
        response.set_cookie(
            COOKIE,
            security.cookie(),
            max_age=KEPT_S,
            secure=request.headers.get("origin", "").startswith("https:"),  # a proxy may speak TLS for us
            httponly=True,
            samesite="strict",
        )
        return response

    return router


def local_path(path: str) -> str:
    """Where to go on: a path of this server, never another site's address."""
    return path if path.startswith("/") and path[1:2] not in ("/", "\\") and path.isprintable() else "/"


def _page(after: str, complaint: str = "") -> HTMLResponse:
    """The form; with a complaint it is a refusal."""
    text = PAGE.format(
        action=LOGIN_PATH, after=html.escape(local_path(after)), complaint=html.escape(complaint)
    )
    return HTMLResponse(
        text, 401 if complaint else 200, {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    )
