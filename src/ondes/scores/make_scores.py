"""Write the bundled scores anew: `python -m ondes.scores.make_scores`."""

from __future__ import annotations

from collections.abc import Callable

from ondes.scores import bundled_score
from ondes.scores.band import band
from ondes.scores.prelude import prelude

BUILDERS: dict[str, Callable[[], bytes]] = {"prelude": prelude, "band": band}
"""What makes each bundled score, by its name."""

if __name__ == "__main__":
    for name, build in BUILDERS.items():
        bundled_score(name).path.write_bytes(build())
