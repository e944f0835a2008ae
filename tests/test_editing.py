"""CycleDiffusion and its rivals, against closed forms, diffusers and identities."""

import lessons_lib._torchvision  # noqa: F401

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from lessons_lib import Sampler, load
from lessons_lib.denoisers import GaussianMixture
from lessons_lib.editing import (
    cycle_diffusion,
    on_images,
    start_at,
    text_edit,
    text_samplers,
)
from lessons_lib.encoder import independent, posterior
from lessons_lib.schedule import Schedule
from small import ALPHA_BAR, PROMPTS, etas, mixture, randn, schedules, tiny_pipeline, tiny_unet

paths = pytest.mark.parametrize("path", [posterior, independent])
SWAPPED = PROMPTS[::-1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("t2i")
    tiny_pipeline(where, prediction_type="epsilon")  # the pipeline takes every network for one
    return where


@pytest.fixture(scope="module")
def model(folder):
    return load(folder).to(torch.float64)


def gaussian(mean, variance=0.3, d=3):
    return GaussianMixture(torch.as_tensor(mean).double().expand(1, d), variance)


# Unpaired: decode₂(encode₁(x))


@paths
@given(s=schedules(most=8), eta=etas, seed=st.integers(0, 9))
def test_streamed_translation_is_decode_of_encode(path, s, eta, seed):
    one, two = (Sampler(mixture(seed=i), eta=eta, schedule=s) for i in range(2))
    x = randn(2, 3)
    expected = two.decode(one.encode(x, seed, path=path))
    assert_close(cycle_diffusion(x, one, two, seed, path), expected, rtol=1e-8, atol=1e-8)
    assert_close(cycle_diffusion(x, one, one, seed, path), x, rtol=0, atol=1e-10)


@paths
@given(times=st.sets(st.integers(0, 999), min_size=1, max_size=8), eta=etas)
def test_between_gaussians_apart_by_a_shift_it_is_a_shift_in_closed_form(path, times, eta):
    """δ_t = x̂_t - x_t obeys δ_t' - √ᾱ' Δ = A_t (δ_t - √ᾱ Δ), whatever the path: δ_T = 0 gives δ_0."""
    s = Schedule.of(ALPHA_BAR, sorted(times, reverse=True))
    variance, x, gap = 0.3, randn(2, 3), torch.tensor([0.5, -1.0, 2.0]).double()
    source, target = gaussian(0.0, variance), gaussian(gap, variance)
    one, two = (Sampler(m, eta=eta, schedule=s) for m in (source, target))
    gain = s.a.sqrt() * variance / (s.a * variance + 1 - s.a)  # of E[x_0|x_t]
    slope_eps = (1 - s.a.sqrt() * gain) / (1 - s.a).sqrt()
    direction = (1 - s.a_to - one.sigma**2).clamp_min(0).sqrt()
    slopes = s.a_to.sqrt() * gain + direction * slope_eps
    moved = gap * (s.a_to[-1].sqrt() - s.a[0].sqrt() * slopes.prod())
    assert_close(cycle_diffusion(x, one, two, path=path) - x, moved.expand(2, 3))


def test_a_start_is_the_schedules_own_tail_and_its_own_level():
    g = start_at(Sampler(mixture(), 20, 0.5), 500)
    assert g.schedule.t[0] <= 500 < Sampler(mixture(), 20).schedule.t[-len(g.schedule) - 1]
    assert g.schedule.t_to[-1] == -1 and g.eta == 0.5
    x = torch.zeros(20_000, 3)
    x_T = next(posterior(g, x, torch.Generator().manual_seed(0)))
    assert_close(x_T.double().var(), 1 - ALPHA_BAR[g.schedule.t[0]], rtol=0.03, atol=0)


def test_the_lower_the_start_the_nearer_to_the_source():
    one, two = Sampler(gaussian(0.0), 50, 0.1), Sampler(gaussian(1.0), 50, 0.1)
    x = randn(4, 3)
    far = [
        (cycle_diffusion(x, *(start_at(g, t) for g in (one, two))) - x).norm().item()
        for t in (999, 600, 300, 100)
    ]
    assert far == sorted(far, reverse=True) and far[0] > 1.7 and far[-1] < 0.5


@pytest.mark.parametrize("t", [-1, 1000, 3.5, True])
def test_starts_that_are_refused(t):
    with pytest.raises(ValueError, match=r"from 0, the last time .* to 999"):
        start_at(Sampler(mixture(), 5), t)


@paths
@pytest.mark.parametrize("eta", [0.0, 1e-9, 1e-3])
def test_translation_at_small_eta_is_finite_and_goes_over_into_eta_0(path, eta):
    x, limit = randn(2, 3, 8, 8), None
    one, two = tiny_unet(0), tiny_unet(1)
    limit, found = (
        cycle_diffusion(x, *(Sampler(m, 6, e) for m in (one, two)), path=path) for e in (0.0, eta)
    )
    assert found.isfinite().all()
    assert_close(found, limit, rtol=0, atol=1e-12 + 10 * eta)


# Text


@torch.no_grad()
@paths
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_a_text_edit_is_algorithm_1_on_latents(model, path, scale):
    image = randn(2, 3, 16, 16).clamp(-1, 1)
    said = {"steps": 7, "eta": 0.3, "source_scale": 1.5, "target_scale": scale, "t_es": 800}
    found = text_edit(model, image, PROMPTS, SWAPPED, 3, path, **said)
    one, two = text_samplers(model, **said)
    assert one.schedule.t[0] <= 800
    z = one.encode(model.codec.encode(image), 3, cond=model.prompts(PROMPTS), path=path)
    expected = model.codec.decode(two.decode(z, cond=model.prompts(SWAPPED)))
    assert_close(found, expected, rtol=0, atol=1e-9)


@torch.no_grad()
def test_the_same_text_and_scale_give_the_codecs_own_image(model):
    image = randn(2, 3, 16, 16).clamp(-1, 1)
    found = text_edit(model, image, PROMPTS, PROMPTS, source_scale=2.0, target_scale=2.0, steps=6)
    through = on_images(model, lambda x: x)(image)
    assert_close(found, through, rtol=0, atol=1e-10)
    other = text_edit(model, image, PROMPTS, SWAPPED, source_scale=2.0, target_scale=2.0, steps=6)
    assert (other - through).abs().max() > 1e-4


def test_a_model_without_texts_is_refused():
    with pytest.raises(ValueError, match="reads no text"):
        text_samplers(tiny_unet())
