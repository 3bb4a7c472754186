"""Give the notes of a score to a string quartet, and hear its parts."""

import sys

import ondes

separator = ondes.SeparationPipeline.from_pretrained("separate-small")
made = separator(sys.argv[1], into="string quartet", ranges=True)
for index, part in enumerate(made.parts):
    own = made.labels[0] == index
    print(f"{part.name}: {own.sum()} notes")
made.scores[0].dump_midi("quartet.mid")

synth = ondes.SynthesisPipeline.from_pretrained("synth-small")
synth(made.scores[0], seed=1).write(sys.argv[2])
