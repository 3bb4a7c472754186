import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ondes.representations.mel import to_log_mel
from ondes.representations.mel_stream import stream_log_mel


@settings(max_examples=12, deadline=None)
@given(st.integers(1_600, 30_000), st.integers(500, 9_000), st.integers(1, 12))
def test_a_stream_has_the_log_mel_of_the_whole(samples: int, block: int, piece_frames: int):
    noise = np.random.default_rng(samples).normal(size=(2, samples)).astype(np.float32)
    blocks = [noise[:, start : start + block] for start in range(0, samples, block)]
    pieces = list(stream_log_mel(blocks, piece_frames=piece_frames))
    whole = to_log_mel(torch.from_numpy(noise)).numpy()
    assert {piece.shape[-1] for piece in pieces[:-1]} <= {piece_frames}
    np.testing.assert_allclose(np.concatenate(pieces, axis=-1), whole, atol=1e-4)


def test_a_stream_too_short_to_be_reflected_is_refused():
    with pytest.raises(ValueError, match="too few"):
        list(stream_log_mel([np.zeros((2, 600), np.float32)]))
