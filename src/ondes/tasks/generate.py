"""The task of making new music."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ondes.tasks.audio_task import AudioTask, Loudness


class Generate(AudioTask):
    """Make new music, as `ondes generate` does."""

    own: ClassVar[tuple[str, ...]] = ("duration_s", "loudness_lufs")
    kind: Literal["generate"] = "generate"
    duration_s: Annotated[
        float, Field(ge=0.05, le=86_400, allow_inf_nan=False, description="Length in seconds.")
    ] = 30.0
    loudness_lufs: Loudness = None

    def asked_s(self) -> float:
        """The length of all pieces."""
        return self.n * self.duration_s
