"""The events of a MIDI file as a `symusic.Score`: one track for each channel and program of a file's track.

The file is parsed here and not by symusic, because symusic 0.6 gives controllers to one program only, drops
those that lie in another track than their channel's notes, drops notes that are never ended, and knows no
SMPTE time and no sequence of patterns in a format 2 file.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64

from ondes.errors import UserError
from ondes.midi_file import (
    CONTROL,
    KEY_SIGNATURE,
    MARKER,
    MOST_TICKS,
    NOTE_OFF,
    NOTE_ON,
    PITCH_BEND,
    PORT,
    PROGRAM,
    TEMPO,
    TIME_SIGNATURE,
    TRACK_NAME,
    FileTrack,
    MidiFile,
)
from ondes.ordering import stable_order
from ondes.tempo import DEFAULT_TEMPO_US

if TYPE_CHECKING:
    import symusic.core

MOST_NOTES = 1_000_000
MOST_PARTS = 1024
MOST_CONTROLS = 4_000_000
"""Copies for several programs and tracks included."""
LONGEST_TEXT = 200
DRUM_CHANNEL = 9
BEND = 128
"""Stands beside the 128 controllers as the number of the pitch bend."""
ALL_OFF = (120, 123, 124, 125, 126, 127)
"""Controllers that let go of every key of a channel."""
GROUP = np.arange(129)
"""Controllers that are inherited together: data entry goes with the parameter it sets."""
GROUP[[38, 98, 99, 100, 101]] = 6

NO_NOTES = -1
"""Stands for the programs of a track that has no notes on a channel."""


Moves = Int64[np.ndarray, "5 _"]
"""Rows of time in ticks; 0 for up, 1 for down, 2 for all keys up; pitch; velocity; program, -1 if not set."""
Changes = Int64[np.ndarray, "2 _"]
"""Rows of time and program."""
Events = Int64[np.ndarray, "3 _"]
"""Rows of time, controller (128 for pitch bend) and value."""
KeyedNotes = Int64[np.ndarray, "5 _"]
"""Rows of onset, duration, pitch, velocity and program, -1 if not set."""


@dataclass(eq=False)
class ChannelTrack:
    """What one track of a file says on one channel, in file order.

    Tracks of one `pool` share an instrument's channel.
    """

    track: int
    channel: int
    pool: tuple[int, int]
    end: int
    moves: Moves
    programs: Changes
    controls: Events


def score_of(file: MidiFile, name: str) -> symusic.core.ScoreTick:
    """The score of a parsed file; what is repaired is counted in `file.repairs`.

    Args:
        file: The parsed file.
        name: What to call it in messages.

    Raises:
        UserError: If it holds too much.
    """
    from symusic.core import ScoreTick  # noqa: PLC0415

    starts = _starts(file, name)
    channels = [
        channel for index, start in enumerate(starts) for channel in _channel_tracks(file, index, start)
    ]
    if sum(np.count_nonzero(channel.moves[1] == 1) for channel in channels) > MOST_NOTES:
        raise UserError(f"{name} holds more than {MOST_NOTES} notes; split it")
    score = ScoreTick(file.division if not file.frames_per_second else _ticks_per_second(file)[0])
    _add_metas(score, file, starts)
    _add_tracks(score, channels, file, name)
    last = max((start + track.end for start, track in zip(starts, file.tracks, strict=True)), default=0)
    if not any(len(track.notes) for track in score.tracks) and last > score.end():
        _add_text(score.markers, last, "end")
    return score


def _starts(file: MidiFile, name: str) -> list[int]:
    """When each track begins: together, or in format 2 after one another."""
    if file.kind != 2:
        return [0] * len(file.tracks)
    ends = np.cumsum([0, *(track.end for track in file.tracks)])
    if ends[-1] > MOST_TICKS:
        raise UserError(f"{name} lasts {ends[-1]} ticks; at most {MOST_TICKS} can be counted, so split it")
    return ends[:-1].tolist()


def _ticks_per_second(file: MidiFile) -> tuple[int, int]:
    """SMPTE time as ticks a quarter note and microseconds a quarter note of (nearly) one second."""
    frames = round(file.frames_per_second)
    return frames * file.division, round(frames / file.frames_per_second * 1_000_000)


def _channel_tracks(file: MidiFile, index: int, start: int) -> list[ChannelTrack]:
    """A track's channels that say anything."""
    track = file.tracks[index]
    time, status, first, second = track.events()
    events = np.stack([time + start, status >> 4, first, second])
    port = next((data[0] for _, meta, data in track.metas if meta == PORT and data), 0)
    found = []
    for channel in np.unique(status & 15).tolist():
        own = events[:, status & 15 == channel]
        pool = (index, channel) if file.kind == 2 else (-1 - port, channel)
        programs = own[:, own[1] == PROGRAM][[0, 2]]
        found.append(
            ChannelTrack(index, channel, pool, start + track.end, _moves(own), programs, _controls(own))
        )
    return found


def _moves(events: Int64[np.ndarray, "4 messages"]) -> Moves:
    """The moves of keys among channel events."""
    time, kind, first, second = events
    moves = np.full(len(time), -1)
    moves[(kind == NOTE_OFF) | (kind == NOTE_ON) & (second == 0)] = 0
    moves[(kind == NOTE_ON) & (second > 0)] = 1
    moves[(kind == CONTROL) & np.isin(first, ALL_OFF)] = 2
    change = np.maximum.accumulate(np.where(kind == PROGRAM, np.arange(len(time)), -1))
    program = np.where(change >= 0, first[change], -1)
    return np.stack([time, moves, first, second, program])[:, moves >= 0]


def _controls(events: Int64[np.ndarray, "4 messages"]) -> Events:
    """The controllers and pitch bends among channel events."""
    time, kind, first, second = events
    bends = kind == PITCH_BEND
    number = np.where(bends, BEND, first)
    value = np.where(bends, (second << 7 | first) - 8192, second)
    return np.stack([time, number, value])[:, bends | (kind == CONTROL)]


def _add_tracks(
    score: symusic.core.ScoreTick, channels: list[ChannelTrack], file: MidiFile, name: str
) -> None:
    """One track of the score for each program that notes of a channel use."""
    names = [next((text for _, text in _texts(track, TRACK_NAME) if text), "") for track in file.tracks]
    programs = _programs_in_force(channels)
    copied = 0
    in_force = _controls_in_force(channels, programs)
    for channel, changes, controls in zip(channels, programs, in_force, strict=True):
        notes = pair_keys(channel.moves, channel.end, file.repairs)
        of_note = _programs_at(notes[0], notes[4], changes)
        is_drum = channel.channel == DRUM_CHANNEL
        if is_drum:
            of_note = of_note[:1].repeat(len(of_note))
        for program in np.unique(of_note).tolist():
            copied += controls.shape[1]
            if len(score.tracks) == MOST_PARTS or copied > MOST_CONTROLS:
                raise UserError(
                    f"{name} holds more than {MOST_PARTS} instruments, or {MOST_CONTROLS} controller events "
                    "for them; split it"
                )
            track = _new_track(notes[:, of_note == program], controls)
            track.name, track.program, track.is_drum = names[channel.track], program, is_drum
            score.tracks.append(track)


def pair_keys(moves: Moves, end: int, repairs: Counter[str]) -> KeyedNotes:
    """Notes from the moves of keys: each key-up ends the oldest note of its pitch.

    A note that is never ended stops with the last key-up of its pitch, or else with the track.

    Args:
        moves: What the keys do, in file order.
        end: End of the track in ticks.
        repairs: Where to count what was wrong.

    Returns:
        The notes, sorted by onset.
    """
    ends = paired_ends(*moves[:3])
    if ends is None:
        ends = _ends_one_by_one(moves, end, repairs)
    onset, _, pitch, velocity, program = moves[:, moves[1] == 1]
    duration = ends[moves[1] == 1] - onset
    repairs["notes of no length given 1 ms"] += int(np.count_nonzero(duration == 0))
    return np.stack([onset, duration, pitch, velocity, program])


def paired_ends(
    time: Int64[np.ndarray, " moves"], move: Int64[np.ndarray, " moves"], key: Int64[np.ndarray, " moves"]
) -> Int64[np.ndarray, " moves"] | None:
    """When the notes end, at the moves that begin them; None unless every down has its up and every up its down.

    Args:
        time: Of the moves, in file order.
        move: 0 for up, 1 for down, 2 for all keys up.
        key: What moves; ups of a key end its oldest note.
    """
    order = stable_order(key)
    time, move, key = time[order], move[order], key[order]
    sounding = np.cumsum(2 * move - 1)
    last = np.append(key[1:] != key[:-1], True)[: len(key)]
    if (move == 2).any() or (sounding < 0).any() or sounding[last].any():
        return None
    ends = np.zeros(len(order), np.int64)
    ends[order[move == 1]] = time[move == 0]  # of each key, the downs and ups in order
    return ends


def _ends_one_by_one(moves: Moves, end: int, repairs: Counter[str]) -> Int64[np.ndarray, " moves"]:
    """When the notes end, at the moves that begin them; counts what was wrong."""
    sounding: defaultdict[int, deque[int]] = defaultdict(deque)
    last_up: dict[int, int] = {}
    ends = [end] * moves.shape[1]
    idle = 0
    for index, (time, move, pitch) in enumerate(zip(*moves[:3].tolist(), strict=True)):
        if move == 1:
            sounding[pitch].append(index)
        elif move == 0:
            last_up[pitch] = time
            if sounding[pitch]:
                ends[sounding[pitch].popleft()] = time
            else:
                idle += 1
        else:
            for queue in sounding.values():
                while queue:
                    ends[queue.pop()] = time
    for pitch, queue in sounding.items():
        for index in queue:
            if last_up.get(pitch, -1) >= moves[0, index]:
                ends[index] = last_up[pitch]
        repairs["notes without an end ended with their pitch or track"] += len(queue)
    repairs["ends of notes that had not begun ignored"] += idle
    return np.array(ends, np.int64)


def _programs_in_force(channels: list[ChannelTrack]) -> list[Changes]:
    """Program changes of each: its own, or else those that other tracks make on the channel."""
    pools: defaultdict[tuple[int, int], list[Changes]] = defaultdict(list)
    for channel in channels:
        pools[channel.pool].append(channel.programs)
    merged = {pool: _by_time(tables) for pool, tables in pools.items()}
    return [channel.programs if channel.programs.size else merged[channel.pool] for channel in channels]


def _programs_at(
    times: Int64[np.ndarray, " notes"], programs: Int64[np.ndarray, " notes"], changes: Changes
) -> Int64[np.ndarray, " notes"]:
    """The program of each note: that set before it in its track, or else the change in force, or else 0."""
    if not changes.size:
        return np.zeros(len(times), np.int64)
    change = np.searchsorted(changes[0], times, side="right")
    return np.where(programs >= 0, programs, np.where(change > 0, changes[1][change - 1], 0))


def _controls_in_force(channels: list[ChannelTrack], programs: list[Changes]) -> Iterator[Events]:
    """Controllers of each: its own, and those of numbers that only other tracks use.

    Others are tracks of the same channel which play nothing on it, or which begin with the same program: the
    other hand of a piano. Tracks that merely reuse a channel with their own program keep to themselves.
    """
    kinds = [
        (*channel.pool, _first_program(channel, changes))
        for channel, changes in zip(channels, programs, strict=True)
    ]
    pools: defaultdict[tuple[int, int, int], defaultdict[int, list[Events]]]
    pools = defaultdict(lambda: defaultdict(list))
    for channel, kind in zip(channels, kinds, strict=True):
        groups = GROUP[channel.controls[1]]
        for group in np.unique(groups).tolist():
            pools[kind][group].append(channel.controls[:, groups == group])
    merged = {
        kind: {group: _by_time(tables) for group, tables in pool.items()} for kind, pool in pools.items()
    }
    for channel, kind in zip(channels, kinds, strict=True):
        own = set(np.unique(GROUP[channel.controls[1]]).tolist())
        silent = (*channel.pool, NO_NOTES)
        inherited = [
            events
            for other in dict.fromkeys((silent, kind))
            for group, events in merged.get(other, {}).items()
            if group not in own
        ]
        yield _by_time([*inherited, channel.controls]) if inherited else channel.controls


def _first_program(channel: ChannelTrack, changes: Changes) -> int:
    """The program of the first note, or `NO_NOTES`."""
    first = channel.moves[:, channel.moves[1] == 1][:, :1]
    return int(_programs_at(first[0], first[4], changes)[0]) if first.size else NO_NOTES


def _by_time(tables: list[Int64[np.ndarray, "rows _"]]) -> Int64[np.ndarray, "rows columns"]:
    """Columns of all tables in order of time; at one time in order of the tables."""
    columns = np.concatenate(tables, axis=1)
    return columns[:, np.argsort(columns[0], kind="stable")]


def _new_track(notes: KeyedNotes, controls: Events) -> symusic.core.TrackTick:
    from symusic.core import (  # noqa: PLC0415
        ControlChangeTickList,
        NoteTickList,
        PitchBendTickList,
        TrackTick,
    )

    track = TrackTick()
    time, duration, pitch, velocity, _ = notes
    track.notes = NoteTickList.from_numpy(
        time.astype(np.int32), duration.astype(np.int32), pitch.astype(np.int8), velocity.astype(np.int8)
    )
    time, number, value = controls[:, controls[1] != BEND]
    track.controls = ControlChangeTickList.from_numpy(
        time.astype(np.int32), number.astype(np.uint8), value.astype(np.uint8)
    )
    time, _, value = controls[:, controls[1] == BEND]
    track.pitch_bends = PitchBendTickList.from_numpy(time.astype(np.int32), value.astype(np.int32))
    return track


def _add_metas(score: symusic.core.ScoreTick, file: MidiFile, starts: list[int]) -> None:
    """Tempo, metre, key and markers of all tracks."""
    from symusic.core import TempoTick  # noqa: PLC0415

    if file.frames_per_second:
        score.tempos.append(TempoTick(0, mspq=_ticks_per_second(file)[1]))
    for start, track in zip(starts, file.tracks, strict=True):
        if file.kind == 2 and not file.frames_per_second:
            score.tempos.append(TempoTick(start, mspq=DEFAULT_TEMPO_US))
        for time, kind, data in track.metas:
            if kind == TEMPO and not file.frames_per_second:
                if len(data) == 3 and any(data):
                    score.tempos.append(TempoTick(start + time, mspq=int.from_bytes(data, "big")))
                else:
                    file.repairs["impossible tempos ignored"] += 1
            else:
                _add_signature(score, start + time, kind, data)
        for time, text in _texts(track, MARKER):
            _add_text(score.markers, start + time, text)


def _add_signature(score: symusic.core.ScoreTick, time: int, kind: int, data: bytes) -> None:
    """Add a metre or key, if it is a possible one."""
    from symusic.core import KeySignatureTick, TimeSignatureTick  # noqa: PLC0415

    if kind == TIME_SIGNATURE and len(data) == 4 and data[0] and data[1] <= 6:
        score.time_signatures.append(TimeSignatureTick(time, data[0], 2 ** data[1]))
    elif kind == KEY_SIGNATURE and len(data) == 2 and data[1] <= 1:
        sharps = int.from_bytes(data[:1], signed=True)
        if abs(sharps) <= 7:
            score.key_signatures.append(KeySignatureTick(time, sharps, data[1]))


def _add_text(texts: symusic.core.TextMetaTickList, time: int, text: str) -> None:
    from symusic.core import TextMetaTick  # noqa: PLC0415

    texts.append(TextMetaTick(time, text))


def _texts(track: FileTrack, kind: int) -> list[tuple[int, str]]:
    return [(time, decode_text(data)) for time, meta, data in track.metas if meta == kind]


def decode_text(data: bytes) -> str:
    """Text of a file as UTF-8 or else Latin-1; on one line, without control characters, shortened."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return " ".join("".join(c if c.isprintable() else " " for c in text[: 2 * LONGEST_TEXT]).split())[
        :LONGEST_TEXT
    ]
