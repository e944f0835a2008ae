"""No mixing of devices, and no float64 where there is none: on a pretend device (`pretend`)."""

import copy

import matplotlib
import pytest
import torch
from torch.testing import assert_close

from families_by_lessons import apart
from lessons_lib import Sampler, load
from lessons_lib.code import Code, shift
from lessons_lib.denoisers import Guided
from lessons_lib.encoder import independent, invert, lockstep
from lessons_lib.judges import metrics
from lessons_lib.methods import editing, energies, guidance, hspace
from lessons_lib.methods.asyrp import Asyrp, Conv
from lessons_lib.models.unet import UNet
from pretend import Mixed, Pretend
from published import LAYOUTS, tame
from small import ALPHA_BAR, PROMPTS, randn, tiny_net, tiny_pipeline


@pytest.fixture(params=["cuda", "mps"])
def device(request):
    with Pretend(request.param):
        yield torch.device(request.param)


def pixel(device, **config):
    return UNet(tiny_net(**config), ALPHA_BAR, "v_prediction").to(device)


def images(n=2):
    return randn(n, 3, 8, 8).clamp(-1, 1)


def test_the_rules_are_a_devices(device):
    here, there = torch.ones(3, device=device), torch.ones(3)
    assert here.device == device and (here + 1).device == device and here.cpu().device.type == "cpu"
    for call in (
        lambda: here + there,
        lambda: torch.cat([here, there]),
        here.numpy,
        lambda: there[here > 0],
    ):
        with pytest.raises(Mixed):
            call()
    assert (here * torch.tensor(2.0)).device == device and here.to(there).device.type == "cpu"
    assert torch.as_tensor(here).device == device
    assert torch.tensor([here.sum(), 1.0]).device.type == "cpu"  # of a list, as on a real device
    if device.type == "mps":
        with pytest.raises(Mixed, match="float64"):
            here.double()


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_there_and_back(device, eta):
    g = Sampler(pixel(device), 4, eta)
    z = g.draw(2, 0)
    assert g.decode(z).device == z.x_T.device == device
    assert z.x_T.dtype == (torch.float32 if device.type == "mps" else torch.float64)
    if eta:
        for path in ({}, {"path": independent}):
            back = g.decode(g.encode(images(), 1, **path))
            assert_close(back.cpu().double(), images(), rtol=0, atol=1e-4)
        assert all(s.x_to.device == device for _, s in lockstep(g, images().to(z.x_T)))
    else:
        code, _ = invert(g, images().to(z.x_T), refine=1)
        assert g.decode(code).device == device


def test_a_code_from_the_cpu_is_taken_there(device):
    g = Sampler(pixel(device), 4, 1.0)
    z = Sampler(UNet(tiny_net(), ALPHA_BAR, "v_prediction"), 4, 1.0, dtype=g.dtype).draw(1, 0)
    here = g.decode(Code(z.x_T, z.eps, z.residual))
    assert here.device == device


def test_labels_and_guidance(device):
    model = UNet(tiny_net(num_class_embeds=3), ALPHA_BAR, "v_prediction", zero_is_none=True).to(
        device
    )
    for cond in (torch.tensor([1, 2]), torch.tensor([1, 2]).to(device)):
        g = Sampler(Guided(model, 2.0, 0), 3, 1.0)
        assert g.decode(g.encode(images(), cond=cond), cond=cond).device == device


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout(device, tmp_path, name):
    LAYOUTS[name](tmp_path)
    reads = name in ("CompVis/stable-diffusion-v1-4", "CompVis/ldm-text2im-large-256")
    model = load(
        tmp_path, device, prompt="a red house" if reads else "", guidance=2.0 if reads else 1.0
    )
    cond = torch.tensor([1]) if model.labels else None
    g = Sampler(model, 3, 1.0)
    x = g.decode(g.draw(1, 0), cond=cond)
    pictures = model.pictures(x)
    assert pictures.device == device
    assert (
        g.decode(g.encode(model.latents(pictures).clamp(-1, 1), cond=cond), cond=cond).device
        == device
    )


def test_texts_and_edits_by_them(device, tmp_path):
    tiny_pipeline(tmp_path, half=False)
    model = load(tmp_path, device)
    cond = model.prompts(PROMPTS)
    assert cond.device == device
    g = Sampler(Guided(model, 2.0, model.prompts.empty), 3, 0.5)
    assert g.decode(g.draw(2, 0), cond=cond).device == device


def test_edits(device):
    g = Sampler(pixel(device), 4)
    z = g.draw(2, 0)
    asyrp = Asyrp.of(Conv(16, 32).to(device), 999, 300).over(g.schedule)
    assert g.decode(z, edit=asyrp).device == device
    constant = hspace.constant(torch.zeros(16, 4, 4, device=device), 999).over(g.schedule)
    assert g.decode(z, edit=0.5 * constant).device == device
    assert g.decode(z, edit=shift(torch.ones(1, 3, 8, 8))).device == device
    h = next(iter(g.trajectory(z))).h
    vectors, _ = hspace.principal(h, 1)
    assert vectors.device == device


def test_rivals_and_guidance(device):
    g = Sampler(pixel(device), 4, 1.0)
    x = images().to(device, g.dtype)
    assert editing.ddib(x, g.with_eta(0.0), g.with_eta(0.0)).device == device
    bright = energies.of(lambda x: x.flatten(1).square().sum(1))
    assert guidance.sample(g, bright, 1.0, 2, 4, burn_in=0).z.x_T.device == device
    assert metrics.psnr(x, x + 0.1).device == device
    assert metrics.rms(x, x).device == device


# `python tests/lessons_by_device.py` runs all, on the networks that they come with; these take least.
@pytest.mark.parametrize("number", ["01", "11"])
def test_a_lesson(tmp_path, number):
    matplotlib.use("Agg")
    where = "" if number == "11" else tmp_path / "there"
    if where:
        LAYOUTS["google/ddpm-celebahq-256"](where)
        tame(where)
    outcome = apart(number, where, "google/ddpm-celebahq-256", "mps")
    assert outcome.kind == "runs", outcome


def test_a_copied_network_is_where_it_was(device):
    one = pixel(device)
    other = copy.deepcopy(one)
    assert other.device == device and other(images().float().to(device), 5).device == device
