"""Have a studio play a score: python examples/studio_synthesize.py http://127.0.0.1:8000 song.mid song.wav"""

import os
import sys

from ondes.studio.client import Client
from ondes.tasks import Synthesize

url, score, output = sys.argv[1:4]
with Client(url, os.environ.get("ONDES_TOKEN")) as studio:
    file = studio.upload(score)
    done = studio.run(
        Synthesize(score=file.id, seed=7, steps=8),
        progress=lambda job: print(f"{job.state}: {job.done:.1f} of {job.total:.1f} s"),
    )
    studio.download(done.files[0], output)
