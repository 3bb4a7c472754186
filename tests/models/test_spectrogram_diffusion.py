from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tiny_spectrogram import (  # pyright: ignore[reportMissingImports]
    FRAMES,
    context_encoder,
    film_decoder,
    notes_encoder,
    tokens,
    wave,
)

from ondes.models.spectrogram_diffusion import ContextEncoder, FilmDecoder, NotesEncoder

CONTEXT = wave(0.013).sin().float()
NOISY = wave(0.029).cos().float()
ALL = torch.ones(1, FRAMES, dtype=torch.bool)
NONE = ~ALL
HALF = torch.tensor([0.5])


def near(values: list[float], *, absolute: float = 1e-5) -> object:
    return pytest.approx(values, rel=0, abs=absolute)


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def notes() -> NotesEncoder:
    return notes_encoder()


@pytest.fixture(scope="module")
def context() -> ContextEncoder:
    return context_encoder()


@pytest.fixture(scope="module")
def decoder() -> FilmDecoder:
    return film_decoder()


@pytest.fixture(scope="module")
def heard(notes: NotesEncoder, context: ContextEncoder) -> torch.Tensor:
    """Encodings of 64 places for tokens and 16 frames."""
    with torch.inference_mode():
        return torch.cat([notes(tokens(), tokens() > 0), context(CONTEXT, ALL)], 1)


def mask(context_mask: torch.Tensor) -> torch.Tensor:
    return torch.cat([tokens() > 0, context_mask], 1)


class TestGoldenValuesOfThePublicCode:
    """Made by diffusers 0.25.1 with transformers 4.40.2."""

    def test_notes(self, notes: NotesEncoder):
        found = notes(tokens(), tokens() > 0)
        assert found[0, 0, :4].tolist() == near([2.113162, 1.169781, -0.293771, -1.248330])
        assert found[0, 14, :4].tolist() == near([1.678257, 1.521920, 0.627930, -0.027281])
        assert float(found[0, :15].mean()) == pytest.approx(0.028368, abs=1e-6)
        assert float(found[0, :15].std()) == pytest.approx(1.0064, abs=1e-4)

    def test_context(self, context: ContextEncoder):
        found = context(CONTEXT, ALL)
        assert found[0, 0, :4].tolist() == near([0.443627, -0.878469, -1.472864, -1.178135])
        assert float(found.std()) == pytest.approx(1.004505, abs=1e-5)

    def test_decoder_with_context(self, decoder: FilmDecoder, heard: torch.Tensor):
        found = decoder(NOISY, HALF, decoder.memory(heard, mask(ALL)))
        assert found[0, 0, :4].tolist() == near([-0.148628, 0.727256, -1.186000, 1.449239])
        assert found[0, 15, 124:].tolist() == near([-1.648758, 0.553320, 0.633330, -1.715580])
        assert float(found.abs().mean()) == pytest.approx(1.776376, abs=1e-5)

    def test_decoder_without_context(self, decoder: FilmDecoder, heard: torch.Tensor):
        found = decoder(NOISY, torch.tensor([0.99]), decoder.memory(heard, mask(NONE)))
        assert found[0, 0, :4].tolist() == near([-0.772313, 1.379889, -1.759999, 1.849984])
        assert float(found.abs().mean()) == pytest.approx(1.817626, abs=1e-5)


@pytest.mark.parametrize(
    ("sizes", "counts", "tensors"),
    [
        (
            {"d_model": 512, "num_heads": 6, "d_ff": 1024, "num_layers": 8},
            (20_718_080, 19_079_680, 64_238_080),
            (75, 75, 134),
        ),
        ({}, (87_706_368, 85_248_768, 238_710_528), (111, 111, 198)),
        (
            {"d_model": 1024, "num_heads": 16, "d_ff": 2816, "num_layers": 24},
            (312_001_536, 308_724_736, 833_168_384),
            (219, 219, 390),
        ),
    ],
)
def test_sizes_are_those_of_the_paper(sizes, counts, tensors):
    with torch.device("meta"):
        states = [network(**sizes).state_dict() for network in (NotesEncoder, ContextEncoder, FilmDecoder)]
    assert tuple(sum(weight.numel() for weight in state.values()) for state in states) == counts
    assert tuple(len(state) for state in states) == tensors


def test_tensors_have_the_public_names_and_shapes():
    with torch.device("meta"):
        encoder, decoder = NotesEncoder().state_dict(), FilmDecoder().state_dict()
        context = ContextEncoder().state_dict()
    assert encoder["encoders.11.layer.0.SelfAttention.o.weight"].shape == (768, 768)
    assert encoder["encoders.0.layer.1.DenseReluDense.wi_1.weight"].shape == (2048, 768)
    assert encoder["token_embedder.weight"].shape == (1536, 768)
    assert encoder["position_encoding.weight"].shape == (2048, 768)
    assert context["input_proj.weight"].shape == (768, 128)
    assert context["position_encoding.weight"].shape == (256, 768)
    assert decoder["decoders.0.layer.0.FiLMLayer.scale_bias.weight"].shape == (1536, 3072)
    assert decoder["decoders.11.layer.2.film.scale_bias.weight"].shape == (1536, 3072)
    assert decoder["decoders.5.layer.1.attention.to_out.0.weight"].shape == (768, 768)
    assert decoder["conditioning_emb.2.weight"].shape == (3072, 3072)
    assert decoder["spec_out.weight"].shape == (128, 768)
    assert not any(name.endswith("bias") or "relative" in name for name in (*encoder, *context, *decoder))


def test_padding_of_tokens_changes_nothing(notes: NotesEncoder):
    short = notes(tokens(15), tokens(15) > 0)
    torch.testing.assert_close(notes(tokens(), tokens() > 0)[:, :15], short, rtol=1e-5, atol=1e-5)


def test_a_batch_of_tokens_is_its_examples(notes: NotesEncoder):
    rows = torch.cat([tokens(), tokens().roll(3, 1), torch.zeros_like(tokens())])
    valid = torch.cat([tokens() > 0, torch.arange(64)[None] < 40, torch.zeros(1, 64, dtype=torch.bool)])
    found = notes(rows, valid)
    for row in range(3):
        torch.testing.assert_close(
            found[row, valid[row]], notes(rows[row : row + 1], valid[row : row + 1])[0, valid[row]]
        )
    assert found.isfinite().all()


@pytest.fixture(scope="module")
def batch(notes: NotesEncoder, context: ContextEncoder) -> tuple[torch.Tensor, ...]:
    """Four examples: notes and context, notes alone, nothing, notes and part of the context."""
    with torch.inference_mode():
        encodings = torch.randn(4, 80, 32, generator=torch.Generator().manual_seed(1))
        encodings[0] = torch.cat([notes(tokens(), tokens() > 0), context(CONTEXT, ALL)], 1)
    part = torch.arange(FRAMES)[None] < 5
    masks = torch.cat([mask(ALL), mask(NONE), torch.zeros(1, 80, dtype=torch.bool), mask(part)])
    noisy = torch.randn(4, FRAMES, 128, generator=torch.Generator().manual_seed(2))
    return noisy, torch.tensor([0.1, 0.4, 0.7, 1.0]), encodings, masks


def test_a_batch_of_segments_is_its_segments(decoder: FilmDecoder, batch):
    noisy, time, encodings, masks = batch
    found = decoder(noisy, time, decoder.memory(encodings, masks))
    for row in range(4):
        one = slice(row, row + 1)
        alone = decoder(noisy[one], time[one], decoder.memory(encodings[one], masks[one]))
        torch.testing.assert_close(found[one], alone, rtol=1e-5, atol=2e-5)


def test_one_time_for_all_is_the_same_time_for_each(decoder: FilmDecoder, batch):
    noisy, _, encodings, masks = batch
    memory = decoder.memory(encodings, masks)
    same = decoder(noisy, torch.full((4,), 0.3), memory)
    other = decoder(noisy, torch.tensor([0.3, 0.3, 0.3, 0.9]), memory)
    torch.testing.assert_close(same[:3], other[:3], rtol=1e-5, atol=1e-5)
    assert (same[3] - other[3]).abs().max() > 1e-3


def test_masked_keys_say_nothing(decoder: FilmDecoder, batch):
    noisy, time, encodings, masks = batch
    changed = torch.where(masks[..., None], encodings, 1000.0)
    found = decoder(noisy, time, decoder.memory(changed, masks))
    assert torch.equal(found, decoder(noisy, time, decoder.memory(encodings, masks)))


def test_memory_keeps_no_padding(decoder: FilmDecoder, batch):
    _, _, encodings, masks = batch
    memory = decoder.memory(encodings[:3], masks[:3])
    assert memory.hearers is not None
    assert memory.hearers.tolist() == [0, 1]
    assert {key.shape for key, _ in memory.pairs} == {(2, 2, 31, 8)}


def test_whoever_hears_nothing_gets_zero_from_cross_attention(decoder: FilmDecoder, batch):
    noisy, time, encodings, masks = batch
    deaf = film_decoder()
    for layer in deaf.decoders:
        layer.layer[1].attention.to_out[0].weight.zero_()  # pyright: ignore
    found = decoder(noisy, time, decoder.memory(encodings, torch.zeros_like(masks)))
    torch.testing.assert_close(found, deaf(noisy, time, deaf.memory(encodings, masks)), rtol=1e-5, atol=1e-5)
    assert (found - decoder(noisy, time, decoder.memory(encodings, masks)))[0].abs().max() > 0.1


def test_training_hears_what_inference_hears(batch):
    noisy, time, encodings, masks = batch
    network = film_decoder(dropout_rate=0.0)
    wanted = network(noisy, time, network.memory(encodings, masks))
    network.train()
    found = network(noisy, time, network.memory(encodings, masks))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=2e-5)
    crossed = network.eval()(noisy, time, network.train().memory(encodings, masks))
    torch.testing.assert_close(crossed, wanted, rtol=1e-5, atol=2e-5)


def test_memory_serves_all_steps(decoder: FilmDecoder, batch):
    noisy, time, encodings, masks = batch
    memory = decoder.memory(encodings, masks)
    for step in (0.9, 0.2):
        again = decoder(noisy * step, time * step, decoder.memory(encodings, masks))
        assert torch.equal(decoder(noisy * step, time * step, memory), again)


@pytest.mark.parametrize("training", [False, True])
def test_the_deaf_of_a_batch_are_those_without_any_valid_key(batch, training: bool):
    noisy, time, encodings, masks = batch
    network = film_decoder(dropout_rate=0.0).train(training)
    both = network.memory(encodings, masks).and_deaf()
    found = network(noisy.repeat(2, 1, 1), time.repeat(2), both)
    masked = network.memory(encodings.repeat(2, 1, 1), torch.cat([masks, torch.zeros_like(masks)]))
    torch.testing.assert_close(
        found, network(noisy.repeat(2, 1, 1), time.repeat(2), masked), rtol=1e-5, atol=2e-5
    )


def test_the_last_valid_frame_of_a_context_can_have_the_last_position():
    network = context_encoder(terminal_relative=True)
    counts = torch.tensor([[0], [1], [5], [16]])
    valid = torch.arange(FRAMES)[None] < counts
    frames = wave(0.013).sin().float() * torch.tensor([1.0, 0.5, -1.0, 2.0])[:, None, None]
    found = network(frames, valid)
    table = network.position_encoding.weight.clone()
    shifted = context_encoder()
    for row, count in enumerate(counts.flatten().tolist()):
        shifted.position_encoding.weight.copy_(table.roll(count, 0))
        alone = shifted(frames[row : row + 1], valid[row : row + 1])
        torch.testing.assert_close(found[row, valid[row]], alone[0, valid[row]], rtol=1e-5, atol=1e-5)
    assert found.isfinite().all()


def test_positions_agree_on_whole_contexts_and_differ_on_partial_ones(context: ContextEncoder):
    relative, part = context_encoder(terminal_relative=True), torch.arange(FRAMES)[None] < 5
    assert torch.equal(relative(CONTEXT, ALL), context(CONTEXT, ALL))
    assert (relative(CONTEXT, part) - context(CONTEXT, part))[0, :5].abs().max() > 0.1


@pytest.mark.parametrize("terminal_relative", [False, True])
def test_a_context_may_be_cut_after_its_last_valid_frame(terminal_relative: bool):
    network = context_encoder(terminal_relative=terminal_relative)
    part = torch.arange(FRAMES)[None] < 5
    found = network(CONTEXT[:, :5], part[:, :5])
    torch.testing.assert_close(found, network(CONTEXT, part)[:, :5], rtol=1e-5, atol=1e-5)


def test_nothing_valid_gives_numbers_and_gradients():
    with torch.inference_mode(mode=False):
        network, decoder = notes_encoder().train(), film_decoder().train()
        empty = torch.zeros(2, 9, dtype=torch.bool)
        encodings = network(torch.zeros(2, 9, dtype=torch.int64), empty)
        noisy = NOISY.clone().expand(2, -1, -1)
        decoder(noisy, torch.rand(2), decoder.memory(encodings, empty)).square().mean().backward()
    gradients = [weight.grad for weight in decoder.parameters() if weight.requires_grad]
    # Every weight takes part, also those that heard nothing: distributed training waits for all.
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


def test_noise_time_has_the_public_range_unless_told_otherwise(decoder: FilmDecoder, heard: torch.Tensor):
    assert (
        FilmDecoder(**{"d_model": 8, "num_layers": 1, "d_ff": 8}).config["max_decoder_noise_time"] == 20_000
    )
    narrow = film_decoder(max_decoder_noise_time=2000.0)
    memory = decoder.memory(heard, mask(ALL))
    assert (decoder(NOISY, HALF, memory) - narrow(NOISY, HALF, memory)).abs().max() > 1e-3


def test_positions_are_stored_and_not_trained():
    for network in (notes_encoder(), context_encoder(), film_decoder()):
        assert not network.position_encoding.weight.requires_grad
        assert "position_encoding.weight" in network.state_dict()


def test_saved_and_loaded_networks_are_the_original(tmp_path: Path, heard: torch.Tensor):
    pairs = [(network, type(network)) for network in (notes_encoder(), context_encoder(), film_decoder())]
    for network, kind in pairs:
        network.save_pretrained(tmp_path)
        loaded = kind.from_pretrained(tmp_path)
        state = loaded.state_dict()
        assert all(torch.equal(weight, state[name]) for name, weight in network.state_dict().items())
        assert not loaded.training
        assert loaded.config["d_kv"] == 8


def test_public_settings_with_unknown_keys_make_a_network(tmp_path: Path):
    public = {"_class_name": "T5FilmDecoder", "_diffusers_version": "0.13.0", "_name_or_path": "x"}
    settings = {**public, "feed_forward_proj": "gated-gelu", "d_model": 32, "num_layers": 1, "num_heads": 2}
    Path(tmp_path, "config.json").write_text(json.dumps(settings))
    network = FilmDecoder.from_config(FilmDecoder.load_config(tmp_path))  # pyright: ignore[reportArgumentType]
    assert isinstance(network, FilmDecoder)
    assert network.config["d_model"] == 32
    assert network.config["max_decoder_noise_time"] == 20_000


def test_other_activations_are_refused():
    with pytest.raises(ValueError, match="'relu' with is_decoder False is not built here; only 'gated-gelu'"):
        notes_encoder(feed_forward_proj="relu")
    with pytest.raises(ValueError, match="is_decoder True"):
        context_encoder(is_decoder=True)


def test_more_places_than_positions_are_refused(notes, context, decoder, heard):
    many = torch.ones(1, 65, dtype=torch.int64)
    with pytest.raises(ValueError, match="65 tokens; at most 64 have a position"):
        notes(many, many > 0)
    frames = torch.zeros(1, 17, 128)
    with pytest.raises(ValueError, match="17 frames of context; at most 16"):
        context(frames, torch.ones(1, 17, dtype=torch.bool))
    memory = decoder.memory(heard, mask(ALL))
    with pytest.raises(ValueError, match="17 frames; at most 16"):
        decoder(frames, HALF, memory)
    with pytest.raises(ValueError, match="a memory of 1 examples for 2"):
        decoder(NOISY.repeat(2, 1, 1), HALF.repeat(2), memory)


def test_bfloat16_weights_are_near_and_give_what_they_were_given(decoder: FilmDecoder, heard: torch.Tensor):
    half = film_decoder().bfloat16()
    found = half(NOISY, HALF, half.memory(heard, mask(ALL)))
    wanted = decoder(NOISY, HALF, decoder.memory(heard, mask(ALL)))
    assert found.dtype == torch.float32
    assert float((found - wanted).norm() / wanted.norm()) < 0.01
    notes, context = notes_encoder().bfloat16(), context_encoder().bfloat16()
    again = torch.cat([notes(tokens(), tokens() > 0), context(CONTEXT, ALL)], 1)
    assert float((again - heard)[:, :15].norm() / heard[:, :15].norm()) < 0.03
