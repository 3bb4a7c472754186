"""A server in a process of its own, whose jobs are tones: `python tone_server.py FOLDER JOBS PAUSE_S`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from studio_bench import Tone

from ondes.studio.service import Studio
from ondes.studio.settings import StudioSettings

folder, jobs, pause_s = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
studio = Studio(StudioSettings(folder))
studio.supervisor.command = (sys.executable, str(Path(__file__).with_name("tone_worker.py")))
studio.start()
ids = [studio.submit(Tone(duration_s=0.3, seed=seed, pause_s=pause_s)).id for seed in range(jobs)]
workers = [slot.process.pid for slot in studio.supervisor._slots if slot.process is not None]
print(json.dumps({"jobs": ids, "workers": workers}), flush=True)
while sys.stdin.readline():
    time.sleep(0.01)
studio.stop()
