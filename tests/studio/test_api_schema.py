"""The description of the API is true: requests made from it meet no defect, and answers are as it says."""

from __future__ import annotations

import itertools
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fake_studio import FakeStudio
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable

from ondes.studio.api import create_app
from ondes.studio.security import Security
from ondes.tasks import Generate

EXAMPLES = 8
"""Requests made for each operation."""

TOKEN = "correct-horse-battery-staple"


@pytest.fixture
def described(tmp_path: Path) -> Any:
    """The description of an app whose studio has a job and files."""
    import schemathesis  # noqa: PLC0415 - it takes a second, and these tests are slow

    studio = FakeStudio(tmp_path / "studio")
    studio.start()
    job = studio.submit(Generate())
    names = frozenset({"testserver"})  # as schemathesis calls it
    app = create_app(studio, Security(token=TOKEN, names=names, requests_per_s=None, guesses=10**6))
    schema = schemathesis.openapi.from_asgi(
        "/openapi.json", app, headers={"Authorization": f"Bearer {TOKEN}"}
    )
    known = {"job_id": itertools.cycle([job.id, None]), "file_id": itertools.cycle([None, "example:prelude"])}

    @schema.hook
    def map_path_parameters(_: Any, parameters: dict[str, Any] | None) -> dict[str, Any] | None:
        """Every other id is one that there is."""
        for name in parameters or {}:
            if name in known and (found := next(known[name])) is not None:
                parameters = {**(parameters or {}), name: found}
        return parameters

    return schema


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"], ids=["right", "wrong"])
def test_answers_are_as_the_description_says(described: Any, mode: str) -> None:
    from schemathesis import GenerationMode  # noqa: PLC0415
    from schemathesis.specs.openapi import checks  # noqa: PLC0415

    # Whether a file exists, or options fit together, no schema says; and the text "5" is taken for a number.
    untold = [checks.positive_data_acceptance, checks.negative_data_rejection]
    for found in described.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy(generation_mode=GenerationMode[mode]))
        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            deadline=None,
            suppress_health_check=[
                HealthCheck.too_slow,
                HealthCheck.filter_too_much,
                HealthCheck.data_too_large,
            ],
        )
        def ask(case: Any) -> None:
            case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"}, excluded_checks=untold)

        with suppress(Unsatisfiable):  # some requests cannot be wrong
            ask()
