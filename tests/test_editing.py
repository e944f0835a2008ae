"""CycleDiffusion and its rivals, against closed forms, diffusers and identities."""

import lessons_lib._torchvision  # noqa: F401

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from lessons_lib import Sampler, load
from lessons_lib.denoisers import Guided
from lessons_lib.encoder import independent, posterior
from lessons_lib.methods.editing import (
    best_of,
    cycle_diffusion,
    ddib,
    ilvr,
    low_pass,
    on_images,
    sdedit,
    start_at,
    text_edit,
    text_samplers,
)
from lessons_lib.models.mixture import GaussianMixture, digits
from lessons_lib.schedule import Schedule
from lessons_lib.streams import Streams
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


def slopes(g, variance):
    """A_t = ∂μ/∂x_t of a sampler of one isotropic Gaussian, (S,)."""
    s = g.schedule
    gain = s.a.sqrt() * variance / (s.a * variance + 1 - s.a)  # of E[x_0|x_t]
    slope_eps = (1 - s.a.sqrt() * gain) / (1 - s.a).sqrt()
    return s.a_to.sqrt() * gain + (1 - s.a_to - g.sigma**2).clamp_min(0).sqrt() * slope_eps


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
    x, gap = randn(2, 3), torch.tensor([0.5, -1.0, 2.0]).double()
    one, two = (Sampler(gaussian(mean), eta=eta, schedule=s) for mean in (0.0, gap))
    moved = gap * (1 - s.a[0].sqrt() * slopes(one, 0.3).prod())
    assert_close(cycle_diffusion(x, one, two, path=path) - x, moved.expand(2, 3))


def test_a_start_is_the_schedules_own_tail_and_its_own_level():
    g = start_at(Sampler(mixture(), 20, 0.5), 500)
    assert g.schedule.t[0] <= 500 < Sampler(mixture(), 20).schedule.t[-len(g.schedule) - 1]
    assert g.schedule.t_to[-1] == -1 and g.eta == 0.5
    x = torch.zeros(20_000, 3)
    x_T = next(posterior(g, x, Streams(0, len(x))))
    assert_close(x_T.double().var(), 1 - ALPHA_BAR[g.schedule.t[0]], rtol=0.03, atol=0)


def test_the_lower_the_start_the_nearer_to_the_source():
    one, two = Sampler(gaussian(0.0), 50, 0.1), Sampler(gaussian(1.0), 50, 0.1)
    x = randn(4, 3)
    far = [
        (cycle_diffusion(x, *(start_at(g, t) for g in (one, two))) - x).norm().item()
        for t in (999, 600, 300, 100)
    ]
    assert far == sorted(far, reverse=True) and far[0] > 1.7 and far[-1] < 0.5


def test_the_highest_start_is_the_sampler_itself_and_the_lowest_one_step():
    g = Sampler(mixture(), 5)
    assert torch.equal(start_at(g, 999).schedule.t, g.schedule.t)
    assert start_at(g, 0).schedule.t.tolist() == [0]


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
    one, two = (
        start_at(Sampler(Guided(model, s, model.prompts.empty), 7, 0.3), 800) for s in (1.5, scale)
    )
    z = one.encode(model.codec.encode(image), 3, cond=model.prompts(PROMPTS), path=path)
    expected = model.codec.decode(two.decode(z, cond=model.prompts(SWAPPED)))
    assert_close(found, expected, rtol=0, atol=1e-9)
    exchanged = said | {"source_scale": scale, "target_scale": 1.5}
    tied = text_edit(
        model, image, PROMPTS, SWAPPED, 3, path, joined=lambda g, other: (other, g), **exchanged
    )
    assert_close(tied, found, rtol=0, atol=1e-9)


@torch.no_grad()
def test_the_same_text_and_scale_give_the_codecs_own_image(model):
    image = randn(2, 3, 16, 16).clamp(-1, 1)
    found = text_edit(model, image, PROMPTS, PROMPTS, steps=6)
    with torch.enable_grad():
        through = on_images(model, lambda x: x)(image.clone().requires_grad_())
    assert not through.requires_grad
    assert_close(found, through, rtol=0, atol=1e-10)
    other = text_edit(model, image, PROMPTS, SWAPPED, steps=6)
    assert (other - through).abs().max() > 1e-4


def test_a_model_without_texts_is_refused():
    with pytest.raises(ValueError, match="reads no text"):
        text_samplers(tiny_unet())


# SDEdit


@given(times=st.sets(st.integers(0, 999), min_size=1, max_size=8), eta=etas)
def test_sdedit_of_a_gaussian_has_the_mean_in_closed_form(times, eta):
    """Each step is affine in x_t: the source's share of the result is √ᾱ_T ∏A."""
    m = gaussian(torch.tensor([0.5, -1.0, 2.0]))
    g = Sampler(m, eta=eta, schedule=Schedule.of(ALPHA_BAR, sorted(times, reverse=True)))
    x = randn(2, 3)
    share = g.schedule.a[0].sqrt() * slopes(g, 0.3).prod()
    found = sdedit(x, g, seed=3)
    assert_close(found - sdedit(m.means.expand(2, 3), g, seed=3), share * (x - m.means))


def test_sdedit_is_generation_from_the_top_and_a_clean_up_near_the_image():
    m, clean = digits(), digits().means[:8].view(-1, 1, 8, 8)
    g, x = Sampler(m, 50, 1.0), clean + 0.3 * randn(8, 1, 8, 8)
    high, low = (sdedit(x, start_at(g, t), seed=1) for t in (999, 150))
    assert (low - clean).abs().mean() < 0.7 * (x - clean).abs().mean()
    assert m.log_density(low, -1).mean() > m.log_density(x, -1).mean() + 50
    assert (high - clean).abs().mean() > 2 * (low - clean).abs().mean()
    assert_close(high, g.decode(g.draw(8, seed=1)), rtol=0, atol=0.2)


# DDIB


def test_ddib_between_gaussians_is_the_flow_in_closed_form():
    """Probability flow takes N(m, s²) to N(0, 1) by (x - m)/s: up by one and down by the other."""
    one, two = gaussian(0.5, 0.3), gaussian(-1.0, 0.8)
    x = one.sample(4, seed=0)
    steps = [(Sampler(m, 500) for m in (one, two)), (Sampler(m, 30) for m in (one, two))]
    expected = -1.0 + (0.8 / 0.3) ** 0.5 * (x - 0.5)
    errors = [(ddib(x, *pair, refine=3) - expected).abs().max() for pair in steps]
    assert errors[0] < 0.02 < errors[1]


def test_ddib_there_and_back_is_the_source():
    one, two = (Sampler(mixture(seed=i), 300) for i in range(2))
    x = mixture(seed=0).sample(4, seed=1)
    there = ddib(x, one, two, refine=2)
    assert_close(ddib(there, two, one, refine=2), x, rtol=0, atol=2e-2)
    assert (there - x).abs().max() > 0.3
    with pytest.raises(ValueError, match="eta=0"):
        ddib(x, Sampler(mixture(), 5, 0.5), two)


def test_ddib_between_labels_is_ddib_between_what_they_name():
    m = mixture(k=2, labels=torch.tensor([0, 1]))
    g, x, one = Sampler(m, 8), randn(2, 3), torch.tensor([1])
    parts = [Sampler(GaussianMixture(m.means[[i]], 0.05), 8) for i in range(2)]
    for cond, target_cond in ((0 * one, one), (one, 0 * one)):
        wanted = ddib(x, parts[cond], parts[target_cond], refine=1)
        assert_close(ddib(x, g, g, cond, target_cond, refine=1), wanted)


# ILVR


def blocks(x):
    """A projection: each 4×4 block's mean."""
    return F.interpolate(F.avg_pool2d(x, 4), scale_factor=4)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_ilvr_keeps_exactly_what_a_projection_sees(eta):
    g, x = Sampler(tiny_unet(), 6, eta), randn(2, 3, 8, 8)
    found = ilvr(x, g, blocks)
    assert_close(blocks(found), blocks(x), rtol=0, atol=1e-10)
    assert (found - x).abs().max() > 0.1
    assert_close(ilvr(x, g, lambda y: y), x, rtol=0, atol=1e-10)
    free = ilvr(x, g, blocks, until=g.schedule.t[0].item())
    assert_close(free, ilvr(x, g, torch.zeros_like), rtol=0, atol=0)
    assert (blocks(free) - blocks(x)).abs().max() > 0.1


@given(
    times=st.sets(st.integers(0, 999), min_size=1, max_size=8),
    eta=etas,
    kept=st.floats(0, 1),
    data=st.data(),
)
def test_ilvr_of_a_gaussian_has_the_source_s_share_in_closed_form(times, eta, kept, data):
    """Where `low` is a part of everything, the sources' difference δ goes to (1-c) A δ + c √ᾱ' Δ."""
    s = Schedule.of(ALPHA_BAR, sorted(times, reverse=True))
    until = data.draw(st.sampled_from([-1, *s.t.tolist(), 1000]))
    g, x = Sampler(gaussian(0.5), eta=eta, schedule=s), randn(2, 3)
    share = s.a[0].sqrt()
    for slope, a_to, t_to in zip(slopes(g, 0.3), s.a_to, s.t_to.tolist(), strict=True):
        c = kept if t_to >= until else 0.0
        share = (1 - c) * slope * share + c * a_to.sqrt()
    found, still = (ilvr(y, g, lambda y: kept * y, 3, until) for y in (x, torch.full_like(x, 0.5)))
    assert_close(found - still, share * (x - 0.5), rtol=1e-7, atol=1e-7)


def test_a_low_pass_is_linear_keeps_colours_and_drops_what_is_fine():
    low, x, y = low_pass(4), randn(2, 3, 16, 16), randn(2, 3, 16, 16, seed=1)
    assert_close(low(2 * x - y), 2 * low(x) - low(y))
    assert_close(low(torch.full_like(x, 0.3)), torch.full_like(x, 0.3))
    checks = (torch.arange(16)[:, None] + torch.arange(16)).double() % 2 - 0.5
    assert low(checks.expand(1, 1, 16, 16)).abs().max() < 1e-12
    assert_close(low_pass(1)(x), x)
    codes = randn(3, 2, 3, 16, 16)
    assert_close(low(codes), torch.stack([low(step) for step in codes]))
    for factor, sides in ((3, (16, 16)), (4, (16, 18)), (4, (18, 16)), (0, (16, 16))):
        with pytest.raises(ValueError, match=f"must divide {sides[0]} and {sides[1]}"):
            low_pass(factor)(randn(1, 3, *sides))


# Ensembles


def test_the_best_of_many_is_each_images_own_and_streams():
    edits = randn(5, 3, 2, 4, 4)
    chosen = best_of(iter(edits), lambda x: x.mean((1, 2, 3)), lambda x: -x[:, 0, 0, 0])
    for i in range(3):
        means = edits[:, i].mean((1, 2, 3))
        assert chosen.which[i] == means.argmax()
        assert torch.equal(chosen.image[i], edits[means.argmax(), i])
        assert chosen.score[i] == -chosen.image[i, 0, 0, 0]
    assert chosen.selection.shape == chosen.reported.shape == (5, 3)


def test_choosing_by_noise_gains_nothing_that_another_judge_sees():
    gen = torch.Generator().manual_seed(0)
    select, report = (lambda x: torch.randn(len(x), generator=gen) for _ in range(2))
    chosen = best_of((torch.zeros(400, 1) for _ in range(15)), select, report)
    assert chosen.selection.amax(0).mean() > 1.6  # what would have been reported
    assert abs(chosen.score.mean()) < 0.2


def test_a_score_that_chooses_is_not_the_one_reported():
    with pytest.raises(ValueError, match="same scores"):
        best_of(randn(2, 3, 4), lambda x: x.mean(1), lambda x: x.mean(1))
    with pytest.raises(ValueError, match="no candidates"):
        best_of([], len, len)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda g, x: cycle_diffusion(x, g, Sampler(mixture(), 6)), "same times"),
        (lambda g, x: cycle_diffusion(x[:, :2], g, g), "takes"),
        (lambda g, x: cycle_diffusion(x, g, g, seed=-1), "seed is -1"),
        (lambda g, x: sdedit(x, g, seed=0.5), "seed is 0.5"),
        (lambda g, x: ilvr(x, g, low_pass(1), seed="0"), "seed is '0'"),
        (lambda g, x: ilvr(x[0], g, low_pass(1)), "has shape"),
        (lambda g, x: ddib(x * torch.nan, g, g), "x has values that are not finite"),
        (lambda g, x: ilvr(x * torch.nan, g, low_pass(1)), "x has values that are not finite"),
        (lambda g, x: sdedit(x * torch.nan, g), "x has values that are not finite"),
    ],
)
def test_bad_input_is_one_sentence(call, words):
    with pytest.raises(ValueError, match=words) as raised:
        call(Sampler(mixture(), 5), randn(2, 3))
    assert "\n" not in str(raised.value) and str(raised.value).endswith(".")


def test_more_texts_than_images_are_refused(model):
    with pytest.raises(ValueError, match="2 conditions for 3 images"):
        text_edit(model, randn(3, 3, 16, 16), PROMPTS, PROMPTS[:1], steps=2)
    with pytest.raises(ValueError, match="2 conditions for 3 images"):
        text_edit(model, randn(3, 3, 16, 16), PROMPTS[:1], PROMPTS, steps=2)
