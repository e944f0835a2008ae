import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from lessons_lib import Code, Sampler
from lessons_lib.denoisers import Guided
from lessons_lib.encoder import encode, independent, invert, lockstep, posterior
from lessons_lib.models.mixture import GaussianMixture, digits
from lessons_lib.models.unet import UNet
from lessons_lib.schedule import Schedule, even, trailing
from lessons_lib.streams import Streams
from small import ALPHA_BAR, etas, mixture, randn, schedules, tiny_net, tiny_unet

DIGITS = digits()
UNET = tiny_unet()
UNET32 = tiny_unet(dtype=torch.float32)
paths = pytest.mark.parametrize("path", [posterior, independent])


def error(g, x, path, **options):
    return (g.decode(encode(g, x, path=path, **options)) - x).abs().max().item()


@paths
@pytest.mark.parametrize("eta", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("steps", [10, 50])
def test_identity_1_on_digits(path, eta, steps):
    x = DIGITS.means[[3, 700]].view(2, 1, 8, 8)
    assert error(Sampler(DIGITS, steps, eta), x, path) <= 1e-12
    assert error(Sampler(DIGITS, steps, eta, dtype=torch.float32), x.float(), path) <= 1e-5


@paths
@pytest.mark.parametrize("eta", [0.0, 0.1, 1.0])
def test_identity_1_at_1000_steps(path, eta):
    m, x = mixture(d=4, k=3), randn(3, 4).clamp(-1, 1)
    assert error(Sampler(m, 1000, eta), x, path) <= 1e-12
    assert error(Sampler(m, 1000, eta, dtype=torch.float32), x.float(), path) <= 1e-5


@settings(max_examples=10)
@given(schedules(most=8), etas, st.sampled_from([posterior, independent]), st.integers(1, 3))
def test_identity_1_on_an_untrained_network_and_any_schedule(s, eta, path, batch):
    # For images that the network has never seen: it has seen none.
    x = randn(batch, 3, 8, 8, seed=batch).clamp(-1, 1)
    assert error(Sampler(UNET, eta=eta, schedule=s), x, path) <= 1e-12
    # P is as large as x_t/√ᾱ, of which float32 rounds 6e-8 away.
    most = max(1e-5, 5e-7 / s.a.min().sqrt().item())
    assert error(Sampler(UNET32, eta=eta, schedule=s, dtype=torch.float32), x.float(), path) <= most


@paths
def test_half_precision_reconstructs_to_its_own_precision(path):
    # 1-ᾱ and √ᾱ have to be taken in float64 and only then rounded, or the first steps are lost.
    x = DIGITS.means[:4].view(4, 1, 8, 8)
    for eta in (0.1, 1.0):
        z = encode(Sampler(DIGITS, 50, eta, dtype=torch.float16), x, path=path)
        assert z.eps.isfinite().all()
        back = Sampler(DIGITS, 50, eta, dtype=torch.float16).decode(z)
        assert (back.double() - x).abs().max() <= 1e-2


def test_dropping_the_last_code_loses_the_image():
    # What the public codes do; the kept residual is what makes identity 1 hold.
    g, x = Sampler(DIGITS, 50, 1.0), DIGITS.means[:2].view(2, 1, 8, 8)
    z = g.encode(x)
    dropped = torch.cat([z.eps[:-1], torch.zeros_like(z.eps[:1])])
    assert (g.decode(Code(z.x_T, dropped)) - x).abs().max() > 1e-4


@given(schedules(most=6), etas, st.integers(1, 40), st.integers(1, 3))
def test_identity_5_batched_over_t_is_one_at_a_time(s, eta, at_once, batch):
    m = mixture(labels=torch.tensor([0, 1, 1, 0]))
    g, x = Sampler(m, eta=eta, schedule=s), randn(batch, 3)
    cond = torch.arange(batch) % 2
    z, single = (g.encode(x, seed=4, cond=cond, at_once=n) for n in (at_once, 1))
    streamed = torch.stack([eps for eps, _ in lockstep(g, x, seed=4, cond=cond, target_cond=cond)])
    size = z.eps.abs().max().item()
    assert_close(z.eps, single.eps, rtol=1e-9, atol=1e-12 * max(size, 1))
    assert_close(z.eps, streamed, rtol=1e-9, atol=1e-12 * max(size, 1))
    assert torch.equal(z.x_T, single.x_T)


def test_identity_5_on_a_network_with_labels():
    unet = tiny_unet(num_class_embeds=3)
    g, x, cond = Sampler(unet, 7, 0.5), randn(3, 3, 8, 8), torch.tensor([2, 0, 1])
    codes = [g.encode(x, cond=cond, at_once=n).eps for n in (64, 5, 1)]
    assert_close(codes[0], codes[1]), assert_close(codes[0], codes[2])
    assert (codes[0] - g.encode(x).eps)[:, [0, 2]].abs().max() > 1e-6  # the labels matter


@paths
def test_identity_5_a_batch_is_its_singles(path):
    """A seed's noise depends on the batch; given the same chain, each image is on its own."""
    g, x = Sampler(UNET, 6, 0.5), randn(3, 3, 8, 8)
    chain = list(path(g, x, Streams(0, len(x))))
    z = encode(g, x, path=lambda *_: iter(chain))
    for i in range(3):
        part = slice(i, i + 1)
        one = encode(g, x[part], path=lambda *_, part=part: (c[part] for c in chain))
        assert_close(one.x_T, z[part].x_T, rtol=0, atol=0)
        assert_close(one.eps, z[part].eps, rtol=1e-9, atol=1e-10)
        assert_close(g.decode(one), g.decode(z)[part], rtol=0, atol=1e-12)


@paths
@pytest.mark.parametrize("eta", [0.0, 1e-6, 1e-3, 1.0])
@pytest.mark.parametrize("last", [1.0, ALPHA_BAR[0].item()])
@pytest.mark.parametrize("times", [even(1000, 10), trailing(1000, 10), [999], [0]])
def test_identity_12_codes_are_finite_down_to_eta_0(path, eta, last, times):
    s = Schedule.of(ALPHA_BAR, times, last)
    for dtype, limit in ((torch.float64, 1e-11), (torch.float32, 1e-5)):
        g = Sampler(mixture(), eta=eta, schedule=s, dtype=dtype)
        x = randn(2, 3).to(dtype)
        z = encode(g, x, path=path)
        assert z.x_T.isfinite().all() and z.eps.isfinite().all()
        assert (g.decode(z) - x).abs().max() <= limit


def magnified(alpha_bar=ALPHA_BAR, prediction="epsilon", **config):
    """A random network in float32, and how many times it is asked, by the images that it is asked about."""
    asked, model = [], UNet(tiny_net(**config), alpha_bar, prediction, zero_is_none=True)
    model.net.conv_in.register_forward_hook(lambda module, given, out: asked.append(len(out)))
    return model, asked


COSINE = torch.cos((torch.arange(1000.0).double() / 1000 + 0.008) / 1.008 * math.pi / 2).square()
KINDS = {
    f"{prediction}, {name}": (alpha_bar, prediction)
    for name, alpha_bar in (("linear", ALPHA_BAR), ("cosine", COSINE))
    for prediction in ("epsilon", "v_prediction", "sample")
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("eta", [0.1, 1.0])
def test_identity_1_on_any_network_in_float32(kind, eta):
    model, _ = magnified(*KINDS[kind])
    x = randn(2, 3, 8, 8).clamp(-1, 1)
    for steps in (10, 50):
        assert error(Sampler(model, steps, eta), x, posterior) <= 1e-5
    assert error(Sampler(model, 20, eta), x, independent) <= 1e-5
    assert error(Sampler(model, 20, eta), x, posterior, at_once=2) <= 2e-6


@pytest.mark.parametrize("alpha_bar", [ALPHA_BAR, COSINE])
def test_identity_1_under_guidance_in_float32(alpha_bar):
    model, _ = magnified(alpha_bar, num_class_embeds=3)
    g = Sampler(Guided(model, 7.5, 0), 20, 0.5)
    x, cond = randn(2, 3, 8, 8).clamp(-1, 1), torch.tensor([1, 2])
    assert (g.decode(g.encode(x, cond=cond), cond=cond) - x).abs().max() <= 1e-5


def test_only_a_network_that_magnifies_is_asked_again():
    x = randn(2, 3, 8, 8).clamp(-1, 1)
    for prediction, most in (("v_prediction", 1), ("sample", 2), ("epsilon", 20)):
        model, asked = magnified(prediction=prediction)
        Sampler(model, 20, 1.0).encode(x)
        assert asked[0] == 40 and set(asked[1:]) == {2} and len(asked) - 1 <= most
    asked.clear()
    Sampler(model, 20, 1.0).encode(x, at_once=2)
    assert asked == [2] * 20  # as in decoding already: no step is asked twice


# Statistics


@paths
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_every_x_t_of_the_chain_is_a_draw_from_q(path, eta):
    n, x0 = 20_000, 0.8
    g = Sampler(GaussianMixture(torch.zeros(1, 1), 1.0), 8, eta)
    x = torch.full((n, 1), x0, dtype=torch.float64)
    chain = torch.stack(list(path(g, x, Streams(0, len(x)))))[:-1, :, 0]
    a = g.schedule.a
    assert_close(chain.mean(1), a.sqrt() * x0, rtol=0, atol=5 / n**0.5)
    assert_close(chain.var(1), 1 - a, rtol=0.06, atol=0)


@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_neighbours_in_the_posterior_chain_are_joined_by_q(eta):
    g = Sampler(GaussianMixture(torch.zeros(1, 1), 1.0), 8, eta)
    x = torch.full((20_000, 1), 0.8, dtype=torch.float64)
    joined = torch.stack(list(posterior(g, x, Streams(0, len(x)))))[:-1, :, 0]
    apart = torch.stack(list(independent(g, x, Streams(0, len(x)))))[:-1, :, 0]
    s, i = g.schedule, 3
    # Cov(x_t', x_t) = c_x Var(x_t)
    wanted = (1 - s.a_to[i] - g.sigma[i] ** 2).sqrt() * (1 - s.a[i]).sqrt()
    assert abs(torch.cov(joined[[i, i + 1]])[0, 1] - wanted) < 0.03
    assert abs(torch.cov(apart[[i, i + 1]])[0, 1]) < 0.03


def test_codes_of_a_models_own_data_are_standard_normal_at_high_noise():
    m = mixture(d=8, k=3)
    g = Sampler(m, 300, 1.0)
    eps = g.encode(m.sample(300, seed=0), seed=1, at_once=4096).eps[:200]  # the noisier two thirds
    assert abs(eps.mean()) < 0.01 and abs(eps.std() - 1) < 0.01
    neighbours = (eps[1:] * eps[:-1]).mean()
    assert abs(neighbours) < 0.02


def test_independent_codes_are_wider_and_correlate():
    # Huberman-Spiegelglas et al.: neighbouring codes share x_t with opposite signs.
    m = mixture(d=8, k=3)
    g, x = Sampler(m, 50, 1.0), m.sample(200, seed=0)
    eps = g.encode(x, path=independent, at_once=4096).eps[5:40]
    assert eps.std() > 1.2 and (eps[1:] * eps[:-1]).mean() < -0.2


def test_seeds():
    g, x = Sampler(mixture(), 5, 1.0), randn(2, 3)
    assert torch.equal(g.encode(x, seed=1).eps, g.encode(x, seed=1).eps)
    assert not torch.equal(g.encode(x, seed=1).x_T, g.encode(x, seed=2).x_T)


def test_no_code_keeps_a_graph():
    g, x = Sampler(mixture(), 3, 1.0), randn(2, 3).requires_grad_()
    z, (inverted, _) = g.encode(x), invert(g.with_eta(0.0), x)
    streamed = [(eps, step.x_to) for eps, step in lockstep(g, x)]
    kept = [z.x_T, z.eps, inverted.x_T, *(v for pair in streamed for v in pair)]
    assert not any(v.requires_grad for v in kept)


# Streamed, and DDIM inversion


@paths
@pytest.mark.parametrize(
    ("eta", "other_eta"), [(0.0, 0.0), (0.4, 0.4), (1.0, 1.0), (0.4, 0.9), (1.0, 0.0)]
)
def test_lockstep_is_encode_then_decode_under_another_model(path, eta, other_eta):
    g, other = Sampler(mixture(seed=0), 12, eta), Sampler(mixture(seed=1), 12, other_eta)
    x = randn(2, 3)
    *_, (_, step) = lockstep(g, x, other, seed=3, path=path)
    assert_close(step.x_to, other.decode(encode(g, x, seed=3, path=path)), rtol=1e-10, atol=1e-10)
    *_, (_, step) = lockstep(g, x, seed=3, path=path)
    assert_close(step.x_to, x, rtol=0, atol=1e-12)


def test_inversions_error_falls_with_the_steps():
    # Wide components: the flow is smooth, and the error is that of an Euler step.
    m = GaussianMixture(randn(3, 4), 0.5)
    x = m.sample(4, seed=0)
    errors = []
    for steps in (20, 100, 500):
        g = Sampler(m, steps, 0.0)
        z, left = invert(g, x)
        assert len(left) == steps and z.eps is None
        errors.append((g.decode(z) - x).abs().max().item())
    assert errors[1] < 0.5 * errors[0] and errors[2] < 0.5 * errors[1]


def test_refinement_inverts_where_it_converges():
    m = GaussianMixture(randn(3, 4), 0.5)
    g, x = Sampler(m, 50, 0.0), m.sample(4, seed=0)
    plain, fine = invert(g, x), invert(g, x, refine=60)
    lost, kept = ((g.decode(z) - x).abs().max().item() for z, _ in (plain, fine))
    assert lost > 1e-4 and kept < 1e-8 and max(fine[1]) < 1e-9 < max(plain[1])


@pytest.mark.parametrize("refine", [0, 1, 2])
def test_an_inverted_step_is_as_many_iterations_as_asked(refine):
    """x_t = √(ᾱ/ᾱ') (x - κ ε(x_t)), from ε(x) on; what is left is the worst number of the batch."""
    m, t, x = mixture(labels=torch.tensor([0, 1, 1, 0])), 300, randn(2, 3)
    g, cond = Sampler(m, schedule=Schedule.of(ALPHA_BAR, [t], 0.999)), torch.tensor([0, 1])
    a, a_to, x_t = ALPHA_BAR[t], 0.999, x
    for _ in range(refine + 1):
        P = (x - (1 - a_to) ** 0.5 * m(x_t, t, cond)) / a_to**0.5
        x_t = a**0.5 * P + (1 - a) ** 0.5 * m(x_t, t, cond)
    z, left = invert(g, x, cond, refine)
    assert_close(z.x_T, x_t, rtol=1e-10, atol=1e-10)
    assert left == [(g.decode(z, cond=cond) - x).abs().max().item()]


def test_what_inversion_leaves_is_the_error_of_one_step():
    g, x = Sampler(mixture(), 10, 0.0), randn(2, 3)
    z, left = invert(g, x)
    first = next(g.trajectory(z))
    assert_close(g.step(z.x_T, 0, torch.zeros_like(x)).x_to, first.x_to)
    assert left[0] > 0 and all(v >= 0 for v in left)
