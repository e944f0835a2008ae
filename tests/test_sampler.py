import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from hypothesis import given
from torch.testing import assert_close

from lessons_lib import Code, Sampler
from lessons_lib.code import shift
from lessons_lib.schedule import Schedule, kappa, p_only, trailing
from small import ALPHA_BAR, etas, mixture, randn, schedules, tiny_unet


class Dummy:
    """Any function of x and t, times some weights: enough to tell two samplers apart."""

    shape, alpha_bar, device = torch.Size((2, 3)), ALPHA_BAR, torch.device("cpu")

    def __call__(self, x, t, cond=None):
        times = torch.as_tensor(t).view(-1, *[1] * (x.ndim - 1)) / 1000
        return torch.sin(3 * x) * (0.2 + times) + 0.3 * x.flip(-1)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("steps", [1, 10, 50, 1000])
@pytest.mark.parametrize("to_one", [True, False])
def test_every_step_is_diffusers_ddim_step(eta, steps, to_one):
    theirs = DDIMScheduler(clip_sample=False, timestep_spacing="trailing", set_alpha_to_one=to_one)
    theirs.alphas_cumprod = ALPHA_BAR
    theirs.final_alpha_cumprod = torch.ones((), dtype=torch.float64) if to_one else ALPHA_BAR[0]
    theirs.set_timesteps(steps)
    last = 1.0 if to_one else ALPHA_BAR[0].item()
    g = Sampler(Dummy(), eta=eta, schedule=Schedule.of(ALPHA_BAR, trailing(1000, steps), last))
    z = g.draw(2, seed=0)
    x = z.x_T
    for step, t in zip(g.trajectory(z), theirs.timesteps, strict=True):
        noise = torch.zeros_like(x) if z.eps is None else z.eps[step.i]
        assert step.t == t
        x = theirs.step(Dummy()(x, t), t, x, eta=eta, variance_noise=noise).prev_sample
        assert_close(step.x_to, x, rtol=1e-9, atol=1e-9)
    assert torch.equal(g.decode(z), step.x_to)


@given(schedules(), etas)
def test_it_is_euler_ancestral_in_sigma_space(s, eta):
    """SCIENCE §1: with y = x/√ᾱ and s = √(1/ᾱ - 1), one Euler step to s_down, then noise s_up."""
    g = Sampler(Dummy(), eta=eta, schedule=s)
    z = g.draw(2, seed=1)
    y = z.x_T / s.a[0].sqrt()
    for i in range(len(s)):
        at, to = (1 / s.a[i] - 1).sqrt(), (1 / s.a_to[i] - 1).clamp_min(0).sqrt()
        up = eta * (to**2 * (at**2 - to**2).clamp_min(0) / at**2).sqrt()
        down = (to**2 - up**2).clamp_min(0).sqrt()
        noise = torch.zeros_like(y) if z.eps is None else z.eps[i]
        x = y * s.a[i].sqrt()
        y = y + Dummy()(x, s.t[i]) * (down - at) + noise * up
    expected = y * s.a_to[-1].sqrt()
    assert_close(
        g.decode(z), expected, rtol=1e-10, atol=1e-12 * max(1, expected.abs().max().item())
    )


def test_euler_ancestral_to_the_last_digits_on_a_contracting_model():
    s = Schedule.of(ALPHA_BAR, trailing(1000, 50))
    m = mixture()
    for eta in (0.0, 0.5, 1.0):
        g = Sampler(m, eta=eta, schedule=s)
        z = g.draw(4, seed=0)
        x, y = g.decode(z), z.x_T / s.a[0].sqrt()
        for i in range(50):
            at, to = (1 / s.a[i] - 1).sqrt(), (1 / s.a_to[i] - 1).sqrt()
            up = eta * to * (1 - to**2 / at**2).sqrt()
            noise = 0 if z.eps is None else z.eps[i] * up
            y = y + m(y * s.a[i].sqrt(), s.t[i]) * ((to**2 - up**2).sqrt() - at) + noise
        assert_close(x, y, rtol=0, atol=1e-12)


@given(schedules(), etas)
def test_P_and_D_recombine_to_the_step(s, eta):
    g = Sampler(Dummy(), eta=eta, schedule=s)
    z = g.draw(2, seed=0)
    for step in g.trajectory(z):
        a, a_to = s.a[step.i], s.a_to[step.i]
        assert_close(step.P, (step.x - (1 - a).sqrt() * step.eps) / a.sqrt())
        assert_close(step.x_to, a_to.sqrt() * step.P + step.D + step.noise)
        # Without noise and at η=0, P and ε are the two ends of the same straight line.
        assert_close(a.sqrt() * step.P + (1 - a).sqrt() * step.eps, step.x, rtol=1e-9, atol=1e-9)


@given(schedules(), etas)
def test_a_shift_moves_the_step_by_kappa_or_by_p_only(s, eta):
    g = Sampler(Dummy(), eta=eta, schedule=s)
    x, delta, none = randn(2, 2, 3), randn(2, 3, seed=3), torch.zeros(2, 2, 3, dtype=torch.float64)
    both, one = kappa(s.a, s.a_to, eta), p_only(s.a, s.a_to)
    for i in range(len(s)):
        still = g.step(x, i, none).x_to
        moved = [g.step(x, i, none, shift(delta, **where)).x_to for where in
                 ({}, {"in_D": False}, {"in_P": False}, {"in_P": False, "in_D": False})]  # fmt: skip
        wanted = [both[i], one[i], both[i] - one[i], 0.0]
        for x_to, factor in zip(moved, wanted, strict=True):
            assert_close(x_to - still, (factor * delta).expand_as(x), rtol=1e-7, atol=1e-8)


@given(etas)
def test_the_same_x_T_for_every_eta(eta):
    drawn = Sampler(Dummy(), steps=7, eta=eta).draw(3, seed=5)
    assert torch.equal(drawn.x_T, Sampler(Dummy(), steps=4, eta=0.0).draw(3, seed=5).x_T)
    assert (drawn.eps is None) == (eta == 0)


def test_a_drawn_code_is_standard_normal_and_silent_where_sigma_is_0():
    g = Sampler(Dummy(), steps=500, eta=0.3)
    z = g.draw(20, seed=0)
    assert z.residual.tolist() == (g.sigma == 0).tolist() == [False] * 499 + [True]
    assert z.eps.shape == (500, 20, 2, 3) and (z.eps[-1] == 0).all()
    assert abs(z.eps[:-1].mean()) < 0.02 and abs(z.eps[:-1].std() - 1) < 0.02
    assert not torch.equal(z.x_T, Sampler(Dummy(), steps=500, eta=0.3).draw(20, seed=1).x_T)


@pytest.mark.parametrize("eta", [0.0, 0.7])
def test_slices_of_a_code_decode_to_slices_of_the_images(eta):
    g = Sampler(Dummy(), steps=6, eta=eta)
    z = g.draw(5, seed=0)
    assert len(z) == 5 and len(z[1:3]) == 2
    assert_close(g.decode(z[1:3]), g.decode(z)[1:3])


def test_a_decode_in_float32_is_that_in_float64():
    unet = tiny_unet()
    g = Sampler(unet, steps=10, eta=0.5)
    single = Sampler(unet, steps=10, eta=0.5, dtype=torch.float32)
    z = g.draw(2, seed=0)
    assert g.decode(z).dtype == torch.float64 and single.decode(z).dtype == torch.float32
    assert_close(single.decode(z).double(), g.decode(z), rtol=1e-5, atol=1e-5)
    assert_close(single.draw(2, seed=0).x_T, z.x_T.float())
    assert torch.equal(single.path(z)[0], z.x_T.float()) and single.path(z).dtype == torch.float32


def test_path_and_with_eta():
    g = Sampler(Dummy(), steps=4, eta=1.0)
    z = g.draw(2, seed=0)
    path = g.path(z)
    assert torch.equal(path[0], z.x_T) and torch.equal(path[-1], g.decode(z)) and len(path) == 5
    ddim = g.with_eta(0.0)
    assert ddim.schedule is g.schedule and torch.equal(
        ddim.decode(Code(z.x_T)), Sampler(Dummy(), 4, 0.0).decode(Code(z.x_T))
    )


def test_samples_of_an_exact_model_have_its_moments():
    m = mixture(d=2, k=3)
    g = Sampler(m, steps=200, eta=1.0)
    x, data = g.decode(g.draw(4000, seed=0)), m.sample(4000, seed=1)
    assert_close(x.mean(0), data.mean(0), rtol=0, atol=0.08)
    assert_close(torch.cov(x.T), torch.cov(data.T), rtol=0.1, atol=0.05)


def test_decode_keeps_no_graph_and_changes_no_input():
    g = Sampler(tiny_unet(), steps=3, eta=0.5)
    z = g.draw(1, seed=0)
    kept = z.x_T.clone(), z.eps.clone()
    assert not g.decode(z).requires_grad
    assert torch.equal(z.x_T, kept[0]) and torch.equal(z.eps, kept[1])


def test_a_code_keeps_its_meaning_at_another_eta():
    """What was drawn as noise is scaled by the decoder's own σ; what was kept as residual is added."""
    ddpm, ddim = Sampler(Dummy(), 5, 1.0), Sampler(Dummy(), 5, 0.0)
    z = ddpm.draw(2, seed=0)
    torch.testing.assert_close(ddim.decode(z), ddim.decode(Code(z.x_T)))
    x = ddim.decode(Code(z.x_T))
    residuals = ddim.encode(x, seed=1)
    assert residuals.residual.all()
    noise = [residuals.noise(i, s) for i, s in enumerate(ddpm.sigma)]
    torch.testing.assert_close(torch.stack(noise), residuals.eps)
