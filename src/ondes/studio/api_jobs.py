"""Jobs over HTTP: asking for them, following them, hearing them while they are made."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Header, HTTPException, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from ondes.studio.answers import FileInfo, JobInfo
from ondes.studio.refusals import refused_with
from ondes.studio.security import client_of
from ondes.tasks.kinds import TASKS
from ondes.tasks.task import Task
from ondes.wav import wav_header

if TYPE_CHECKING:
    from ondes.studio.service import Studio
    from ondes.studio.tables import Job

T = TypeVar("T")
QUOTED_KEY = r'"[ !#-\[\]-~]{1,255}"'
"""As the draft of the header has it: a string of RFC 9651, here without escapes."""

BARE_KEY = "[0-9A-Za-z_.:/+=*-]{1,255}"
"""What many programs send instead."""

KEY_FORM = f"^({QUOTED_KEY}|{BARE_KEY})$"


def key_of(header: str) -> str:
    """What an `Idempotency-Key` says, which is the same with and without its quotes.

    Raises:
        ValueError: If it is no string of RFC 9651 without escapes, and no plain word.
    """
    if not re.fullmatch(KEY_FORM, header):
        raise ValueError(
            f"the Idempotency-Key {header[:80]!r} is none; give a UUID, or up to 255 letters and digits in quotes"
        )
    return header.strip('"')


IdempotencyKey = Annotated[
    Annotated[str, AfterValidator(key_of)] | None,
    Header(
        description=(
            "A name for this job that you give no other, as a UUID in quotes: sent again with the same task, it gets "
            "the same job instead of a second one. Kept as long as the job (draft-ietf-httpapi-idempotency-key-header)."
        ),
        json_schema_extra={"pattern": KEY_FORM},
    ),
]
JobId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="Id of a job.")]

KEEP_ALIVE_S = 15
"""How often a comment goes down a quiet stream of events, so that nothing between us takes it for dead."""

LOOK_S = 0.5
"""How often we look whether a client that waits for a first block is still there."""

SAMPLES = {
    "description": "16-bit samples from the first block on, as they are made.",
    "content": {"audio/wav": {}, "application/octet-stream": {}},
}
EVENTS = {
    "description": "Events 'progress' and at last 'end', whose data is the job.",
    "content": {
        "text/event-stream": {
            "schema": {
                "type": "object",
                "properties": {
                    "event": {"enum": ["progress", "end"]},
                    "id": {"type": "string", "description": "What Last-Event-ID gives back."},
                    "data": {"type": "string", "contentMediaType": "application/json"},
                },
            }
        }
    },
}


def job_routes(studio: Studio) -> APIRouter:
    """What `/v1/jobs`, `/v1/stream` and the tasks do."""
    router = APIRouter(prefix="/v1", tags=["jobs"])
    for kind, task in TASKS.items():
        _add_task(router, studio, kind, task)

    @router.get("/jobs", response_model=list[JobInfo], responses=refused_with(422))
    async def jobs(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[JobInfo]:
        """The latest jobs, newest first, without their files."""
        return [job_info(job, []) for job in await run_in_threadpool(studio.jobs, limit)]

    @router.get("/jobs/{job_id}", response_model=JobInfo, responses=refused_with(404, 422))
    async def job(job_id: JobId) -> JobInfo:
        """How a job stands, and its results."""
        return await run_in_threadpool(_look, studio, job_id)

    @router.delete("/jobs/{job_id}", response_model=JobInfo, responses=refused_with(404, 422))
    async def cancel(job_id: JobId) -> JobInfo:
        """End a job: at once if it waits, before its network's next evaluation if it runs. A final one stays."""
        await run_in_threadpool(studio.cancel, job_id)
        return await run_in_threadpool(_look, studio, job_id)

    @router.post("/jobs/{job_id}/resume", response_model=JobInfo, responses=refused_with(404, 422))
    async def resume(job_id: JobId) -> JobInfo:
        """Let an interrupted job go on from its last finished segment."""
        await run_in_threadpool(studio.resume, job_id)
        return await run_in_threadpool(_look, studio, job_id)

    _add_events(router, studio)
    _add_stream(router, studio)
    return router


def _add_task(router: APIRouter, studio: Studio, kind: str, model: type[Task]) -> None:
    """`POST /v1/KIND` for one kind of task."""

    async def submit(
        task: Task, request: Request, response: Response, idempotency_key: IdempotencyKey = None
    ) -> JobInfo:
        job = await run_in_threadpool(studio.submit, task, client=client_of(request), key=idempotency_key)
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        return job_info(job, [])

    submit.__annotations__["task"] = model  # known only here, so no annotation can name it
    submit.__doc__ = (
        f"{(model.__doc__ or '').strip()}\n\nReferences are ids of files, or example: and a name: the scores "
        "prelude and band, the sounds prelude-played and band-played."
    )
    router.add_api_route(
        f"/{kind}",
        submit,
        methods=["POST"],
        name=kind,
        tags=["tasks"],
        status_code=202,
        response_model=JobInfo,
        responses={
            202: {
                "description": "The job is accepted, or was when its Idempotency-Key came before.",
                "headers": {"Location": {"description": "Of the job.", "schema": {"type": "string"}}},
            },
            **refused_with(400, 404, 408, 413, 415, 422, 503),
        },
    )


def _add_events(router: APIRouter, studio: Studio) -> None:
    """`GET /v1/jobs/{id}/events`."""

    @router.get(
        "/jobs/{job_id}/events",
        response_class=EventSourceResponse,
        responses={200: EVENTS, 204: {"description": "All was seen already."}, **refused_with(404, 422)},
    )
    async def events(
        job_id: JobId, last_event_id: Annotated[str | None, Header(max_length=200)] = None
    ) -> Response:
        """Server-sent events: the job now and whenever it changes. Last-Event-ID leaves out what was seen."""
        now = await run_in_threadpool(studio.job, job_id)
        if now.is_final and event_id(now) == last_event_id:
            return Response(status_code=204)  # tells browsers not to connect again
        return EventSourceResponse(_events(studio, job_id, last_event_id), ping=KEEP_ALIVE_S)


async def _events(studio: Studio, job_id: str, seen: str | None) -> AsyncIterator[ServerSentEvent]:
    """The job whenever it is not as the client saw it last."""
    async with aclosing(studio.watch(job_id)) as changes:
        async for job in changes:
            if (current := event_id(job)) == seen:
                continue
            seen = current
            info = await run_in_threadpool(_with_files, studio, job)
            name = "end" if job.is_final else "progress"
            yield ServerSentEvent(info.model_dump_json(), event=name, id=current)


def event_id(job: Job) -> str:
    """Names how a job stands, the same before and after a restart of the server."""
    return f"{job.attempts}-{job.state}-{job.done:g}-{job.total:g}{'-c' * job.cancel_requested}"


def _add_stream(router: APIRouter, studio: Studio) -> None:
    """`GET /v1/stream/{id}`."""

    @router.get(
        "/stream/{job_id}",
        response_class=StreamingResponse,
        responses={200: SAMPLES, **refused_with(404, 422)},
    )
    async def stream(
        job_id: JobId,
        request: Request,
        wanted: Annotated[
            Literal["wav", "pcm"], Query(alias="format", description="pcm has no header.")
        ] = "wav",
    ) -> Response:
        """The sound of a job from its beginning on, while it is made: a WAV file of unknown length."""
        form = await while_connected(request, studio.live_format(job_id))
        head = wav_header(form.sample_rate_hz, form.channels) if wanted == "wav" else b""

        async def blocks() -> AsyncIterator[bytes]:
            if head:
                yield head
            async with aclosing(studio.live(job_id)) as made:
                async for block in made:
                    yield block

        return StreamingResponse(
            blocks(),
            media_type="audio/wav" if wanted == "wav" else "application/octet-stream",
            headers={"X-Sample-Rate-Hz": str(form.sample_rate_hz), "X-Channels": str(form.channels)},
        )


async def while_connected(request: Request, wanted: Awaitable[T]) -> T:
    """What is waited for, unless the client goes away first.

    Raises:
        HTTPException: If it did; nobody reads the answer.
    """
    task = asyncio.ensure_future(wanted)
    try:
        while not (await asyncio.wait({task}, timeout=LOOK_S))[0]:
            if await request.is_disconnected():
                raise HTTPException(499, "the client went away")
        return task.result()
    finally:
        task.cancel()


def _look(studio: Studio, job_id: str) -> JobInfo:
    """A job with its results."""
    return _with_files(studio, studio.job(job_id))


def _with_files(studio: Studio, job: Job) -> JobInfo:
    """A job with its results."""
    return job_info(job, studio.files_of(job.id) if job.state == "done" else [])


def job_info(job: Job, files: list[Any]) -> JobInfo:
    """What clients learn of a job: not who asked for it, nor who does it."""
    told = {name: getattr(job, name) for name in JobInfo.model_fields if name not in ("task", "files")}
    infos = [FileInfo.model_validate(file) for file in files]
    return JobInfo(task=json.loads(job.options), files=infos, **told)
