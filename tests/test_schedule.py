from itertools import pairwise

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from lessons_lib import schedule as sch
from small import ALPHA_BAR, etas, schedules


def test_tables_are_those_of_diffusers():
    for table, kind, ends in (
        (sch.linear_alpha_bar(), "linear", (1e-4, 0.02)),
        (sch.scaled_linear_alpha_bar(), "scaled_linear", (0.00085, 0.012)),
    ):
        theirs = DDIMScheduler(beta_schedule=kind, beta_start=ends[0], beta_end=ends[1])
        assert_close(table, theirs.alphas_cumprod.double(), rtol=2e-5, atol=0)


@given(st.integers(1, 1000), etas)
def test_sigma_is_diffusers_standard_deviation(steps, eta):
    theirs = DDIMScheduler(clip_sample=False)
    theirs.alphas_cumprod = ALPHA_BAR
    theirs.final_alpha_cumprod = torch.tensor(1.0, dtype=torch.float64)
    s = sch.Schedule.of(ALPHA_BAR, sch.trailing(1000, steps))
    pairs = zip(s.t.tolist(), s.t_to.tolist(), strict=True)
    variance = torch.stack([theirs._get_variance(t, t_to) for t, t_to in pairs])
    assert_close(s.sigma(eta), eta * variance.sqrt(), rtol=1e-10, atol=1e-14)


@given(schedules(), etas)
def test_sigma_at_eta_1_is_the_posterior_of_the_chain(s, eta):
    # q(x_t'|x_t, x_0) by Bayes' rule: precisions of x_t' given x_0 and of x_t given x_t' add.
    step = s.a / s.a_to
    keep = step < 1
    precision = 1 / (1 - s.a_to[keep]) + step[keep] / (1 - step[keep])
    assert_close(s.sigma(1.0)[keep] ** 2, 1 / precision, rtol=1e-9, atol=1e-15)
    assert_close(s.sigma(eta), eta * s.sigma(1.0))


@given(schedules(), etas)
def test_kappa_and_p_only_are_finite_differences(s, eta):
    sigma, x, eps, delta = s.sigma(eta), 0.7, -0.4, 0.25

    def to(eps_P, eps_D):
        P = (x - (1 - s.a).sqrt() * eps_P) / s.a.sqrt()
        return s.a_to.sqrt() * P + (1 - s.a_to - sigma**2).clamp_min(0).sqrt() * eps_D

    both, one = to(eps + delta, eps + delta) - to(eps, eps), to(eps + delta, eps) - to(eps, eps)
    assert_close(both / delta, sch.kappa(s.a, s.a_to, eta), rtol=1e-8, atol=1e-10)
    assert_close(one / delta, sch.p_only(s.a, s.a_to), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    "eta, at_100, at_999, ratio", [(0.0, -0.0032, -0.0102, 0.007), (1.0, -0.0065, -0.0202, 0.014)]
)
def test_kappa_of_the_linear_schedule_at_1000_steps(eta, at_100, at_999, ratio):
    s = sch.Schedule.of(ALPHA_BAR, sch.even(1000, 1000))
    kappa = sch.kappa(s.a, s.a_to, eta).flip(0)  # index is t
    assert round(kappa[100].item(), 4) == at_100
    assert round(kappa[999].item(), 4) == at_999
    share = (kappa / sch.p_only(s.a, s.a_to).flip(0)).abs().median().item()
    assert abs(share - ratio) < 0.001


@pytest.mark.parametrize("steps, ddim, ddpm", [(50, 0.12, 0.23), (40, 0.16, 0.29)])
def test_cancellation_weakens_with_few_steps(steps, ddim, ddpm):
    s = sch.Schedule.of(ALPHA_BAR, sch.trailing(1000, steps))
    for eta, share in ((0.0, ddim), (1.0, ddpm)):
        ratio = sch.kappa(s.a, s.a_to, eta).abs() / sch.p_only(s.a, s.a_to).abs()
        assert abs(ratio.median().item() - share) < 0.02


@given(schedules(), etas)
def test_mean_coefficients_are_the_step(s, eta):
    sigma, x, P = s.sigma(eta), 0.3, 0.9
    eps = (x - s.a.sqrt() * P) / (1 - s.a).sqrt()
    c_x, c_P = sch.mean_coefficients(s.a, s.a_to, sigma)
    assert_close(c_x * x + c_P * P, s.a_to.sqrt() * P + sch.factor_in_D(s.a_to, sigma) * eps)
    assert (c_x >= 0).all() and (c_P >= -1e-12).all()


@given(schedules(), etas)
def test_the_step_keeps_the_marginal(s, eta):
    # If x_t ~ N(√ᾱ x_0, 1-ᾱ), then x_t' ~ N(√ᾱ' x_0, 1-ᾱ'), for every η.
    c_x, c_P = sch.mean_coefficients(s.a, s.a_to, s.sigma(eta))
    assert_close(c_x * s.a.sqrt() + c_P, s.a_to.sqrt())
    assert_close(c_x**2 * (1 - s.a) + s.sigma(eta) ** 2, 1 - s.a_to, rtol=1e-9, atol=1e-14)


def test_trailing_is_diffusers_trailing():
    theirs = DDIMScheduler(timestep_spacing="trailing")
    for steps in range(1, 1001):
        theirs.set_timesteps(steps)
        # of 61 steps and some others theirs has one too many, t = -1
        assert sch.trailing(1000, steps) == theirs.timesteps[:steps].tolist()


@given(st.integers(1, 1200), st.data())
def test_even_and_trailing_fall_strictly(train_steps, data):
    steps = data.draw(st.integers(1, train_steps))
    for times in (sch.even(train_steps, steps), sch.trailing(train_steps, steps)):
        assert len(times) == steps and times[0] == train_steps - 1 and times[-1] >= 0
        assert all(b < a for a, b in pairwise(times))
    if steps > 1:
        assert sch.even(train_steps, steps)[-1] == 0


def test_even_from_a_first_time():
    assert sch.even(1000, 5, first=400) == [400, 300, 200, 100, 0]
    assert sch.even(1000, 1, first=400) == [400] and sch.even(1000, 1, first=0) == [0]
    assert sch.even(1000, 1000, first=999) == sch.trailing(1000, 1000) == [*range(999, -1, -1)]


def test_of_one_beta_the_table_is_a_geometric_series():
    for table in (sch.linear_alpha_bar, sch.scaled_linear_alpha_bar):
        assert_close(table(3, 0.2, 0.2), torch.tensor([0.8, 0.64, 0.512]).double())
        for ends in ((0.0, 0.2), (-0.1, 0.2), (0.2, 1.0), (0.3, 0.2)):
            with pytest.raises(ValueError, match="0 < beta_start <= beta_end < 1"):
                table(3, *ends)


@given(schedules())
def test_a_schedule_is_its_pairs(s):
    assert s.t_to.tolist() == [*s.t.tolist()[1:], -1]
    assert_close(s.a_to[:-1], s.a[1:], rtol=0, atol=0)
    assert (s.a <= s.a_to).all() and len(s) == len(s.t)


@given(schedules(), st.integers(-1, 1000), st.integers(-1, 1000), st.data())
def test_an_interval_has_the_times_between_its_ends_and_both_ends(s, first, last, data):
    times = s.t.tolist()
    first, last = (data.draw(st.sampled_from([end, *times])) for end in (first, last))
    wanted = [t for t in times if t in range(last, first + 1)]
    if wanted:
        assert [times[i] for i in s.within(first, last)] == wanted
    else:
        with pytest.raises(ValueError, match="No step of this schedule"):
            s.within(first, last)


@pytest.mark.parametrize(
    "table", [[0.9, 0.9], [0.5, 0.6], [1.0, 0.5], [0.9, 0.0], [0.5, -0.1], [], [[0.9, 0.5]], 0.5]
)
def test_a_table_falls_strictly_and_leaves_out_both_its_ends(table):
    assert sch.checked_alpha_bar([0.999, 0.001]).dtype == torch.float64
    with pytest.raises(ValueError, match=r"falls strictly within \(0, 1\)"):
        sch.checked_alpha_bar(torch.tensor(table))


def test_whole_numbers_of_numpy_count():
    import numpy as np

    assert sch.even(1000, np.int64(3)) == sch.even(1000, 3)
