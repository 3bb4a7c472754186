"""The events of a MIDI file as a `symusic.Score`: one track for each channel and program of a file's track.

The file is parsed here and not by symusic, because symusic 0.6 gives controllers to one program only, drops
those that lie in another track than their channel's notes, drops notes that are never ended, and knows no
SMPTE time and no sequence of patterns in a format 2 file.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ondes.errors import UserError
from ondes.midi_file import (
    CONTROL,
    KEY_SIGNATURE,
    LYRIC,
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
from ondes.tempo import DEFAULT_TEMPO_US

if TYPE_CHECKING:
    import symusic.core

MOST_NOTES = 1_000_000
MOST_CONTROLS = 8_000_000
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

Table = NDArray[np.int64]


@dataclass(eq=False)
class ChannelTrack:
    """What one track of a file says on one channel.

    `keys` has rows (time, 0 up | 1 down | 2 all up, pitch, velocity), `programs` (time, program) and
    `controls` (time, number, value), all in file order.
    """

    track: int
    channel: int
    pool: tuple[int, ...]
    end: int
    keys: Table
    programs: Table
    controls: Table


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
    if sum(np.count_nonzero(channel.keys[:, 1] == 1) for channel in channels) > MOST_NOTES:
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
    time = time + start
    kind, channel = status >> 4, status & 15
    port = next((data[0] for _, meta, data in track.metas if meta == PORT and data), 0)
    found = []
    for number in np.unique(channel).tolist():
        own = channel == number
        pool = (index, number) if file.kind == 2 else (-1 - port, number)
        found.append(
            ChannelTrack(
                index,
                number,
                pool,
                start + track.end,
                _keys(time[own], kind[own], first[own], second[own]),
                np.stack([time, first], axis=1)[own & (kind == PROGRAM)],
                _control_rows(time[own], kind[own], first[own], second[own]),
            )
        )
    return found


def _keys(time: Table, kind: Table, first: Table, second: Table) -> Table:
    """Rows (time, 0 up | 1 down | 2 all up, pitch, velocity)."""
    moves = np.full(len(time), -1)
    moves[(kind == NOTE_OFF) | (kind == NOTE_ON) & (second == 0)] = 0
    moves[(kind == NOTE_ON) & (second > 0)] = 1
    moves[(kind == CONTROL) & np.isin(first, ALL_OFF)] = 2
    return np.stack([time, moves, first, second], axis=1)[moves >= 0]


def _control_rows(time: Table, kind: Table, first: Table, second: Table) -> Table:
    """Rows (time, number, value), pitch bends as number 128."""
    bends = kind == PITCH_BEND
    number = np.where(bends, BEND, first)
    value = np.where(bends, (second << 7 | first) - 8192, second)
    return np.stack([time, number, value], axis=1)[bends | (kind == CONTROL)]


def _add_tracks(
    score: symusic.core.ScoreTick, channels: list[ChannelTrack], file: MidiFile, name: str
) -> None:
    """One track of the score for each program that notes of a channel use."""
    programs = _programs_in_force(channels)
    controls = _controls_in_force(channels, programs)
    names = [_track_text(track, TRACK_NAME) for track in file.tracks]
    lyrics = {index: _texts(track, LYRIC) for index, track in enumerate(file.tracks)}
    copied = 0
    for channel, own_programs, own_controls in zip(channels, programs, controls, strict=True):
        notes = pair_keys(channel.keys, channel.end, file.repairs)
        if not len(notes):
            continue
        change = np.searchsorted(own_programs[:, 0], notes[:, 0], side="right")
        of_note = np.concatenate([[0], own_programs[:, 1]])[change]
        is_drum = channel.channel == DRUM_CHANNEL
        if is_drum:
            of_note[:] = of_note[0]
        used = np.unique(of_note).tolist()
        copied += len(own_controls) * len(used)
        if copied > MOST_CONTROLS:
            raise UserError(f"{name} holds more than {MOST_CONTROLS} controller events; thin them out")
        for program in used:
            track = _new_track(
                names[channel.track], program, is_drum, notes[of_note == program], own_controls
            )
            for time, text in lyrics.pop(channel.track, ()):
                _add_text(track.lyrics, time + channel.end - file.tracks[channel.track].end, text)
            score.tracks.append(track)


def pair_keys(keys: Table, end: int, repairs: Counter[str]) -> Table:
    """Notes from the moves of keys: each key-up ends the oldest note of its pitch.

    A note that is never ended stops with the last key-up of its pitch, or else with the track.

    Args:
        keys: Rows (time, 0 up | 1 down | 2 all up, pitch, velocity), in file order.
        end: End of the track in ticks.
        repairs: Where to count what was wrong.

    Returns:
        Rows (onset, duration, pitch, velocity), sorted by onset.
    """
    sounding: defaultdict[int, deque[int]] = defaultdict(deque)
    last_up: dict[int, int] = {}
    ends = [-1] * len(keys)
    idle = 0
    for index, (time, move, pitch, _) in enumerate(keys.tolist()):
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
            ends[index] = last_up[pitch] if last_up.get(pitch, -1) >= keys[index, 0] else end
        repairs["notes without an end ended with their pitch or track"] += len(queue)
    repairs["ends of notes that had not begun ignored"] += idle
    down = keys[:, 1] == 1
    notes = keys[down].copy()
    notes[:, 1] = np.array(ends, np.int64)[down] - notes[:, 0]
    repairs["notes of no length given 1 ms"] += int(np.count_nonzero(notes[:, 1] == 0))
    return notes


def _programs_in_force(channels: list[ChannelTrack]) -> list[Table]:
    """Rows (time, program) of each: its own changes, or else those that other tracks make on the channel."""
    pools: defaultdict[tuple[int, ...], list[Table]] = defaultdict(list)
    for channel in channels:
        pools[channel.pool].append(channel.programs)
    merged = {pool: _by_time(tables) for pool, tables in pools.items()}
    return [channel.programs if len(channel.programs) else merged[channel.pool] for channel in channels]


def _controls_in_force(channels: list[ChannelTrack], programs: list[Table]) -> list[Table]:
    """Rows (time, number, value) of each: its own, and those of controllers that only other tracks use.

    Others are tracks of the same channel which play nothing on it, or which play the same programs on it: the
    other hand of a piano. Tracks that merely reuse a channel with their own program keep to themselves.
    """
    kinds = [
        (*channel.pool, *(own[:, 1].tolist() if len(channel.keys) else [NO_NOTES]))
        for channel, own in zip(channels, programs, strict=True)
    ]
    pools: defaultdict[tuple[int, ...], list[Table]] = defaultdict(list)
    for channel, kind in zip(channels, kinds, strict=True):
        pools[kind].append(channel.controls)
    merged = {kind: _by_time(tables) for kind, tables in pools.items()}
    found = []
    for channel, kind in zip(channels, kinds, strict=True):
        silent = merged.get((*channel.pool, NO_NOTES))
        others = merged[kind] if silent is None else _by_time([silent, merged[kind]])
        inherited = others[~np.isin(GROUP[others[:, 1]], GROUP[channel.controls[:, 1]])]
        found.append(_by_time([inherited, channel.controls]) if len(inherited) else channel.controls)
    return found


def _by_time(tables: list[Table]) -> Table:
    """Rows of all tables in order of time; at one time in order of the tables."""
    rows = np.concatenate(tables)
    return rows[np.argsort(rows[:, 0], kind="stable")]


def _new_track(
    name: str, program: int, is_drum: bool, notes: Table, controls: Table
) -> symusic.core.TrackTick:
    from symusic.core import (  # noqa: PLC0415
        ControlChangeTickList,
        NoteTickList,
        PitchBendTickList,
        TrackTick,
    )

    track = TrackTick(name, program, is_drum)
    onset, duration, pitch, velocity = notes.T
    track.notes = NoteTickList.from_numpy(
        onset.astype(np.int32), duration.astype(np.int32), pitch.astype(np.int8), velocity.astype(np.int8)
    )
    time, number, value = controls[controls[:, 1] != BEND].T
    track.controls = ControlChangeTickList.from_numpy(
        time.astype(np.int32), number.astype(np.uint8), value.astype(np.uint8)
    )
    time, _, value = controls[controls[:, 1] == BEND].T
    track.pitch_bends = PitchBendTickList.from_numpy(time.astype(np.int32), value.astype(np.int32))
    return track


def _add_metas(score: symusic.core.ScoreTick, file: MidiFile, starts: list[int]) -> None:
    """Tempo, metre, key and markers of all tracks."""
    from symusic.core import TempoTick  # noqa: PLC0415

    if file.frames_per_second:
        score.tempos.append(TempoTick(0, _ticks_per_second(file)[1]))
    for start, track in zip(starts, file.tracks, strict=True):
        if file.kind == 2 and not file.frames_per_second:
            score.tempos.append(TempoTick(start, DEFAULT_TEMPO_US))
        for time, kind, data in track.metas:
            if kind == TEMPO and not file.frames_per_second:
                if len(data) == 3 and any(data):
                    score.tempos.append(TempoTick(start + time, int.from_bytes(data, "big")))
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


def _track_text(track: FileTrack, kind: int) -> str:
    return next((text for _, text in _texts(track, kind) if text), "")


def decode_text(data: bytes) -> str:
    """Text of a file as UTF-8 or else Latin-1; on one line, without control characters, shortened."""
    data = data[: 4 * LONGEST_TEXT]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:LONGEST_TEXT]
