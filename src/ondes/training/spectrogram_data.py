"""The data module of Spectrogram Diffusion: public data sets, each by its folder, mixed."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

import lightning
from torch.utils.data import DataLoader

from ondes.datasets.cached_songs import CachedSongs
from ondes.datasets.feature_cache import build_cache, open_cache
from ondes.datasets.readers import read_recordings
from ondes.datasets.recordings import Rejections
from ondes.errors import UserError
from ondes.representations.events import CodecSettings, make_codec
from ondes.training.spectrogram_segments import MOST_TOKENS, SEGMENT_FRAMES, RandomSegments, SegmentBatch

log = logging.getLogger(__name__)

SPLITS = ("train", "validation")
Folders = list[Path] | Path | None


class SpectrogramData(lightning.LightningDataModule):
    """Random segments of the data sets whose folders are given; a missing folder leaves its data set out.

    Whole files are resampled and their log-mels kept in `cache_folder` before the first step. Give `urmp_wav_path` and
    `urmp_midi_path` together, or the first alone for the note annotations.

    Args:
        batch_size: Segments in a batch of one process.
        midi_output_size: Width that tokens are padded to; as wide as the widest of a batch if null. A segment with more
            tokens is made shorter, never cut.
        with_context: Whether the frames before a segment are given, as many as it has.
        segment_frames: Frames of 20 ms in a segment, as the model's.
        sampling_temperature: A data set counts as its size to this power.
        codec: Of the tokens: its name, or a mapping of `name` and its settings (see `CodecSettings`).
        musicnet_path: Folder of MusicNet.
        maestro_path: Folder of MAESTRO v3.
        slakh_path: Folder of Slakh2100 redux.
        guitarset_path: Folder of GuitarSet.
        urmp_wav_path: Folder of URMP.
        urmp_midi_path: Folder that 'ondes data clean-urmp' wrote.
        rendered_path: Folder or folders that 'ondes data render' wrote; each counts as a data set.
        folder_path: Folder, or several, of recordings with a MIDI file of the same name beside each.
        cache_folder: Where log-mels are kept.
        validation_batches: Batches of the validation split, always the same.
        workers: Processes that cut segments beside the training.
        seed: Of the cuts.
    """

    def __init__(
        self,
        batch_size: int,
        midi_output_size: int | None = None,
        with_context: bool = False,
        segment_frames: int = SEGMENT_FRAMES,
        sampling_temperature: float = 0.3,
        codec: CodecSettings = "mt3",
        musicnet_path: Path | None = None,
        maestro_path: Path | None = None,
        slakh_path: Path | None = None,
        guitarset_path: Path | None = None,
        urmp_wav_path: Path | None = None,
        urmp_midi_path: Path | None = None,
        rendered_path: Folders = None,
        folder_path: Folders = None,
        cache_folder: Path = Path("runs/spectrogram_cache"),
        validation_batches: int = 4,
        workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise UserError(f"data.init_args.batch_size is {batch_size}; give 1 or more")
        if segment_frames < 1:
            raise UserError(f"data.init_args.segment_frames is {segment_frames}; give 1 or more")
        self.save_hyperparameters()
        self.codec = make_codec(codec)
        self.training: list[CachedSongs] = []
        self.validation: list[CachedSongs] = []

    @property
    def most_tokens(self) -> int:
        """Tokens that a segment may have."""
        return self.hparams["midi_output_size"] or MOST_TOKENS

    def sources(self) -> list[tuple[str, Path, dict[str, Any]]]:
        """Kind, folder and settings of each data set that is given.

        Raises:
            UserError: If there are scores of URMP but no recordings.
        """
        options = self.hparams
        if options["urmp_midi_path"] is not None and options["urmp_wav_path"] is None:
            raise UserError(
                "urmp_midi_path is given without urmp_wav_path, where its recordings are; give both or neither"
            )
        kinds = ("musicnet", "maestro", "slakh", "guitarset", "rendered", "folder")
        found = [(kind, folder, {}) for kind in kinds for folder in in_a_list(options[f"{kind}_path"])]
        if options["urmp_wav_path"] is not None:
            midi = options["urmp_midi_path"]
            settings = {} if midi is None else {"notes": "score", "midi_folder": midi}
            found.append(("urmp", Path(options["urmp_wav_path"]), settings))
        return found

    def _cache(self, kind: str, folder: Path) -> Path:
        """A cache for each folder, so that two may have files of the same name."""
        place = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]
        return Path(self.hparams["cache_folder"]) / f"{kind}-{place}"

    def prepare_data(self) -> None:
        """Fill the caches, in one process of each machine, and say what could not be used."""
        rejections = Rejections()
        for kind, folder, settings in self.sources():
            for split in SPLITS:
                recordings, refused = read_recordings(kind, folder, split, **settings)
                rejections.update(refused)
                if recordings:
                    workers = max(self.hparams["workers"], 1)
                    cache = self._cache(kind, folder)
                    build_cache(recordings, cache, rejections=rejections, workers=workers)
        for line in rejections.lines():
            log.warning("left out: %s", line)

    def _songs(self, split: str) -> list[CachedSongs]:
        """The songs of a split, data set by data set; none of them empty."""
        found = []
        for kind, folder, settings in self.sources():
            recordings, _ = read_recordings(kind, folder, split, **settings)
            names = {recording.id for recording in recordings}
            if names:
                songs = open_cache(self._cache(kind, folder)).where(split=split)
                rows = [row for row in songs.rows if row["id"] in names]
                found += [CachedSongs(songs.folder, rows)] if rows else []
        return found

    def setup(self, stage: str) -> None:
        """Open the caches.

        Raises:
            UserError: If there is nothing to train on.
        """
        if self.training:
            return
        self.training, self.validation = map(self._songs, SPLITS)
        if not self.training:
            raise UserError(
                "there is nothing to train on: no data set is given, or none has recordings of the split 'train'; "
                "give --data.init_args.rendered_path FOLDER or another path"
            )
        hours = sum(songs.duration_s for songs in self.training) / 3600
        log.info("%d data sets, %.1f hours to train on", len(self.training), hours)

    def _segments(self, sets: list[CachedSongs], **place: int) -> RandomSegments:
        names = {
            "batch": "batch_size",
            "tokens": "midi_output_size",
            "temperature": "sampling_temperature",
            "most_frames": "segment_frames",
        }
        settings = {name: self.hparams[option] for name, option in names.items()}
        return RandomSegments(
            sets, self.codec, with_context=self.hparams["with_context"], **settings, **place
        )

    def train_dataloader(self) -> DataLoader[SegmentBatch]:
        """Endless batches from the trainer's step on; each process has its own."""
        place = {"seed": self.hparams["seed"]}
        if self.trainer is not None:
            place["first"] = self.trainer.global_step * self.trainer.accumulate_grad_batches
            place |= {"rank": self.trainer.global_rank, "processes": self.trainer.world_size}
        segments = self._segments(self.training, **place)
        return DataLoader(segments, batch_size=None, num_workers=self.hparams["workers"])

    def val_dataloader(self) -> DataLoader[SegmentBatch] | list[DataLoader[SegmentBatch]]:
        """The same few batches each time; nothing where no data set has a validation split."""
        if not self.validation:
            return []
        segments = self._segments(self.validation, seed=-1)
        fixed = [segments.at(number) for number in range(self.hparams["validation_batches"])]
        return DataLoader(fixed, batch_size=None)  # pyright: ignore[reportArgumentType]


def in_a_list(folders: Folders | str | list[str]) -> list[Path]:
    """One folder, several or none, as a list; configurations may give them as words."""
    if folders is None:
        return []
    return [Path(folder) for folder in (folders if isinstance(folders, list) else [folders])]
