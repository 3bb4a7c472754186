"""Compose a piece, go on with it, make two of its bars anew, and hear the result."""

import sys

import ondes

composer = ondes.ComposerPipeline.from_pretrained("compose-small")
(piece,) = composer.generate(
    bars=4, key="G major", metre="3/4", tempo=100, ensemble="voice and piano", seed=2
)
piece = composer.extend(piece, bars=4, seed=2)
bars_anew = composer.infill(piece, bars=(1, 2), seed=5)
bars_anew.dump_midi("piece.mid")

synth = ondes.SynthesisPipeline.from_pretrained("synth-small")
synth(bars_anew, seed=1).write(sys.argv[1])
