"""Change one late note of a score, and see that what came before stays as it was, sample for sample."""

import sys

import numpy as np

import ondes

score = ondes.read_score(sys.argv[1])
synth = ondes.SynthesisPipeline.from_pretrained("synth-small")
before = synth(score, seed=7).samples

track = max(score.tracks, key=lambda track: track.notes[-1].time if len(track.notes) else -1)
track.notes[-1].pitch += 2
edited = ondes.to_notes(score)
after = synth(edited, seed=7).samples

changed = np.flatnonzero(np.abs(after - before[:, : after.shape[1]]).max(axis=0))
print(f"the edited note begins at {edited.onset_s[-1]:.2f} s")
print(f"the first sample that differs is at {changed[0] / 44_100:.2f} s")
