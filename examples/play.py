"""Play a MIDI file: python examples/play.py song.mid song.wav"""

import sys

import ondes

score, output = sys.argv[1:3]
synth = ondes.SynthesisPipeline.from_pretrained("synth-small")
audio = synth(
    score, seed=7, steps=8, progress=lambda done_s, total_s: print(f"{done_s:.1f} of {total_s:.1f} s")
)
audio.write(output)
