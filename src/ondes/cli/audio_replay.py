"""How `replay` makes new or edited audio again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ondes.cli import audio_editing
from ondes.cli.replay import check_hash, conclude, mention_versions, place_of, rename_staged, target_of
from ondes.errors import UserError
from ondes.files import file_sha256
from ondes.sidecar import Source
from ondes.tasks.audio_orders import Engine, Order, Sound, look_at
from ondes.tasks.audio_record import AudioRecord
from ondes.tasks.audio_writing import staged


def remake(
    sidecar: Path, output: Path | None, *, inputs: Sequence[Path], model: str | None, vocoder: str | None
) -> None:
    """Make again what a record describes, and compare the bytes.

    Args:
        sidecar: The record.
        output: The file to write; where it was if None.
        inputs: The sounds that were edited, if they have moved.
        model: The model, if it has moved.
        vocoder: The vocoder, if it has moved.

    Raises:
        UserError: If anything has changed or gone that the audio was made from.
        Exit: With status 1 if the bytes differ.
    """
    record = AudioRecord.read(sidecar)
    score = None if record.score is None else _score(record.score, sidecar.parent)
    sounds = _sounds(record, sidecar.parent, inputs)
    target = target_of(record.output, sidecar.parent, output)
    for name in target.names.values():
        audio_editing.check_inputs_stay(target.folder / name, sounds)
    mention_versions(record.versions)
    named = vocoder or (record.vocoder and place_of(record.vocoder, sidecar.parent))
    model = model or place_of(record.model.name, sidecar.parent)
    engine = Engine(model, named, record.threads, plays=score is not None)
    with staged(target.folder) as staging:
        pipeline = audio_editing.load_audio(engine)
        option = "--model or --vocoder" if named else "--model"
        check_hash(f"model {record.model.name}", record.model.sha256, pipeline.model_hash, option=option)
        order = Order(record.verb, sounds, record.choices, record.output.file, record.encoding, score)
        made = audio_editing.run(order, pipeline, staging / order.name)
        same = made.sha256 == record.output.sha256
        written = rename_staged(staging, target, same=same)
    conclude(sidecar, written, same=same)


def _score(score: Source, folder: Path) -> Path:
    """The score that was played, if it is still the same.

    Raises:
        UserError: If it is gone or has changed.
    """
    path = folder / score.name
    if not path.is_file() or file_sha256(path) != score.sha256:
        raise UserError(f"the score {path} is gone or has changed; put the original back to replay")
    return path


def _sounds(record: AudioRecord, folder: Path, given: Sequence[Path]) -> tuple[Sound, ...]:
    """The files that were edited, if they are still the same.

    Raises:
        UserError: If one is gone or has changed, or another number is given.
    """
    if given and len(given) != len(record.inputs):
        raise UserError(
            f"--input names {len(given)} files, and the record has {len(record.inputs)}; give all, in their order"
        )
    paths = given or [folder / source.name for source in record.inputs]
    sounds = []
    for path, source in zip(paths, record.inputs, strict=True):
        if not path.is_file():
            raise UserError(f"the sound {path} is not there any more; pass --input with its new place")
        sounds.append(look_at(path))
        check_hash(f"sound {path}", source.sha256, sounds[-1].sha256, option="--input")
    return tuple(sounds)
