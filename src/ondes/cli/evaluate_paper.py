"""`ondes evaluate synth --protocol paper`: whole songs, embeddings and note F1, against a SoundFont's recordings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ondes.cli import rendering
from ondes.cli.console import complain
from ondes.errors import UserError

if TYPE_CHECKING:
    from ondes.datasets.named import ScoreEntry
    from ondes.datasets.render import Renderer
    from ondes.evaluation.paper_protocol import Song
    from ondes.evaluation.paper_report import PaperReport
    from ondes.evaluation.synth_run import Progress

FEWEST_NOTES = 20


def paper_report(
    model: str,
    entries: Sequence[ScoreEntry],
    renderer: Renderer,
    *,
    songs: int,
    embedding: str,
    weights: str | None,
    steps: int | None,
    seed: int,
    threads: int | None,
    settings: dict[str, Any],
    progress: Progress,
) -> PaperReport:
    """Play songs of a data set and report on them.

    Raises:
        UserError: If the embedding's weights are not at hand, there is no such model, or no score has enough notes.
    """
    from ondes.evaluation.embeddings import load_embedding  # noqa: PLC0415
    from ondes.evaluation.paper_protocol import evaluate_paper, pipeline_subject  # noqa: PLC0415
    from ondes.evaluation.paper_report import PaperReport  # noqa: PLC0415
    from ondes.evaluation.program_f1 import basic_pitch  # noqa: PLC0415

    listening = load_embedding(embedding, weights=weights)
    chosen = choose_songs(entries, renderer, count=songs, seed=seed)
    pipeline: Any = rendering.load_pipeline(model, threads)
    steps = steps or pipeline.default_steps
    subject = pipeline_subject(pipeline, seed=seed, steps=steps)
    findings = evaluate_paper(subject, chosen, listening, basic_pitch(), progress=progress)
    about = {"model": model, "model_hash": pipeline.model_hash, "steps": steps}
    return PaperReport(findings, about | settings | {"songs": len(chosen), "embedding": embedding}, seed=seed)


def choose_songs(entries: Sequence[ScoreEntry], renderer: Renderer, *, count: int, seed: int) -> list[Song]:
    """Whole scores with enough notes, the same for the same seed; a SoundFont's rendering is their true audio.

    Raises:
        UserError: If there is none.
    """
    import numpy as np  # noqa: PLC0415

    from ondes.evaluation.paper_protocol import LONGEST_PLAYED_S, Song  # noqa: PLC0415
    from ondes.score import notes_to_score, read_score, to_notes  # noqa: PLC0415

    chosen: list[Song] = []
    for index in np.random.default_rng([seed, 0x9A9]).permutation(len(entries)):
        if len(chosen) == count:
            break
        entry = entries[index]
        try:
            notes = to_notes(read_score(entry.path))
        except UserError as error:
            complain(f"left out: {error}")
            continue
        if int((~notes.is_drum).sum()) < FEWEST_NOTES:
            continue
        score = notes_to_score(notes.window(0.0, min(notes.duration_s, LONGEST_PLAYED_S)))
        chosen.append(Song(entry.id, entry.id, notes, lambda score=score: renderer.render(score)))
    if not chosen:
        raise UserError(
            f"none of {len(entries)} scores has {FEWEST_NOTES} notes; give a data set with whole songs"
        )
    return chosen
