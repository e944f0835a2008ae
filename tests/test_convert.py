"""The authors' own weights: converted, they say what the authors' network says (`adm`)."""

import math
import sys

import pytest
import torch
from torch.testing import assert_close

from adm import random_adm
from lessons_lib import Sampler, convert, load
from lessons_lib.convert import plan
from lessons_lib.denoisers import LearnedRange, predict
from lessons_lib.schedule import linear_alpha_bar
from small import ALPHA_BAR, randn, says_in_a_sentence, tiny_net

NETS = {
    "P2 and ADM 256": {"mult": (1, 1, 2, 2)},
    "ADM 64": {"new_order": True, "classes": 7, "attention": (2, 4), "layers": 3},
    "improved DDPM": {"updown": False, "attention": (2, 4), "head": 16},
    "without a learned variance, and shifts alone": {"learn_sigma": False, "scale_shift": False},
    "attention at its first level": {"mult": (1, 2), "attention": (1, 2), "layers": 1},
    "attention in the middle alone": {"mult": (1, 2), "attention": ()},
}


def converted(tmp_path, net, **settings):
    torch.save(net.state_dict(), tmp_path / "net.pt")
    given = {"size": 16, "head": 16} | settings
    return convert.convert(tmp_path / "net.pt", tmp_path / "out", **given)


@torch.no_grad()
@pytest.mark.parametrize("name", NETS)
def test_it_says_what_the_authors_network_says(tmp_path, name):
    net = random_adm(**NETS[name])
    model = load(converted(tmp_path, net, new_order=NETS[name].get("new_order", False)))
    x, t = randn(2, 3, 16, 16, dtype=torch.float32), torch.tensor([3, 870])
    label = None if net.label_emb is None else torch.tensor([1, 6])
    theirs = net(x, t, label)
    eps, _, sigma = predict(model, x, t, label)
    assert_close(eps, theirs[:, :3], rtol=0, atol=1e-5)
    assert theirs.std() > 0.1
    if theirs.shape[1] == 6:
        assert isinstance(sigma, LearnedRange)
        assert_close(sigma.v, theirs[:, 3:], rtol=0, atol=1e-5)
    else:
        assert sigma is None


@torch.no_grad()
def test_the_order_of_queries_keys_and_values_matters(tmp_path):
    net = random_adm(new_order=True)
    model = load(converted(tmp_path, net))
    x = randn(1, 3, 16, 16, dtype=torch.float32)
    assert (model(x, 5) - net(x, torch.tensor([5]))[:, :3]).abs().max() > 1e-3


@torch.no_grad()
def test_the_sampler_uses_the_learned_variance_as_sigma(tmp_path):
    """log σ² = w log β + (1-w) log β̃ by pixel (Nichol & Dhariwal 2021, eq. 15), written out."""
    net = random_adm()
    g = Sampler(load(converted(tmp_path, net)), 5, eta=1.0)
    z = g.draw(1, 0)
    step = next(iter(g.trajectory(z)))
    v = net(z.x_T.float(), torch.tensor([step.t]))[:, 3:].double()
    a, a_to = ALPHA_BAR[step.t], ALPHA_BAR[step.t_to]
    beta = 1 - a / a_to
    least = beta * (1 - a_to) / (1 - a)
    w = (v + 1) / 2
    sigma = torch.exp((w * beta.log() + (1 - w) * least.log()) / 2)
    assert_close(step.noise, sigma * z.eps[0], rtol=1e-4, atol=1e-6)
    x = g.decode(z)
    assert_close(g.decode(g.encode(x.clamp(-1, 1), 3)), x.clamp(-1, 1), rtol=0, atol=1e-5)


def test_what_a_state_dict_tells():
    assert plan(random_adm(**NETS["P2 and ADM 256"]).state_dict()) == (
        (32, 32, 64, 64), 2, (False, False, True, False), True, True)  # fmt: skip
    assert plan(random_adm(**NETS["improved DDPM"]).state_dict()).resnet is False


def test_the_schedule_is_written(tmp_path):
    model = load(converted(tmp_path, random_adm(), train_steps=4000))
    assert_close(model.alpha_bar, linear_alpha_bar(4000, 1e-4 / 4, 0.02 / 4))
    cosine = load(convert.convert(tmp_path / "net.pt", tmp_path / "b", 16, 16, schedule="cosine"))
    theirs = [math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 for t in (0, 500)]
    assert_close(cosine.alpha_bar[499].item(), theirs[1] / theirs[0], rtol=0, atol=1e-5)


STATES = {
    "another layout": (lambda: tiny_net().state_dict(), ["ADM's layout", "conv_in"]),
    "one level": (lambda: random_adm(mult=(1,), attention=()).state_dict(), ["one level"]),
    "a strange tensor": (lambda: random_adm().state_dict() | {"input_blocks.1.0.x.weight": torch.ones(1)},
                         ["input_blocks.1.0.x.weight", "no part"]),
    "another width at first": (lambda: random_adm(mult=(2, 4)).state_dict(), ["64 channels", "32"]),
    "a tensor that is gone": (lambda: without("out.0.bias"), ["built otherwise", "conv_norm_out.bias"]),
    "an encoder": (lambda: without("out.2.weight"), ["ADM's layout"]),
    "a training's file": (lambda: {"state_dict": random_adm().state_dict()}, ["'state_dict'", "by name"]),
}  # fmt: skip


def without(name):
    return {k: v for k, v in random_adm().state_dict().items() if k != name}


@pytest.mark.parametrize("name", STATES)
def test_another_file_is_one_sentence(tmp_path, name):
    make, words = STATES[name]
    torch.save(make(), tmp_path / "net.pt")
    call = lambda: convert.convert(tmp_path / "net.pt", tmp_path / "out", 16, 16)  # noqa: E731
    says_in_a_sentence(call, ["net.pt", *words], 500)
    assert not (tmp_path / "out").exists() and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(("settings", "words"), [
    ({"head": 24}, ["64 channels", "24"]),
    ({"heads": 5}, ["5 heads"]),
    ({"size": 0}, ["size is 0"]),
    ({"heads": 0}, ["heads is 0"]),
    ({"schedule": "sigmoid"}, ["schedule is 'sigmoid'", "linear, cosine"]),
    ({"train_steps": 0}, ["train_steps is 0"]),
])  # fmt: skip
def test_a_setting_that_does_not_fit(tmp_path, settings, words):
    says_in_a_sentence(lambda: converted(tmp_path, random_adm(), **settings), words, 400)


def test_heads_by_their_number(tmp_path):
    model = load(converted(tmp_path, random_adm(), head=64, heads=4))
    assert model.net.config.attention_head_dim == 16
    net = random_adm(mult=(1, 2, 4), attention=(2, 4))
    torch.save(net.state_dict(), tmp_path / "net.pt")
    call = lambda: convert.convert(tmp_path / "net.pt", tmp_path / "b", 16, heads=4)  # noqa: E731
    says_in_a_sentence(call, ["4 heads", "64 and 128 channels", "different widths"], 300)


def test_the_command(tmp_path, monkeypatch, capsys):
    torch.save(random_adm().state_dict(), tmp_path / "net.pt")
    given = [
        "convert",
        str(tmp_path / "net.pt"),
        "--out",
        str(tmp_path / "out"),
        "--size",
        "16",
        "--head",
        "16",
    ]
    monkeypatch.setattr(sys, "argv", given)
    convert.main()
    assert "(3, 16, 16)" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        convert.main()
    assert "is there already" in capsys.readouterr().err
