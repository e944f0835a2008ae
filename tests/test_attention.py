"""Cross-attention control: alignments by hand, one layer in closed form, and what must not change."""

from functools import partial

import lessons_lib._torchvision  # noqa: F401

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from lessons_lib import Sampler, load
from lessons_lib.denoisers import Guided
from lessons_lib.methods.attention import (
    WordMaps,
    controlled,
    refine_words,
    reweigh_words,
    watched,
    word_maps,
)
from lessons_lib.methods.editing import cycle_diffusion, text_edit, text_samplers
from lessons_lib.streams import Streams
from small import randn, tiny_pipeline, tiny_unet

HOUSE, RED, BLUE = "a house", "a red house", "a blue house"
CAR = "a blue car"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    where = tmp_path_factory.mktemp("t2i")
    tiny_pipeline(where)
    return load(where).to(torch.float64)


def same(length, own):
    """The identity alignment, with this share of the target's own maps."""
    return WordMaps(torch.eye(length)[None], torch.full((1, length), own), torch.ones(1, length))


# Alignments; the tokenizer's words are one token each, and prompts 8: start, words, end, padding


def test_a_new_word_keeps_its_own_map(model):
    maps = refine_words(model.prompts, [HOUSE, RED], [RED, HOUSE])
    assert maps.own.tolist() == [[0, 0, 1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 1]]
    assert maps.mapper[0, 2, 3] == maps.mapper[0, 3, 4] == 1  # house, end
    assert maps.mapper[1, 3, 2] == 1 and maps.mapper[1, 2].sum() == 0
    swapped = refine_words(model.prompts, [RED], [BLUE])
    assert swapped.own[0].nonzero().tolist() == [[2]]


def test_words_are_weighed_where_they_stand(model):
    maps = refine_words(model.prompts, [HOUSE, HOUSE], [RED, "a red red house"])
    weighed = reweigh_words(maps, model.prompts, [RED, "a red red house"], {"red": -2.0})
    assert weighed.weight.tolist() == [[1, 1, -2, 1, 1, 1, 1, 1], [1, 1, -2, -2, 1, 1, 1, 1]]
    assert maps.weight.eq(1).all()
    with pytest.raises(ValueError, match="'blue' is not in 'a red house'"):
        reweigh_words(maps, model.prompts, [RED, RED], {"blue": 2.0})


def test_what_an_alignment_refuses(model):
    with pytest.raises(ValueError, match="1 source and 2 target"):
        refine_words(model.prompts, [HOUSE], [RED, BLUE])


# One layer


def test_a_layer_gives_the_targets_values_by_the_sources_maps(model):
    """The source's softmax(QKᵀ/√d) on the target's V, by the equation."""
    layer = next(m for n, m in model.net.named_modules() if n.endswith("attn2"))
    width, heads = layer.to_q.in_features, layer.heads
    h, text = randn(2, 2, 5, width), randn(2, 2, 8, 12, seed=1)  # source and target, 2 images each
    kept = []
    with torch.no_grad(), watched([layer], lambda _, m: kept.append(m) or m, 2):
        plain = layer(h[0], text[0])
    assert_close(plain, layer(h[0], text[0]))
    split = lambda v: v.unflatten(-1, (heads, -1)).transpose(1, 2)  # noqa: E731
    q, k, v = split(layer.to_q(h[0])), split(layer.to_k(text[0])), split(layer.to_v(text[1]))
    maps = (q @ k.transpose(-1, -2) * layer.scale).softmax(-1)
    assert_close(kept[0], maps)
    expected = layer.to_out[0]((maps @ v).transpose(1, 2).flatten(2))
    with watched([layer], lambda _, m: same(8, 0.0)(m, kept[0]), 2):
        assert_close(layer(h[1], text[1]), expected)


def test_maps_are_combined_by_their_equation():
    gen = torch.Generator().manual_seed(0)
    mapper, own, weight = (torch.rand(*s, generator=gen) for s in ((2, 4, 4), (2, 4), (2, 4)))
    target, source = (torch.rand(2, 3, 5, 4, generator=gen) for _ in range(2))
    found = WordMaps(mapper, own, weight)(target, source)
    b, head, place, j = 1, 2, 3, 0
    by_hand = weight[b, j] * (
        own[b, j] * target[b, head, place, j]
        + (1 - own[b, j]) * (source[b, head, place] * mapper[b, :, j]).sum()
    )
    assert_close(found[b, head, place, j], by_hand)


def test_a_words_map_is_the_mean_of_its_tokens_over_heads_and_layers(model):
    x, texts = randn(2, 4, 8, 8), [RED, "a red red house"]
    layers = [m for n, m in model.net.named_modules() if n.endswith("attn2")]
    seen = []
    with torch.no_grad(), watched(layers, lambda _, m: seen.append(m) or m, 2):
        model(x, 500, model.prompts(texts))
    fine = [m.mean(1).unflatten(1, (round(m.shape[2] ** 0.5), -1)).movedim(-1, 1) for m in seen]
    assert {m.shape[-1] for m in fine} == {4, 8}
    mean = sum(F.interpolate(m, (8, 8), mode="bilinear") for m in fine)
    expected = torch.stack([mean[0, 2], mean[1, 2:4].mean(0)])
    found = word_maps(model, x, 500, texts, ["red", "red"])
    assert_close(found, expected / expected.amax((1, 2), True))
    house = word_maps(model, x, 500, texts, ["house", "house"])
    assert (house - found).abs().max() > 1e-3
    with pytest.raises(ValueError, match="'blue' is not in 'a red house'"):
        word_maps(model, x, 500, texts, ["blue", "red"])


# Edits


def edit(model, x, source, target, maps=None, until=0, scales=(1.5, 3.0)):
    one, two = text_samplers(model, 5, 0.5, *scales)
    if maps is not None:
        one, two = controlled(one, two, maps, until)
    texts = model.prompts(source), model.prompts(target)
    return cycle_diffusion(x, one, two, cond=texts[0], target_cond=texts[1])


@torch.no_grad()
def test_maps_of_its_own_change_nothing_and_an_edit_of_nothing_reconstructs(model):
    x, texts = randn(2, 4, 8, 8), ([RED, HOUSE], [CAR, BLUE])
    free = edit(model, x, *texts)
    assert_close(edit(model, x, *texts, same(8, 1.0)), free)
    assert_close(edit(model, x, *texts, same(8, 0.0), until=999 + 1), free)
    held = edit(model, x, *texts, same(8, 0.0))
    assert (held - free).abs().max() > 1e-3
    maps = refine_words(model.prompts, texts[0], texts[0])
    kept = edit(model, x, texts[0], texts[0], maps, scales=(2.0, 2.0))
    assert_close(kept, x, rtol=0, atol=1e-10)


@torch.no_grad()
def test_a_weight_of_a_word_moves_the_edit(model):
    x, maps = randn(1, 4, 8, 8), refine_words(model.prompts, [HOUSE], [RED])
    weighed = [reweigh_words(maps, model.prompts, [RED], {"red": c}) for c in (1.0, 3.0)]
    found = [edit(model, x, [HOUSE], [RED], m) for m in (maps, *weighed)]
    assert_close(found[0], found[1], rtol=0, atol=0)
    assert (found[2] - found[0]).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("scales", [(1.0, 3.0), (2.0, 1.0), (1.5, 4.0)])
def test_a_controlled_batch_is_its_singles(model, scales):
    """Given the same chain, since a seed's noise depends on the batch."""
    x, source, target = randn(2, 4, 8, 8), [HOUSE, RED], [RED, "a blue house at night"]
    maps = refine_words(model.prompts, source, target)
    one, two = controlled(*text_samplers(model, 5, 0.5, *scales), maps)
    chain = list(_chain(one, x))
    said = {"cond": model.prompts(source), "target_cond": model.prompts(target)}
    batch = cycle_diffusion(x, one, two, path=lambda *_: iter(chain), **said)
    for i in range(2):
        part = slice(i, i + 1)
        maps = refine_words(model.prompts, source[part], target[part])
        one, two = controlled(*text_samplers(model, 5, 0.5, *scales), maps)
        path = lambda *_, part=part: (c[part] for c in chain)  # noqa: E731
        given = {k: v[part] for k, v in said.items()}
        assert_close(cycle_diffusion(x[part], one, two, path=path, **given), batch[part])


def _chain(g, x):
    from lessons_lib.encoder import posterior

    return posterior(g, x, Streams(0, len(x)))


@torch.no_grad()
def test_it_fits_into_a_text_edit_and_leaves_the_network_as_it_was(model):
    processors = dict(model.net.attn_processors)
    image, maps = randn(1, 3, 16, 16), refine_words(model.prompts, [HOUSE], [RED])
    found = text_edit(
        model, image, [HOUSE], [RED], steps=4, joined=partial(controlled, maps=maps, until=500)
    )
    assert found.shape == image.shape and found.isfinite().all()
    assert model.net.attn_processors == processors
    layers = [m for n, m in model.net.named_modules() if n.endswith("attn2")]
    with pytest.raises(ZeroDivisionError), watched(layers, lambda *_: 1 / 0, 1):
        model(randn(1, 4, 8, 8), 5, model.prompts([RED]))
    assert model.net.attn_processors == processors


def test_what_control_refuses(model):
    maps, (one, two) = same(8, 0.0), text_samplers(model, 3)
    off = Sampler(Guided(model, 0.0, model.prompts.empty), 3)
    plain = Sampler(tiny_unet(), 3)
    for pair, words in (((off, two), "scale 0"), ((plain, two), "no cross-attention")):
        with pytest.raises(ValueError, match=words):
            controlled(*pair, maps)
    alone = controlled(one, two, maps)[1]
    with pytest.raises(ValueError, match="lock-step"):
        alone.decode(alone.draw(1, 0), cond=model.prompts([RED]))
