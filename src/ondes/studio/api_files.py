"""Files over HTTP: taking them in, and giving them out in whole or in ranges."""

from __future__ import annotations

from functools import partial
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, Any, Literal

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import APIRouter, File, HTTPException, Path, Request, Response, UploadFile
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from ondes.studio.answers import FileInfo
from ondes.studio.refusals import refused_with

if TYPE_CHECKING:
    from ondes.studio.service import Studio

FileId = Annotated[
    str,
    Path(
        pattern="^([0-9a-f]{32}|example:[a-z0-9-]{1,40})$",
        description="Id of a file, or example: and the name of a file of the package.",
        examples=["example:prelude"],
    ),
]
View = Literal["notes", "roll.png", "peaks", "mel.png", "flac", "wav"]

READERS = 4
"""Uploads and views that are worked on at once; others wait, and keep nothing else waiting."""

BINARY = {"schema": {"type": "string", "format": "binary"}}
VIEWS = {
    "application/json": {"schema": {"type": "object"}},
    **dict.fromkeys(("image/png", "audio/flac", "audio/wav"), BINARY),
}


def file_routes(studio: Studio) -> APIRouter:
    """What `/v1/files` does."""
    router = APIRouter(prefix="/v1/files", tags=["files"])
    readers = CapacityLimiter(READERS)

    @router.post(
        "", status_code=201, response_model=FileInfo, responses=refused_with(400, 408, 413, 415, 422, 503)
    )
    async def upload(
        response: Response,
        file: Annotated[UploadFile, File(description="A score (.mid, .musicxml, .mxl) or audio.")],
    ) -> FileInfo:
        """Take in a score or audio, read in a process of its own; what is neither is refused with a sentence."""
        if file.size is not None and file.size > studio.settings.upload_bytes:
            raise HTTPException(
                413, f"the file has {file.size} bytes, {studio.settings.upload_bytes} are allowed"
            )
        take = partial(studio.add_file, file.filename or "upload", file.file)
        taken = FileInfo.model_validate(await anyio.to_thread.run_sync(take, limiter=readers))
        response.headers["Location"] = f"/v1/files/{taken.id}"
        return taken

    @router.get("/{file_id}", response_class=FileResponse, responses=_given({"*/*": BINARY}, 404, 416, 422))
    async def download(file_id: FileId, request: Request) -> Response:
        """The bytes of a file. Ranges are answered; a client that has the bytes (If-None-Match) gets 304."""
        file, path = await run_in_threadpool(studio.file, file_id)
        return sent(request, path, file.media_type, tag=file.sha256, name=file.name)

    @router.get("/{file_id}/info", response_model=FileInfo, responses=refused_with(404, 422))
    async def describe(file_id: FileId) -> FileInfo:
        """What is known about a file."""
        file, _ = await run_in_threadpool(studio.file, file_id)
        return FileInfo.model_validate(file)

    @router.get("/{file_id}/{view}", response_class=FileResponse, responses=_given(VIEWS, 404, 416, 422, 503))
    async def show(file_id: FileId, view: View, request: Request) -> Response:
        """Something to see or hear: notes (JSON) and roll.png of a score; peaks (JSON), mel.png, flac, wav of audio."""
        file, _ = await run_in_threadpool(studio.file, file_id)
        see = partial(studio.view, file_id, view)
        path, media_type = await anyio.to_thread.run_sync(see, limiter=readers)
        suffix = "" if "." in view else {"notes": ".json", "peaks": ".json"}.get(view, f".{view}")
        name = f"{FilePath(file.name).stem}.{view}{suffix}" if view not in ("flac", "wav") else None
        return sent(
            request,
            path,
            media_type,
            tag=f"{file.sha256}-{view}",
            name=name or FilePath(file.name).stem + suffix,
        )

    return router


def _given(content: dict[str, Any], *statuses: int) -> dict[int | str, dict[str, Any]]:
    """The answers of an operation that gives bytes, for its description."""
    tag = {"ETag": {"description": "Differs where the bytes do.", "schema": {"type": "string"}}}
    return {
        200: {"description": "The bytes.", "content": content, "headers": tag},
        206: {"description": "Some of the bytes.", "content": {"*/*": BINARY}, "headers": tag},
        304: {"description": "The client has the bytes."},
        **refused_with(400, *statuses),
    }


def sent(request: Request, path: FilePath, media_type: str, *, tag: str, name: str) -> Response:
    """A file as an answer.

    Args:
        request: Says which range is wanted, and what the client has.
        path: The file.
        media_type: As in HTTP.
        tag: Differs where the bytes do.
        name: What the download is called.
    """
    headers = {"ETag": f'"{tag}"', "Cache-Control": "private, max-age=3600"}
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if "*" in known or headers["ETag"] in known:
        return Response(status_code=304, headers=headers)
    # Never shown as a page of ours: what is in it may come from anybody.
    return FileResponse(path, media_type=media_type, filename=name, headers=headers)
