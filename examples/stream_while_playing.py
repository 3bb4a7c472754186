"""Hand on blocks of audio as soon as they are made, and see how soon that is."""

import sys
import time

import ondes

synth = ondes.SynthesisPipeline.from_pretrained("synth-small")
began_s = time.monotonic()
music_s = 0.0
with ondes.AudioWriter(sys.argv[2], sample_rate_hz=44_100, channels=2) as writer:
    for block in synth.stream(sys.argv[1]):
        writer.write(block)  # or send it to a sound card
        music_s += block.duration_s
        print(f"after {time.monotonic() - began_s:.2f} s: {music_s:.2f} s of music")
