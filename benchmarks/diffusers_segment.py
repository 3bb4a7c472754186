"""A whole segment by diffusers' own networks, in a process of its own: `spectrogram_segment.py` starts it.

It is given a file of weights and inputs, the networks' sizes as JSON, and a number of threads. For each line, a number
of steps, it does what the pipeline does with one segment: both encoders once, then a decoder step and a step of its
sampler that many times. It answers with the seconds that the processor has spent on this process.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from typing import Any

import diffusers
import torch
from diffusers import DDPMScheduler, T5FilmDecoder  # pyright: ignore[reportPrivateImportUsage]
from diffusers_decoder import answer
from safetensors.torch import load_file


@torch.inference_mode()
def main() -> None:
    published = importlib.import_module("diffusers.pipelines.deprecated.spectrogram_diffusion")
    held, sizes = load_file(sys.argv[1]), json.loads(sys.argv[2])
    torch.set_num_threads(int(sys.argv[3]))
    shape = {name: sizes[name] for name in ("d_model", "num_layers", "num_heads", "d_kv", "d_ff")}
    shape |= {"dropout_rate": 0.1, "feed_forward_proj": "gated-gelu"}
    networks = {
        "notes": published.SpectrogramNotesEncoder(max_length=2048, vocab_size=1536, **shape),
        "context": published.SpectrogramContEncoder(input_dims=128, targets_context_length=256, **shape),
        "decoder": T5FilmDecoder(**sizes),
    }
    for name, network in networks.items():
        prefix = f"{name} "
        own = {key.removeprefix(prefix): value for key, value in held.items() if key.startswith(prefix)}
        missing = network.eval().load_state_dict(own, strict=False).missing_keys
        if [key for key in missing if "position_encoding" not in key]:
            raise SystemExit(f"{name} lacks {missing[:3]}")
    answer(f"diffusers {diffusers.__version__}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    scheduler: Any = DDPMScheduler(beta_schedule="squaredcos_cap_v2", variance_type="fixed_large")
    for line in sys.stdin:
        tokens, known = held["tokens"], held["context frames"]
        notes = networks["notes"](encoder_input_tokens=tokens, encoder_inputs_mask=tokens > 0)
        every = torch.ones(known.shape[:2], dtype=torch.bool)
        context = networks["context"](encoder_inputs=known, encoder_inputs_mask=every)
        x = torch.randn(1, 256, 128)
        scheduler.set_timesteps(int(line))
        for moment in scheduler.timesteps:
            time_of = torch.full((1,), float(moment) / scheduler.config["num_train_timesteps"])
            noise = networks["decoder"]([notes, context], x, time_of)
            x = scheduler.step(noise, moment, x).prev_sample
        answer(str(time.process_time()))


if __name__ == "__main__":
    main()
