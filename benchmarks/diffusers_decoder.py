"""diffusers' own decoder in a process of its own, so that any version of diffusers can stand beside ours.

`spectrogram_decoder.py` starts it with a file of weights and inputs, the network's sizes as JSON, and a number of
threads. It runs one step for each line it reads, a line being the name of a mask, and answers with the
seconds that the processor has spent on this process; "save FILE" keeps what the last step gave.
"""

from __future__ import annotations

import json
import sys
import time

import diffusers
import torch
from diffusers import T5FilmDecoder  # pyright: ignore[reportPrivateImportUsage]
from safetensors.torch import load_file, save_file


@torch.inference_mode()
def main() -> None:
    held = load_file(sys.argv[1])
    sizes = json.loads(sys.argv[2])
    torch.set_num_threads(int(sys.argv[3]))
    network = T5FilmDecoder(**sizes).eval()
    weights = {
        name.removeprefix("weight "): held.pop(name) for name in list(held) if name.startswith("weight ")
    }
    network.load_state_dict(weights)
    weights.clear()
    answer(f"diffusers {diffusers.__version__}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    found = torch.zeros(0)
    for line in sys.stdin:
        order, _, rest = line.strip().partition(" ")
        if order == "save":
            save_file({"noise": found}, rest)
        else:
            heard = [
                (held["notes"], held[f"notes mask {order}"].float()),
                (held["context"], held["context mask"].float()),
            ]
            found = network(heard, held["noisy"], held["time"])
        answer(str(time.process_time()))


def answer(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
