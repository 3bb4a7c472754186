"""The composer as a deployment of Ray Serve: requests that come together are answered by one run of the network.

A request is a POST of the options of a `Compose` task for a new piece, as JSON; its answer is the MIDI file, the same
to the byte whether it was asked for alone or in company.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ondes.errors import UserError
from ondes.tasks.compose import Compose
from ondes.tasks.task import checked
from ondes.tasks.threads import SYMBOLIC, computing_with

if TYPE_CHECKING:
    from ray.serve import Application
    from starlette.requests import Request
    from starlette.responses import Response

    from ondes.pipelines.composer import ComposerPipeline

MIDI, JSON = "audio/midi", "application/json"
MOST_BODY_BYTES = 2**16
FIXED = ("kind", "verb", "score", "n", "model")
"""Options that the deployment has already decided."""


@dataclass(frozen=True)
class Answer:
    """To one request.

    Attributes:
        status: Of HTTP: 200, or 422 where an option cannot be used.
        media_type: Of the body.
        body: A MIDI file, or a sentence as JSON.
        company: How many pieces the same run of the network made.
    """

    status: int
    media_type: str
    body: bytes
    company: int


def answer_together(pipeline: ComposerPipeline, bodies: Sequence[bytes]) -> list[Answer]:
    """The answers to some requests; those that differ in nothing but their seeds are made side by side.

    Args:
        pipeline: The composer.
        bodies: Of the requests.
    """
    answers: list[Answer | None] = [None] * len(bodies)
    alike: dict[str, list[tuple[int, Compose]]] = defaultdict(list)
    for index, body in enumerate(bodies):
        try:
            task = _read(body)
            choices = task.model_dump(mode="json", exclude_defaults=True, exclude={"seed"})
            alike[json.dumps(choices, sort_keys=True)].append((index, task))
        except UserError as error:
            answers[index] = _refusal(error)
    for words, group in alike.items():
        for (index, _), answer in zip(group, _made(pipeline, json.loads(words), group), strict=True):
            answers[index] = answer
    return [answer for answer in answers if answer is not None]


def _made(
    pipeline: ComposerPipeline, choices: dict[str, Any], group: list[tuple[int, Compose]]
) -> list[Answer]:
    """Pieces with the same options."""
    try:
        with computing_with(SYMBOLIC):
            scores = pipeline.generate(seed=[task.seed for _, task in group], **choices)
    except UserError as error:
        return [_refusal(error)] * len(group)
    return [Answer(200, MIDI, bytes(score.dumps_midi()), len(scores)) for score in scores]


def _read(body: bytes) -> Compose:
    """The task of a request.

    Raises:
        UserError: If it is no JSON object, too long, or has an option that cannot be used here.
    """
    if len(body) > MOST_BODY_BYTES:
        raise UserError(f"the request has {len(body)} bytes; at most {MOST_BODY_BYTES} are allowed")
    try:
        options = json.loads(body or b"{}")
    except ValueError:
        raise UserError("the request is no JSON; send an object of options") from None
    if not isinstance(options, dict):
        raise UserError("the request is no object; send the options of a new piece")
    for name in FIXED:
        if name in options:
            raise UserError(f"{name} is decided here: one new piece by one model; leave {name} out")
    task = checked(Compose, options)
    assert isinstance(task, Compose)
    return task


def _refusal(error: UserError) -> Answer:
    return Answer(422, JSON, json.dumps({"detail": str(error)}).encode(), 0)


def composer_deployment(
    model: str = "compose-small", *, replicas: int = 1, most_together: int = 16, wait_s: float = 0.02
) -> Application:
    """What `ray.serve.run` takes.

    Args:
        model: A bundled composer, a folder or a Hub id.
        replicas: How many processes answer, each with the model.
        most_together: Requests that one run of the network may answer.
        wait_s: How long the first of them waits for others.
    """
    from ray import serve  # noqa: PLC0415
    from starlette.responses import Response  # noqa: PLC0415

    class Composer:
        """A process with the model."""

        def __init__(self) -> None:
            from ondes.tasks.shelf import ModelShelf  # noqa: PLC0415

            self.pipeline = ModelShelf().pipeline("composer", model)

        @serve.batch(max_batch_size=most_together, batch_wait_timeout_s=wait_s)
        async def together(self, bodies: list[bytes]) -> list[Answer]:
            """Answer what has come meanwhile; the next requests gather while the network runs."""
            return await asyncio.to_thread(answer_together, self.pipeline, bodies)

        async def __call__(self, request: Request) -> Response:
            """Answer a request over HTTP."""
            answer: Any = await self.together(await request.body())  # pyright: ignore - serve.batch unpacks the list
            return Response(
                answer.body,
                answer.status,
                media_type=answer.media_type,
                headers={"X-Company": str(answer.company)},
            )

    deployed: Any = serve.deployment(
        Composer,
        num_replicas=replicas,
        max_ongoing_requests=4 * most_together,
        ray_actor_options={"num_cpus": 1},
    )
    return deployed.bind()
