"""One step of Spectrogram Diffusion's decoder: ours against that of diffusers, on the same weights and inputs.

    python benchmarks/spectrogram_decoder.py --setup old
    python benchmarks/spectrogram_decoder.py --old old --threads 2 --repetitions 5

`--setup` puts the last versions of diffusers and transformers in which the published pipeline runs into a folder,
beside this environment's torch; without `--old` the installed diffusers is measured. Its decoder runs in a process of
its own. Steps take turns; medians are printed, and how far our result is from theirs (root mean square of the
difference over that of the result). With `--cpu-time` the clock is the time that the processor spent on the step, which
is fair with one thread on a machine that is busy with other things.

Encodings are normal noise, of 2048 tokens of which the first `--tokens` are valid, and of 256 frames of context;
weights are new ones, or those of a folder given by `--weights`. Keys and values of cross-attention, which we make once
a segment, are a row of their own. `--engines onnxruntime openvino` adds the graph of a step that `ondes export` writes:
as it is, and with weights of unsigned 8 or signed 7 bits, a scale a channel. Bfloat16 is left out where the processor
has no products of it. Peak memory is that of a fresh process that loads all three networks and runs both encoders and a
guided step.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from alternating import in_turns
from safetensors.torch import load_file, save_file

from ondes.checkpoints.spectrogram_graphs import MemoryGraph, decoder_graph, quantise_graph, write_graph
from ondes.models.int8_linear import multiplies_int8, quantise_linears, relative_error
from ondes.models.spectrogram_diffusion import ContextEncoder, FilmDecoder, NotesEncoder
from ondes.pipelines.loading import cpu_multiplies_bfloat16

LAST_WORKING = ("diffusers==0.25.1", "transformers==4.40.2", "tokenizers==0.19.1", "huggingface_hub==0.25.2")
SIZES = {
    "base": {"d_model": 768, "num_layers": 12, "num_heads": 12, "d_ff": 2048},
    "small": {"d_model": 512, "num_layers": 8, "num_heads": 6, "d_ff": 1024},
    "tiny": {"d_model": 64, "num_layers": 2, "num_heads": 2, "d_ff": 128},
}
LENGTH, FRAMES = 2048, 256


class Theirs:
    """diffusers' decoder in another process.

    Args:
        inputs: File of weights and inputs.
        sizes: Of the network.
        threads: CPU threads.
        folder: Where to look for packages first, if anywhere.
        worker: The program, in this folder.
    """

    def __init__(
        self,
        inputs: Path,
        sizes: dict[str, Any],
        threads: int,
        folder: str | None,
        worker: str = "diffusers_decoder.py",
    ) -> None:
        settings = dict(os.environ, OMP_NUM_THREADS=str(threads))
        if folder:
            settings["PYTHONPATH"] = str(Path(folder).resolve())
        script = str(Path(__file__).with_name(worker))
        command = [sys.executable, "-W", "ignore", script, str(inputs), json.dumps(sizes), str(threads)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=settings
        )
        self.versions = self._read()
        self.cpu_s = 0.0

    def ask(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        self.cpu_s = float(self._read())

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def _read(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"diffusers' decoder ended with exit status {self._process.wait()}")
        return line.strip()


def main() -> None:
    options = _options()
    if options.setup:
        setup(options.setup)
    elif options.memory_probe:
        probe_memory(options)
    else:
        compare(options)


def setup(folder: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", folder, *LAST_WORKING]
    subprocess.run(command, check=True)


@torch.inference_mode()
def compare(options: argparse.Namespace) -> None:
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    sizes = {**SIZES[options.size], "d_kv": 64, "max_decoder_noise_time": 20_000.0}
    if options.layers:
        sizes["num_layers"] = options.layers
    decoder = FilmDecoder.from_pretrained(options.weights) if options.weights else FilmDecoder(**sizes)
    decoder.eval()
    inputs = _inputs(sizes["d_model"], options.tokens)
    with tempfile.TemporaryDirectory(prefix="ondes-") as folder:
        file, answer = Path(folder, "inputs.safetensors"), Path(folder, "answer.safetensors")
        weights = {f"weight {name}": value for name, value in decoder.state_dict().items()}
        save_file({**weights, **inputs}, file)
        del weights
        theirs = Theirs(file, sizes, options.threads, options.old)
        print(f"{options.size} size, {sizes['num_layers']} layers; ours: torch {torch.__version__}")
        print(f"theirs: {theirs.versions}")
        what = "processor time" if options.cpu_time else "time"
        print(f"{processor()}, {options.threads} threads, medians of {options.repetitions}, {what}")
        wanted = {}
        for tokens in options.tokens:
            theirs.ask(str(tokens))
            theirs.ask(f"save {answer}")
            wanted[tokens] = load_file(answer)["noise"]
        things, errors = _ours(decoder, inputs, wanted)
        for engine in options.engines:
            for name, step in ENGINES[engine](
                decoder, inputs, min(wanted), Path(folder), options.threads
            ).items():
                things[name] = step
                errors[name] = relative_error(step(), wanted[min(wanted)])
        things["diffusers, float32"] = lambda: theirs.ask(str(options.tokens[0]))
        clock = (lambda: time.process_time() + theirs.cpu_s) if options.cpu_time else time.perf_counter
        timings = in_turns(things, repetitions=options.repetitions, clock=clock)
        theirs.close()
    before_s = timings["diffusers, float32"].median_s
    print("\n| step | median s | least s | times as fast | relative error |\n| --- | --- | --- | --- | --- |")
    for name, timing in sorted(timings.items(), key=lambda item: -item[1].median_s):
        error = f"{errors[name]:.1e}" if name in errors else ""
        ratio = "" if "keys" in name else f"{before_s / timing.median_s:.2f}"
        figures = f"{timing.median_s:.3f} | {timing.least_s:.3f} | {ratio}"
        print(f"| {name} | {figures} | {error} |")
    if not options.no_memory:
        print(f"\n{_memory(options)}")


def _inputs(width: int, tokens: list[int]) -> dict[str, torch.Tensor]:
    masks = {f"notes mask {count}": (torch.arange(LENGTH) < count).int()[None] for count in tokens}
    return masks | {
        "notes": torch.randn(1, LENGTH, width),
        "context": torch.randn(1, FRAMES, width),
        "context mask": torch.ones(1, FRAMES, dtype=torch.int32),
        "noisy": torch.randn(1, FRAMES, 128),
        "time": torch.tensor([0.6]),
    }


def _ours(
    decoder: FilmDecoder, inputs: dict[str, torch.Tensor], wanted: dict[int, torch.Tensor]
) -> tuple[dict[str, Callable[[], object]], dict[str, float]]:
    """What to time, and how far its results are from theirs."""
    variants = {"float32": decoder}
    if cpu_multiplies_bfloat16():
        variants["bfloat16"] = copy.deepcopy(decoder).bfloat16()
    else:
        print("bfloat16 left out: this processor has no products of it")
    if multiplies_int8():
        variants["int8 linears"] = copy.deepcopy(decoder)
        quantise_linears(variants["int8 linears"])
    else:
        print("int8 left out: this processor or build of torch has no products of it")
    things: dict[str, Callable[[], object]] = {}
    errors = {}
    for arithmetic, network in variants.items():
        for tokens, result in wanted.items():
            step, memorise = _step(network, inputs, tokens, guided=False)
            name = f"ours, {arithmetic}, {tokens} tokens"
            things[name] = step
            errors[name] = relative_error(step(), result)
        things[f"ours, {arithmetic}, {tokens} tokens, keys and values"] = memorise
    first = min(wanted)
    things[f"ours, float32, {first} tokens, guided"] = _step(decoder, inputs, first, guided=True)[0]
    return things, errors


def _step(
    network: FilmDecoder, inputs: dict[str, torch.Tensor], tokens: int, *, guided: bool
) -> tuple[Callable[[], torch.Tensor], Callable[[], object]]:
    encodings = torch.cat([inputs["notes"], inputs["context"]], 1)
    mask = torch.cat([inputs[f"notes mask {tokens}"], inputs["context mask"]], 1) > 0
    memory = network.memory(encodings, mask)
    noisy, level = inputs["noisy"], inputs["time"]
    if guided:
        memory, noisy, level = memory.and_deaf(), noisy.repeat(2, 1, 1), level.repeat(2)

    def step() -> torch.Tensor:
        with torch.inference_mode():
            return network(noisy, level, memory)

    def memorise() -> object:
        with torch.inference_mode():
            return network.memory(encodings, mask)

    return step, memorise


def _graph_inputs(
    decoder: FilmDecoder, inputs: dict[str, torch.Tensor], tokens: int
) -> dict[str, np.ndarray]:
    """What the decoder's graph takes, without padding."""
    encodings = torch.cat([inputs["notes"][:, :tokens], inputs["context"]], 1)
    keys, values = MemoryGraph(decoder)(encodings)
    heard = torch.ones(encodings.shape[:2], dtype=torch.bool)
    given = {"noisy": inputs["noisy"], "time": inputs["time"], "keys": keys, "values": values, "mask": heard}
    return {name: value.numpy() for name, value in given.items()}


def _decoder_file(decoder: FilmDecoder, folder: Path) -> Path:
    file = folder / "decoder.onnx"
    if not file.exists():
        with torch.inference_mode(mode=False):  # tracing wants weights that remember what was done to them
            copied = copy.deepcopy(decoder)
            write_graph(decoder_graph(copied), file)
    return file


def _onnxruntime(
    decoder: FilmDecoder, inputs: dict[str, torch.Tensor], tokens: int, folder: Path, threads: int
) -> dict[str, Callable[[], torch.Tensor]]:
    import onnxruntime  # noqa: PLC0415
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415

    exact = _decoder_file(decoder, folder)
    whole, signed = folder / "decoder_8.onnx", folder / "decoder_7.onnx"
    choices: dict[str, Any] = {"per_channel": True, "op_types_to_quantize": ["MatMul"]}
    quantize_dynamic(exact, whole, weight_type=QuantType.QUInt8, **choices)
    quantise_graph(exact, signed)
    given = _graph_inputs(decoder, inputs, tokens)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads

    def step(file: Path) -> Callable[[], torch.Tensor]:
        session = onnxruntime.InferenceSession(str(file), settings, providers=["CPUExecutionProvider"])
        return lambda: torch.from_numpy(session.run(None, given)[0])

    return {
        f"onnxruntime, float32, {tokens} tokens": step(exact),
        f"onnxruntime, 8-bit weights, {tokens} tokens": step(whole),
        f"onnxruntime, signed 7-bit weights, {tokens} tokens": step(signed),
    }


def _openvino(
    decoder: FilmDecoder, inputs: dict[str, torch.Tensor], tokens: int, folder: Path, threads: int
) -> dict[str, Callable[[], torch.Tensor]]:
    import openvino  # noqa: PLC0415  # pyright: ignore[reportMissingImports]

    _decoder_file(decoder, folder)
    given = _graph_inputs(decoder, inputs, tokens)
    things = {}
    for name, file in (("float32", "decoder.onnx"), ("8-bit weights", "decoder_8.onnx")):
        if not (folder / file).exists():
            continue
        settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        request = openvino.compile_model(folder / file, "CPU", settings).create_infer_request()

        def step(request: Any = request) -> torch.Tensor:
            return torch.from_numpy(request.infer(given)[0].copy())

        things[f"openvino, {name}, {tokens} tokens"] = step
    return things


ENGINES = {"onnxruntime": _onnxruntime, "openvino": _openvino}


def _memory(options: argparse.Namespace) -> str:
    command = [
        sys.executable,
        __file__,
        "--memory-probe",
        "--size",
        options.size,
        "--threads",
        str(options.threads),
    ]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    peak, weights, empty = (found[name] / 1e9 for name in ("peak", "weights", "empty"))
    return (
        f"peak memory: {peak:.2f} GB, of which {weights:.2f} GB are weights and {empty:.2f} GB the process before "
        f"them: {peak - weights:.2f} GB over the weights"
    )


@torch.inference_mode()
def probe_memory(options: argparse.Namespace) -> None:
    """Weights come from files, as they do for everybody: drawing new ones takes memory that loading does not."""
    torch.set_num_threads(options.threads)
    sizes = {**SIZES[options.size], "d_kv": 64}
    with tempfile.TemporaryDirectory(prefix="ondes-") as folder:
        kinds = (NotesEncoder, ContextEncoder, FilmDecoder)
        for kind in kinds:
            with torch.device("meta"):
                state = kind(**sizes).state_dict()  # pyright: ignore[reportArgumentType]
            # Zeros of which only one is held.
            Path(folder, kind.__name__).mkdir()
            config = json.dumps({**sizes, "_class_name": kind.__name__})
            Path(folder, kind.__name__, "config.json").write_text(config)
            _write_zeros(state, Path(folder, kind.__name__, "diffusion_pytorch_model.safetensors"))
        empty = _peak()
        notes, context, decoder = (kind.from_pretrained(Path(folder, kind.__name__)) for kind in kinds)
    tokens, frames = torch.ones(1, LENGTH, dtype=torch.int64), torch.zeros(1, FRAMES, 128)
    masks = tokens > 0, torch.ones(1, FRAMES, dtype=torch.bool)
    encodings = torch.cat([notes(tokens, masks[0]), context(frames, masks[1])], 1)
    memory = decoder.memory(encodings, torch.cat(masks, 1)).and_deaf()
    decoder(frames.repeat(2, 1, 1), torch.zeros(2), memory)
    weights = sum(
        4 * value.numel() for network in (notes, context, decoder) for value in network.parameters()
    )
    print(json.dumps({"peak": _peak(), "weights": weights, "empty": empty}))


def _write_zeros(state: dict[str, torch.Tensor], file: Path) -> None:
    """A safetensors file of zeros without ever holding them."""
    header, place = {}, 0
    for name, value in state.items():
        end = place + 4 * value.numel()
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [place, end]}
        place = end
    head = json.dumps({**header, "__metadata__": {"format": "pt"}}).encode()
    with file.open("wb") as stream:
        stream.write(len(head).to_bytes(8, "little") + head)
        stream.truncate(8 + len(head) + place)


def _peak() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def processor() -> str:
    ask = getattr(torch.cpu, "get_capabilities", dict)
    names = ("avx2", "avx512_f", "avx512_vnni", "avx512_bf16", "amx_bf16")
    return (
        f"{platform.machine()} with {' '.join(name for name in names if ask().get(name)) or 'nothing known'}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--setup", metavar="FOLDER", help="install the last working versions there, and end")
    parser.add_argument("--old", metavar="FOLDER", help="what --setup made")
    parser.add_argument("--weights", metavar="FOLDER", help="a saved decoder; new weights if missing")
    parser.add_argument("--size", choices=list(SIZES), default="base")
    parser.add_argument("--layers", type=int, help="fewer than the size has, where memory or time are short")
    parser.add_argument("--tokens", type=int, nargs="+", default=[500, 2048], help="valid tokens of 2048")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument(
        "--engines",
        nargs="*",
        choices=list(ENGINES),
        default=[],
        help="other engines; openvino takes an 8-bit graph only after onnxruntime, which makes it",
    )
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--memory-probe", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
