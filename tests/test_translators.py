"""CUT's and EGSDE's networks: their losses by hand, a step for each side, and tiny trainings."""

from dataclasses import replace

import lessons_lib._torchvision  # noqa: F401

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from lessons_lib import Sampler
from lessons_lib.cards import CheckpointError, verify
from lessons_lib.methods.editing import low_pass
from lessons_lib.methods.egsde import egsde
from lessons_lib.methods.translators import (
    DomainNet,
    TranslatorNet,
    load_domains,
    load_translator,
    translated,
)
from lessons_lib.recipes import loop, pools
from lessons_lib.recipes.cards import export
from lessons_lib.recipes.cut import Cut, Domains, Rivals, patch_nce
from lessons_lib.recipes.loop import Run, accelerator
from small import randn, tiny_unet

TINY = Cut("cut", size=16, channels=(8, 8, 16), blocks=2, images=48, pool=16, batch=8, warmup=2)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Chunks of 16 pictures."""
    monkeypatch.setattr(pools, "CHUNK", 16)


def trained(recipe, tmp_path):
    run = Run.resume(recipe, tmp_path / "run")
    loop.train(run, tmp_path / "run", accelerator(compiled=False))
    export(run, tmp_path / recipe.name)
    verify(tmp_path / recipe.name)
    return tmp_path / recipe.name


def test_patch_nce_is_its_equation_and_finds_the_same_place():
    made, source = (randn(2, 5, 4, 4, seed=i, dtype=torch.float32) for i in range(2))
    places, head = torch.arange(16) / 16, nn.Identity()
    one, two = (nn.functional.normalize(v.flatten(2), dim=1) for v in (made, source))
    logits = torch.einsum("bci,bcj->bij", one, two) / 0.07
    by_hand = -torch.stack([b.log_softmax(1).diagonal() for b in logits]).mean()
    assert_close(patch_nce(head, made, source, places), by_hand)
    assert patch_nce(head, source, source, places) < 0.1 * by_hand
    assert patch_nce(head, source.flip(3), source, places) > by_hand
    made.requires_grad_(), source.requires_grad_()
    patch_nce(head, made, source, places).backward()
    assert made.grad.abs().sum() > 0 and source.grad is None


def test_larger_pictures_are_translated_at_the_translator_s_own_size():
    net, small = TranslatorNet((8, 8, 16), 2), randn(2, 3, 32, 32, dtype=torch.float32).tanh()
    assert_close(translated(net, small), net(small))
    large = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    found = translated(net, large)
    assert_close(found, nn.functional.interpolate(net(small), scale_factor=2, mode="bilinear"))


def test_each_side_learns_from_its_own_loss_only():
    torch.manual_seed(0)
    net = Rivals(TranslatorNet((8, 8, 16), 2), width=8)
    x, y = (randn(3, 3, 16, 16, seed=i, dtype=torch.float32) for i in range(2))
    learns = [
        {
            name.split(".")[0]
            for (name, _), g in zip(
                net.named_parameters(),
                torch.autograd.grad(
                    loss, list(net.parameters()), allow_unused=True, retain_graph=True
                ),
                strict=True,
            )
            if g is not None and g.abs().max() > 0
        }
        for loss in net(x, y, torch.rand(8))
    ]
    assert learns == [{"discriminator"}, {"generator"}, {"generator", "heads"}, {"generator"}]


def test_a_translator_is_trained_saved_and_translates(tmp_path):
    folder = trained(TINY, tmp_path)
    net = load_translator(folder)
    x = randn(2, 3, 32, 32, dtype=torch.float32)
    assert net(x).shape == x.shape and net(x).abs().max() <= 1
    again = replace(TINY, images=8).weights(folder)
    assert_close(again["generator.out.weight"], net.out.weight)
    with pytest.raises(CheckpointError, match=r"a translator, not a domains: .*load_translator"):
        load_domains(folder)
    (folder / "card.json").unlink()
    (folder / "config.json").write_text('{"channels": [8, 8, 8], "blocks": 2}')
    with pytest.raises(CheckpointError, match=r"does not load: .*TranslatorNet"):
        load_translator(folder)


def test_a_translator_learns_a_colour():
    """From dark to bright pictures: a world apart that the discriminator alone can teach."""
    torch.manual_seed(1)
    recipe = replace(TINY, nce=0.1)
    net, gen = Rivals(TranslatorNet((8, 8, 16), 1), width=16), torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(net.parameters(), 2e-3, (0.5, 0.99))
    for _ in range(100):
        x, y = (torch.rand(4, 3, 16, 16, generator=gen) * 0.6 + low for low in (-0.8, 0.2))
        recipe.loss(net, x, y, torch.rand(16, generator=gen)).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert x.mean() < -0.4 and (net.generator(x).mean() - y.mean()).abs() < 0.25


def test_a_classifier_is_trained_saved_and_guides(tmp_path):
    recipe = Domains("domains", size=16, channels=(8, 8, 16), images=60, pool=16, batch=6, warmup=2)
    net = load_domains(trained(recipe, tmp_path))
    assert net(randn(2, 3, 16, 16), 500).shape == (2, 3)
    assert net.features(randn(2, 3, 16, 16), torch.tensor([0, 999])).shape == (2, 16, 2, 2)
    g, x = Sampler(tiny_unet(), 3, 1.0), randn(2, 3, 8, 8)
    found = [egsde(x, g, net.features, low_pass(2), weight, 1.0) for weight in (0.0, 5.0)]
    assert found[1].isfinite().all() and (found[1] - found[0]).abs().max() > 1e-4


def test_the_classifier_knows_the_time():
    torch.manual_seed(0)
    net, x = DomainNet(channels=(8, 8, 16)), randn(1, 3, 16, 16)
    assert (net(x, 10) - net(x, 900)).abs().max() > 1e-4
    assert_close(net(x.expand(2, -1, -1, -1), torch.tensor([10, 900]))[1:], net(x, 900))
