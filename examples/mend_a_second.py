"""Make four seconds of music, make one of them anew, and see that nothing else has changed."""

import sys

import numpy as np

import ondes

model = ondes.AudioPipeline.from_pretrained("audio-small")
(piece,) = model.generate(4.0, seed=1)
mended = model.inpaint(piece, "1.5-2.5", seed=2)
differs = np.flatnonzero((mended.samples != piece.samples).any(axis=0)) / piece.sample_rate_hz
print(f"made anew from {differs[0]:.3f} s to {differs[-1]:.3f} s")
mended.write(sys.argv[1])
