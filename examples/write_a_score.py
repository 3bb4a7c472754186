"""Write notes in Python, and hear them: a canon in two instruments."""

# pyright: reportAttributeAccessIssue=false
import sys

import symusic

import ondes

TUNE = [60, 62, 64, 60, 60, 62, 64, 60, 64, 65, 67, 64, 65, 67]
BEATS = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 2]

score = symusic.Score(480)
score.tempos.append(symusic.Tempo(0, qpm=120))
for name, program, entry_beat in [("Flute", 73, 0), ("Bassoon", 70, 8)]:
    track = symusic.Track(name, program, False)
    beat = entry_beat
    for pitch, length in zip(TUNE, BEATS, strict=True):
        octave = 12 if program == 73 else -12
        track.notes.append(symusic.Note(beat * 480, length * 440, pitch + octave, 80))
        beat += length
    score.tracks.append(track)

synth = ondes.SynthesisPipeline.from_pretrained("synth-small")
synth(score, seed=1).write(sys.argv[1])
