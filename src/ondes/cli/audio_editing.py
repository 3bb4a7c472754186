"""How the commands that make and edit audio, and `replay`, turn orders into files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ondes.cli import rendering
from ondes.cli.console import complain, playing, say, waiting
from ondes.cli.threads import use_threads
from ondes.errors import UserError
from ondes.sidecar import Output, Source, portable_name, record_beside, replaceable
from ondes.tasks.audio_orders import (
    Engine,
    Order,
    Sound,
    blocks_of,
    describe,
    exact_encoding,
    look_at,
    together,
)
from ondes.tasks.audio_writing import staged, write_blocks
from ondes.tasks.performing import score_source

if TYPE_CHECKING:
    from ondes.pipelines.audio_opening import AudioMaker
    from ondes.pipelines.synthesis import SynthesisPipeline

KEEPING = ("inpaint", "outpaint")
"""Verbs that leave samples of their input as they are."""


def plan(
    verb: str,
    groups: Sequence[tuple[Sound, ...]],
    variants: Sequence[dict[str, Any]],
    output: Path | None,
    *,
    done: str,
) -> tuple[Path, list[Order]]:
    """The folder to write into, and an order for every variant of every group.

    Args:
        verb: Of the pipeline.
        groups: The sounds of each call of the verb; one empty group for new music.
        variants: Keyword arguments of each call for a group.
        output: What a person called the file, or the folder where there are several.
        done: What is done, as a word for names of files.

    Raises:
        UserError: If the output is a folder for one file or a file for several, or two files would have one name.
    """
    alone = len(groups) * len(variants) == 1
    stems = ["-".join(sound.path.stem for sound in group) for group in groups]
    named = f"{stems[0]}.{done}" if len(groups) == 1 and stems[0] else done
    if alone:
        path = output or Path(named + _suffix(groups[0]))
        return path.parent, [_order(verb, groups[0], variants[0], path.name)]
    folder = output or Path(named)
    _check_folder(folder, len(groups) * len(variants))
    width = max(2, len(str(len(variants))))
    orders = []
    for stem, group in zip(stems, groups, strict=True):
        for number, variant in enumerate(variants, start=1):
            parts = [stem] * (len(groups) > 1) + [f"{number:0{width}}"] * (len(variants) > 1)
            orders.append(_order(verb, group, variant, "-".join(parts) + _suffix(group)))
    _check_names(orders)
    return folder, orders


def _suffix(group: tuple[Sound, ...]) -> str:
    return group[0].suffix if group else ".wav"


def _order(verb: str, group: tuple[Sound, ...], choices: dict[str, Any], name: str) -> Order:
    """An order whose encoding keeps the samples of the first sound, where the format can."""
    return Order(verb, group, choices, name, exact_encoding(group, name))


def _check_folder(folder: Path, count: int) -> None:
    from ondes.audio import FORMATS  # noqa: PLC0415

    if folder.suffix.lower() in FORMATS or (folder.exists() and not folder.is_dir()):
        raise UserError(f"{count} files go into a folder, and {folder} looks like a file; give -o a folder")


def _check_names(orders: Sequence[Order]) -> None:
    seen: dict[str, Order] = {}
    for order in orders:
        if (other := seen.setdefault(order.name.lower(), order)) is not order:
            paths = " and ".join(str(one.sounds[0].path) for one in (other, order))
            raise UserError(
                f"{paths} would both become {order.name}; edit them one by one, each with its own -o"
            )


def carry_out(orders: Sequence[Order], folder: Path, engine: Engine, *, sidecar: bool) -> None:
    """Write the files of orders and their records; all that can be wrong is looked at first.

    Several files appear together, when all are made.

    Raises:
        UserError: If anything that was asked for cannot be done.
    """
    for order in orders:
        _check_place(order, folder, several=len(orders) > 1)
    records = _records(orders, folder) if sidecar else {}
    pipeline = load_audio(engine)
    with together(orders), staged(folder) if len(orders) > 1 else nullcontext(folder) as place:
        for order in orders:
            made = run(order, pipeline, place / order.name)
            if sidecar:
                inputs = [Source(portable_name(sound.path, folder), sound.sha256) for sound in order.sounds]
                score = None if order.score is None else score_source(order.score, folder)
                record = describe(order, inputs, made, folder, engine, pipeline, score=score)
                record.write(place / records[order.name])


def _records(orders: Sequence[Order], folder: Path) -> dict[str, str]:
    """Name of the record of each file, by the file's.

    Raises:
        UserError: If it would replace somebody's own file.
    """
    found = {order.name: record_beside(folder / order.name).name for order in orders}
    stems = Counter(name.lower() for name in found.values())
    return {
        name: replaceable(folder / f"{name}.json").name if stems[record.lower()] > 1 else record
        for name, record in found.items()
    }


def _check_place(order: Order, folder: Path, *, several: bool) -> None:
    """Refuse what cannot be written, or would replace an input; say what is not exact.

    Raises:
        UserError: If so.
    """
    from ondes.audio import check_output  # noqa: PLC0415

    path = folder / order.name
    if not several:
        kind = (
            {"sample_rate_hz": order.sounds[0].sample_rate_hz, "channels": order.sounds[0].channels}
            if order.sounds
            else {}
        )
        check_output(path, encoding=order.encoding, duration_s=order.choices.get("duration_s", 0.0), **kind)
    check_inputs_stay(path, order.sounds)
    if order.verb in KEEPING and order.encoding != order.sounds[0].encoding:
        complain(
            f"{order.name} cannot hold the samples of {order.sounds[0].path.name} exactly, "
            "so those outside change a little; a .wav can"
        )


def check_inputs_stay(path: Path, sounds: Iterable[Sound]) -> None:
    """Refuse to write over what is read.

    Raises:
        UserError: If the path is that of a sound, whatever its name.
    """
    if path.exists() and any(path.samefile(sound.path) for sound in sounds):
        raise UserError(f"{path} is the input itself, which is never changed; pass another -o")


def load_audio(engine: Engine) -> AudioMaker | SynthesisPipeline:
    """A model that makes audio, after telling torch how many threads it may use.

    Raises:
        UserError: If there is no such model or vocoder, or its weights are damaged.
    """
    with waiting(f"Loading {engine.model}"):
        use_threads(engine.threads)
        return engine.open()


def run(order: Order, pipeline: AudioMaker | SynthesisPipeline, path: Path) -> Output:
    """Make one file, with a progress bar."""
    with rendering.timed() as elapsed_s, playing(order.name) as report:
        made = write_blocks(blocks_of(order, pipeline, report), path, encoding=order.encoding)
    say(rendering.speed_line(path.name, made.duration_s, elapsed_s()))
    return made


def looked_at(paths: Iterable[Path]) -> list[tuple[Sound, ...]]:
    """A group for each file; see `look_at`."""
    return [(look_at(path),) for path in paths]
