"""What the API says and its client reads: each answer one model, whose fields are documented once for both."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

JobState = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
FileKind = Literal["score", "audio", "record", "picture", "page", "archive"]

FINAL_STATES = ("done", "failed", "cancelled")
"""A job in one of these stays in it."""

Id = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Time = Annotated[float, Field(description="Seconds since 1970.")]


class Answer(BaseModel):
    """What all answers have in common: they are read from attributes, and newer servers may say more."""

    model_config = ConfigDict(from_attributes=True, extra="ignore", frozen=True)


class Problem(Answer):
    """Why something was refused."""

    detail: Annotated[str, Field(description="What is wrong, what is allowed, what to do: one sentence.")]


class Health(Answer):
    """A sign of life."""

    status: Literal["ok"]
    version: Annotated[str, Field(description="Of ondes.")]


class FileInfo(Answer):
    """A file that was uploaded, that a job made, or that comes with the package."""

    id: Annotated[str, Field(description="What tasks and /v1/files/{id} call it.")]
    job_id: Annotated[str | None, Field(description="The job that made it; none for uploads.")] = None
    name: Annotated[str, Field(description="For people.")]
    kind: FileKind
    media_type: str
    bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(description="Of its bytes, in hexadecimal; its ETag, too.")]
    duration_s: Annotated[float | None, Field(description="Length of audio or of a score.")] = None
    notes: Annotated[int | None, Field(description="How many, in a score.")] = None
    sample_rate_hz: Annotated[int | None, Field(description="Of audio.")] = None
    channels: Annotated[int | None, Field(description="Of audio.")] = None
    report: Annotated[str, Field(description="What had to be repaired to read it; often empty.")] = ""
    created_at: Time
    expires_at: Annotated[float | None, Field(description="When it is deleted, in seconds since 1970.")] = (
        None
    )
    gone: Annotated[bool, Field(description="Whether its time has passed.")] = False


class JobInfo(Answer):
    """A task that was accepted, and how it stands."""

    id: Id
    kind: Annotated[str, Field(description="Of the task.")]
    task: Annotated[dict[str, Any], Field(description="The task with all its options, as it was understood.")]
    state: Annotated[
        JobState,
        Field(
            description="done, failed and cancelled are final; an interrupted job goes on, or can be resumed."
        ),
    ]
    created_at: Time
    started_at: Annotated[float | None, Field(description="When it was last begun.")] = None
    finished_at: Annotated[float | None, Field(description="When it became final.")] = None
    done: Annotated[float, Field(description="Work done: seconds of audio or notes.")] = 0.0
    total: Annotated[float, Field(description="All the work; 0 before it is known.")] = 0.0
    eta_s: Annotated[float | None, Field(description="Estimated seconds to go.")] = None
    error: Annotated[str | None, Field(description="Why it failed or was interrupted.")] = None
    attempts: Annotated[int, Field(description="How often it was begun.")] = 0
    cancel_requested: Annotated[bool, Field(description="Whether it will end soon.")] = False
    files: Annotated[
        list[FileInfo], Field(description="Its results, the main one first; the record last.")
    ] = []

    @property
    def is_final(self) -> bool:
        """Whether nothing about its outcome will change."""
        return self.state in FINAL_STATES


class ModelAnswer(Answer):
    """A model that tasks may name."""

    name: Annotated[str, Field(description="What the field model of a task says.")]
    kind: Annotated[str, Field(description="synthesiser, composer, separator or audio.")]
    licence: Annotated[str, Field(description="Of its weights; empty if unknown.")]
    loaded: Annotated[bool, Field(description="Whether it is in memory.")]
