"""Makes guitarset.json: what mirdata 1.0 reads from a JAMS file in GuitarSet's layout.

Run in an environment with `pip install 'mirdata==1.0.*'`.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
from mirdata.datasets import guitarset  # pyright: ignore[reportMissingImports]

STRINGS = (40, 45, 50, 55, 59, 64)


def jams() -> dict:
    """Six strings with three notes each, sorted, a little out of tune, between annotations of other kinds."""
    random = np.random.RandomState(3)  # its stream is frozen for ever
    annotations = [{"namespace": "tempo", "annotation_metadata": {}, "data": []}]
    for index, pitch in enumerate(STRINGS):
        onsets = np.sort(random.uniform(0, 4, 3)).round(6)
        notes = [
            {
                "time": float(onset),
                "duration": round(float(random.uniform(0.05, 0.4)), 6),
                "value": round(float(pitch + random.uniform(-0.4, 0.4) + random.randint(12)), 6),
                "confidence": None,
            }
            for onset in onsets
        ]
        source = {"annotation_metadata": {"data_source": str(index)}, "sandbox": {}, "time": 0, "duration": 5}
        annotations += [
            {"namespace": "pitch_contour", "data": [], **source},
            {"namespace": "note_midi", "data": notes, **source},
        ]
    return {"file_metadata": {"title": "00_BN1-129-Eb_comp", "duration": 5.0}, "annotations": annotations}


def main() -> None:
    """Write the file and what mirdata says of it."""
    content = jams()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.jams"
        path.write_text(json.dumps(content))
        strings = [guitarset.load_notes(str(path), index) for index in range(len(STRINGS))]
    rows = [
        [float(start), float(end), float(pitch), index]
        for index, notes in enumerate(strings)
        for (start, end), pitch in zip(notes.intervals, notes.pitches, strict=True)
    ]
    golden = {"jams": content, "notes": rows}
    Path(__file__).with_name("guitarset.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
