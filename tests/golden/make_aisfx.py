"""Makes aisfx.npz: Essentia's spectrogram of a signal, and what the package's own network, kept small, makes of it.

Run in an environment with `pip install essentia torch` (2.1b6, 2.13) and then `pip install --no-deps aisfx`; the
settings of Essentia's algorithms are those of the package's `spectrogram_essentia.py`.
"""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np

RATE_HZ = 44100
LARGEST = 9.457798957824707
FIRST_WIDTH = 2


def signal() -> np.ndarray:
    """4.1 s of harmonics up to 6.4 kHz that decay twice a second, and a tone at 13 kHz."""
    time_s = np.arange(int(4.1 * RATE_HZ)) / RATE_HZ
    tones = [np.sin(2 * np.pi * k * 220 * time_s) * np.exp(-((2 * time_s) % 1) * k) / k for k in range(1, 30)]
    return (0.2 * np.sum(tones, axis=0) + 0.05 * np.sin(2 * np.pi * 13000 * time_s)).astype(np.float32)


def fill(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Values of every tensor: sines of the running index, above 0.5 for variances."""
    table = {}
    for place, (name, shape) in enumerate(sorted(shapes.items())):
        values = 0.4 * np.sin(0.7 * np.arange(math.prod(shape)) + place).reshape(shape)
        table[name] = values + 1.0 if name.endswith("running_var") else values
    return table


def main() -> None:
    """Write the golden file beside this script."""
    import torch  # noqa: PLC0415
    from essentia.standard import FrameGenerator, MelBands, Spectrum, Windowing  # type: ignore  # noqa: PLC0415

    window, spectrum = Windowing(type="hann", normalized=False, zeroPadding=0), Spectrum(size=2048)
    bands = MelBands(
        inputSize=1025,
        numberBands=96,
        sampleRate=RATE_HZ,
        lowFrequencyBound=0,
        highFrequencyBound=22050,
        warpingFormula="htkMel",
        weighting="warping",
        normalize="unit_sum",
        type="power",
        log=False,
    )
    frames = FrameGenerator(signal(), frameSize=2048, hopSize=1024, startFromZero=False)
    features = np.array([np.log10(1e4 * bands(spectrum(window(frame))) + 1) for frame in frames]) / LARGEST
    patches = np.stack([features[start : start + 100] for start in range(0, len(features) - 99, 50)])
    # The package's __init__ wants essentia's streaming mode and tqdm; its network stands alone.
    folder = importlib.util.find_spec("aisfx").submodule_search_locations[0]  # type: ignore
    spec = importlib.util.spec_from_file_location("cnn2d", Path(folder, "models/cnn2d.py"))
    module = importlib.util.module_from_spec(spec)  # type: ignore
    spec.loader.exec_module(module)  # type: ignore
    network = module.EmbeddingNet("max", 3, 1, FIRST_WIDTH).double().eval()
    shapes = {k: tuple(v.shape) for k, v in network.state_dict().items() if not k.endswith("tracked")}
    state = {name: torch.tensor(value) for name, value in fill(shapes).items()}
    network.load_state_dict(state, strict=False)
    with torch.no_grad():
        embeddings = network(torch.tensor(patches, dtype=torch.float64)).numpy()
    np.savez_compressed(
        Path(__file__).with_name("aisfx.npz"),
        some_frames=patches[:, ::9].astype(np.float32),
        patches=np.array(len(patches)),
        embeddings=embeddings,
    )


if __name__ == "__main__":
    main()
