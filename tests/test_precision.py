"""`lessons_lib.devices`: half precisions of weights and passes, layouts of convolutions, compiled blocks."""

import pytest
import torch
from diffusers.models import modeling_utils
from torch.testing import assert_close

from lessons_lib import Sampler, devices, load
from lessons_lib.cards import CheckpointError
from lessons_lib.denoisers import Guided
from lessons_lib.methods import bounds, hspace, training
from lessons_lib.methods.asyrp import Asyrp, Conv
from pretend import Pretend
from published import LAYOUTS
from small import randn, says_in_a_sentence, tiny_unet

HALF = "bfloat16"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("ddpm")
    LAYOUTS["google/ddpm-celebahq-256"](home)
    return home


def x_of(model, n=3):
    return randn(n, *model.shape).clamp(-1, 1)


def test_all_weights_are_in_it_and_eps_is_of_it(folder):
    whole, half = load(folder), load(folder, precision=HALF)
    assert {p.dtype for p in half.net.parameters()} == {half.dtype} == {torch.bfloat16}
    x = x_of(whole)
    a, b = whole(x, 500), half(x, 500)
    assert a.dtype == b.dtype == torch.float64
    apart = (a - b).abs().max() / a.abs().max()
    assert 1e-6 < apart < 0.05


@pytest.mark.parametrize("eta", [0.3, 1.0])
@pytest.mark.parametrize("at_once", [None, 5])
def test_what_is_encoded_comes_back_by_the_same_rounding(folder, eta, at_once):
    g = Sampler(load(folder, precision=HALF), 6, eta)
    x = x_of(g.denoiser)
    assert_close(g.decode(g.encode(x, at_once=at_once)), x, rtol=0, atol=1e-11)


def test_passes_of_another_size_are_what_would_not_come_back(folder, monkeypatch):
    g = Sampler(load(folder, precision=HALF), 6, 1.0)
    sizes = []
    encode = g.denoiser.encode
    monkeypatch.setattr(
        g.denoiser, "encode", lambda x, t, c=None: sizes.append(len(x)) or encode(x, t, c)
    )
    g.decode(g.encode(x_of(g.denoiser)))
    assert set(sizes) == {3}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout(tmp_path, name):
    LAYOUTS[name](tmp_path)
    reads = "stable" in name or "text2im" in name
    model = load(tmp_path, precision=HALF, prompt="a red house" if reads else "")
    cond = torch.tensor([1]) if model.labels else None
    g = Sampler(model, 3, 1.0)
    x = model.pictures(g.decode(g.draw(2, 0), cond=cond))
    z = model.latents(x.clamp(-1, 1)).clamp(-1, 1)
    assert model.dtype == torch.bfloat16 and x.dtype == torch.float64
    assert_close(g.decode(g.encode(z, cond=cond), cond=cond), z, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", ["cats", "faces-sn", "faces-gan", "faces-ae"])
def test_networks_of_our_own(name):
    g = Sampler(load(name, precision=HALF), 4, 1.0)
    x = x_of(g.denoiser, 1)
    assert g.denoiser.dtype == torch.bfloat16
    assert_close(g.decode(g.encode(x)), x, rtol=0, atol=1e-11)


def test_edits_are_in_their_own_precision(folder):
    model = load(folder, precision=HALF)
    g = Sampler(model, 4)
    z = g.draw(2, 0)
    edit = Asyrp.of(Conv(16, 32), 999).over(g.schedule)
    assert (g.decode(z, edit) - g.decode(z)).abs().max() > 1e-3
    push = torch.ones(16, *next(g.trajectory(z)).h.shape[2:])
    assert (
        g.decode(z, hspace.constant(push, 999).over(g.schedule)) - g.decode(z)
    ).abs().max() > 1e-3


def test_float16_is_for_a_gpu(folder):
    with Pretend("cuda"):
        g = Sampler(load(folder, "cuda", precision="float16"), 3, 1.0)
        x = g.decode(g.draw(2, 0))
        assert g.denoiser.dtype == torch.float16 and x.dtype == torch.float64 and x.isfinite().all()


def halved():
    return tiny_unet(dtype=torch.bfloat16)


SLOPES = ["bfloat16", "load the model without precision"]
REFUSED = {
    "another word": (lambda: load("faces", precision="half"), ["'half'", "bfloat16"]),
    "float16 on a CPU": (lambda: load("faces", precision="float16"), ["GPU", "'bfloat16'"]),
    "of an exact model": (lambda: load("digits", precision=HALF), ["'digits'", "exact"]),
    "an exact model compiled": (lambda: load("moons", compiled=True), ["'moons'", "compiled"]),
    "K": (lambda: bounds.estimated_K(Sampler(halved(), 4, 1.0), randn(1, 3, 8, 8), 1), SLOPES),
    "singular": (lambda: hspace.singular(halved(), randn(1, 3, 8, 8), 500, 1), SLOPES),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_in_a_sentence(case):
    call, words = REFUSED[case]
    says_in_a_sentence(call, words, 200)


def test_training_is_refused(monkeypatch):
    class Sources:
        sampler, x = Sampler(halved(), 4), randn(2, 3, 8, 8)

    run = training.training(Conv(16, 32), Sources, None, "a", "b", rounds=1, batch=1)
    says_in_a_sentence(lambda: next(run), ["Training", "bfloat16", "without precision"], 200)


def test_what_wraps_a_network_says_its_precision():
    model = tiny_unet(dtype=torch.bfloat16, num_class_embeds=3)
    assert Guided(model, 2.0, 0).dtype == torch.bfloat16 and devices.is_half(Guided(model, 2.0, 0))
    assert not devices.is_half(tiny_unet())


def test_diffusers_has_nothing_to_warn_of(folder, monkeypatch):
    def warn(text, *_):
        raise AssertionError(text)

    monkeypatch.setattr(modeling_utils.logger, "warning", warn)
    assert load(folder, precision=HALF).to(torch.float64).dtype == torch.float64


def test_convolutions_have_their_channels_last_where_that_is_faster(folder):
    weight = load(folder).net.conv_in.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    layout = devices.layout
    assert layout(torch.device("mps"), torch.float32) == torch.contiguous_format
    assert layout(torch.device("cuda"), torch.float32) == torch.contiguous_format
    assert layout(torch.device("cuda"), torch.float16) == torch.channels_last


def test_passes_with_a_gradient_are_not_compiled(folder, monkeypatch):
    calls = []

    def compiled(forward):
        return lambda *args, **kwargs: calls.append(1) or forward(*args, **kwargs)

    monkeypatch.setattr(torch, "compile", compiled)
    model, x = load(folder, compiled=True), randn(1, 3, 16, 16)
    trial = len(calls)
    with torch.no_grad():
        fast = model(x, 5)
    blocks = len(calls) - trial
    assert blocks == 5
    x.requires_grad_()
    slow = model(x, 5)
    slow.sum().backward()
    assert len(calls) - trial == blocks and x.grad.abs().max() > 0
    assert_close(fast, slow.detach())


def test_where_nothing_can_be_compiled_it_is_said(folder, monkeypatch):
    def broken(forward):
        raise RuntimeError("no C++ compiler\nat all")

    monkeypatch.setattr(torch, "compile", broken)
    says_in_a_sentence(
        lambda: load(folder, compiled=True), ["no C++ compiler at all", "leave"], 200
    )


@pytest.mark.slow
def test_compiled_blocks_answer_the_same(folder):
    try:
        model = load(folder, compiled=True)
    except CheckpointError as error:
        pytest.skip(str(error))
    x = randn(2, 3, 16, 16)
    with torch.no_grad():
        assert_close(model(x, 500), load(folder)(x, 500), rtol=0, atol=1e-5)
