"""Golden values of the import of Keras weights: Diffusion-Music-Composer's network in Keras 2, at a tiny width.

Needs tensorflow and tf_keras; writes dmc_keras.json beside this file. The network is written here from the description
of the published one, in Keras's own layers: what Keras makes of kernels, names and groups is what the importer has to
know.
Its weights are numbers of `weight_values`, so that the file of weights need not be kept: `dmc_layout.py` writes it
again, from the names, shapes and attributes found here.

    python tests/golden/make_dmc_keras.py [FILE.h5]
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import h5py
import numpy as np
import tensorflow as tf  # pyright: ignore[reportMissingModuleSource]
import tf_keras as keras  # pyright: ignore[reportMissingImports]
from tf_keras import layers  # pyright: ignore[reportMissingImports]

WIDTH, NOTES, HEADS, TIME = 4, 32, 2, 16


def weight_values(number: int, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Made-up values of weight `number` of the file."""
    count = int(np.prod(shape))
    values = np.sin(1.7 * number + 0.613 * np.arange(count, dtype=np.float64))
    if name.endswith("gamma:0"):
        return (1 + 0.3 * values).reshape(shape).astype(np.float32)
    fan = count / shape[-1] if "kernel" in name else 16
    return (values * np.sqrt(2 / fan)).reshape(shape).astype(np.float32)


def sinusoids(positions, size):
    rates = 1.0 / (10000.0 ** (np.arange(0, size, 2) / size))
    angles = tf.cast(positions, tf.float64)[:, None] * rates[None]
    return tf.concat([tf.sin(angles), tf.cos(angles)], axis=-1)


class SqueezeExcite(layers.Layer):
    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        he = {"use_bias": False, "kernel_initializer": "he_normal"}
        self.pool = layers.GlobalAveragePooling2D(keepdims=True)
        self.reduce = layers.Dense(max(1, channels // 16), activation="relu", **he)
        self.restore = layers.Dense(channels, activation="sigmoid", **he)

    def call(self, x):
        return x * self.restore(self.reduce(self.pool(x)))


class CausalConv(layers.Layer):
    def __init__(self, channels, kernel, **kwargs):
        super().__init__(**kwargs)
        self.pad = layers.ZeroPadding2D(((0, 0), (kernel - 1, 0)))
        self.conv = layers.Conv2D(channels, (1, kernel), use_bias=False)

    def call(self, x):
        return self.conv(self.pad(x))


class ConvBlock(layers.Layer):
    def __init__(self, kernel, out, mid=None, residual=False, **kwargs):
        super().__init__(**kwargs)
        mid = mid or out
        self.residual = residual
        self.conv_1 = CausalConv(mid, kernel)
        self.gn_1 = layers.LayerNormalization()
        self.se_1 = SqueezeExcite(mid)
        self.conv_2 = CausalConv(out, kernel)
        self.gn_2 = layers.LayerNormalization()
        self.se_2 = SqueezeExcite(out)

    def call(self, x):
        h = self.se_1(keras.activations.gelu(self.gn_1(self.conv_1(x))))
        h = self.se_2(self.gn_2(self.conv_2(h)))
        return keras.activations.gelu(x + h) if self.residual else h


class SelfAttention(layers.Layer):
    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        self.ln = layers.LayerNormalization()
        self.mha = layers.MultiHeadAttention(HEADS, channels)
        self.ff = keras.Sequential(
            [layers.LayerNormalization(), layers.Dense(channels, activation="gelu"), layers.Dense(channels)]
        )

    def call(self, x):
        rows = x[:, 0]
        normed = self.ln(rows)
        rows = rows + self.mha(normed, normed, use_causal_mask=True)
        return (rows + self.ff(rows))[:, None]


def add_time(x, code):
    """Tiled over the notes, then read in the wrong order, as published."""
    batch, notes, channels = tf.shape(x)[0], x.shape[2], x.shape[3]
    tiled = tf.tile(code[:, :, None], [1, 1, notes])
    return x + tf.reshape(tiled, [batch, 1, notes, channels])


class Down(layers.Layer):
    def __init__(self, channels, out, **kwargs):
        super().__init__(**kwargs)
        self.pool = layers.MaxPool2D((1, 2))
        self.block_1 = ConvBlock(5, channels, residual=True)
        self.block_2 = ConvBlock(5, out)
        self.time = layers.Dense(out)

    def call(self, x, t):
        x = self.block_2(self.block_1(self.pool(x)))
        return add_time(x, self.time(keras.activations.swish(t)))


def upsampled(x):
    """Keras's bilinear UpSampling2D((1, 2)), which knows single precision alone."""
    before = tf.concat([x[:, :, :1], x[:, :, :-1]], axis=2)
    after = tf.concat([x[:, :, 1:], x[:, :, -1:]], axis=2)
    both = tf.stack([0.25 * before + 0.75 * x, 0.75 * x + 0.25 * after], axis=3)
    return tf.reshape(both, [tf.shape(x)[0], 1, 2 * x.shape[2], x.shape[3]])


class Up(layers.Layer):
    def __init__(self, channels, out, **kwargs):
        super().__init__(**kwargs)
        self.block_1 = ConvBlock(5, 2 * channels, residual=True)
        self.block_2 = ConvBlock(5, out, mid=channels)
        self.time = layers.Dense(out)

    def call(self, x, skip, t):
        x = tf.concat([skip, upsampled(x)], axis=-1)
        x = self.block_2(self.block_1(x))
        return add_time(x, self.time(keras.activations.swish(t)))


class UNet(keras.Model):
    def __init__(self, width, time_size, **kwargs):
        super().__init__(**kwargs)
        self.width, self.time_size = width, time_size
        self.inp = ConvBlock(7, width)
        self.pe = layers.Dense(width)
        self.down_1, self.sa_1 = Down(width, 2 * width), SelfAttention(2 * width)
        self.down_2, self.sa_2 = Down(2 * width, 4 * width), SelfAttention(4 * width)
        self.down_3, self.sa_3 = Down(4 * width, 4 * width), SelfAttention(4 * width)
        self.mid_1, self.mid_2 = ConvBlock(3, 8 * width), ConvBlock(3, 8 * width)
        self.mid_3 = ConvBlock(3, 4 * width)
        self.up_1, self.sa_4 = Up(4 * width, 2 * width), SelfAttention(2 * width)
        self.up_2, self.sa_5 = Up(2 * width, width), SelfAttention(width)
        self.up_3, self.sa_6 = Up(width, width), SelfAttention(width)
        self.out = layers.Conv2D(3, 1)

    def call(self, x, t):
        t = sinusoids(t, self.time_size)
        x1 = self.inp(x)
        x1 = x1 + self.pe(sinusoids(tf.range(x1.shape[2]), self.width))[None, None]
        x2 = self.sa_1(self.down_1(x1, t))
        x3 = self.sa_2(self.down_2(x2, t))
        x4 = self.sa_3(self.down_3(x3, t))
        x4 = self.mid_3(self.mid_2(self.mid_1(x4)))
        x = self.sa_4(self.up_1(x4, x3, t))
        x = self.sa_5(self.up_2(x, x2, t))
        x = self.sa_6(self.up_3(x, x1, t))
        return self.out(x)


class Diffusion(keras.Model):
    def __init__(self, width, time_size):
        super().__init__()
        self.network = UNet(width, time_size, name="u_net")

    def call(self, x, t):
        return self.network(x, t)


def text(value):
    """Bytes, or lists of them, as words."""
    return (
        [text(one) for one in value] if isinstance(value, list) else getattr(value, "decode", lambda: value)()
    )


def main() -> None:
    """Write the layout of the file, and what the network makes of made-up input."""
    ramp = np.sin(np.arange(24.0)).reshape(1, 1, 8, 3).astype(np.float32)
    theirs = layers.UpSampling2D((1, 2), interpolation="bilinear")(ramp)
    assert np.allclose(theirs, upsampled(tf.constant(ramp)), atol=1e-6)
    keras.backend.set_floatx("float64")
    model = Diffusion(WIDTH, TIME)
    noisy = np.sin(0.37 * np.arange(2 * NOTES * 3)).reshape(2, 1, NOTES, 3)
    steps = np.array([3, 500])
    model(noisy, steps)
    group = model.layers[0]
    trained = [*group.trainable_weights, *group.non_trainable_weights]
    group_values = [weight_values(i, w.name, tuple(w.shape)) for i, w in enumerate(trained)]
    for weight, value in zip(trained, group_values, strict=True):
        weight.assign(value)
    out = model(noisy, steps).numpy()[:, 0]
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()) / "unet_000020.h5"
    model.save_weights(str(file), save_format="h5")
    with h5py.File(file) as stored:
        root = {name: np.asarray(value).tolist() for name, value in stored.attrs.items()}
        inner: Any = stored["u_net"]
        names = text(np.asarray(inner.attrs["weight_names"]).tolist())
        shapes = [list(inner[name].shape) for name in names]
        assert all(np.array_equal(inner[n], v) for n, v in zip(names, group_values, strict=True))
        top: Any = stored["top_level_model_weights"].attrs["weight_names"]
        assert not len(top)
        groups = list(stored)

    full = Diffusion(64, 256)
    full(np.zeros((1, 1, 128, 3)), steps[:1])
    golden = {
        "keras": keras.__version__,
        "width": WIDTH,
        "notes": NOTES,
        "time_size": TIME,
        "attributes": {name: text(value) for name, value in root.items()},
        "groups": groups,
        "weights": [[name, shape] for name, shape in zip(names, shapes, strict=True)],
        "weights_at_full_width": full.count_params(),
        "steps": steps.tolist(),
        "output": [[[round(float(v), 9) for v in note] for note in item] for item in out],
    }
    Path(__file__).with_name("dmc_keras.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
