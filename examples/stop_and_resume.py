"""Stop a task when one second of music is made, and finish it later: `python stop_and_resume.py SCORE FOLDER`."""

import sys
from pathlib import Path

from ondes.tasks import Cancelled, ModelShelf, Source, Synthesize, Workbench, read_task

score, folder = Path(sys.argv[1]), Path(sys.argv[2])
folder.mkdir()
made_s = [0.0]


def tell(done_s: float, total_s: float) -> None:
    """Progress comes after every block."""
    made_s.append(done_s)
    print(f"{done_s:.1f} of {total_s:.1f} s")


task = Synthesize(score="any name", seed=7)
sources = {"score": Source(score, name=score.name)}
shelf = ModelShelf()
journal = folder / "journal"
try:
    task.run(sources, folder, Workbench(shelf, tell, cancelled=lambda: made_s[-1] > 1, journal=journal))
except Cancelled:
    print("stopped")

same = read_task(task.model_dump_json())  # it may have travelled
outcome = same.run(sources, folder, Workbench(shelf, tell, journal=journal))
print(*(file.name for file in outcome.files))
