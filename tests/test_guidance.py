"""Guidance: chains whose stationary distribution is known, and what every chain promises."""

import math
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from lessons_lib import Code, Sampler
from lessons_lib.checks import whole
from lessons_lib.methods import energies, guidance, memory
from lessons_lib.methods.editing import low_pass
from lessons_lib.methods.guidance import sample
from lessons_lib.methods.moves import At, descent_at_norm, langevin, mala, pcn_langevin
from lessons_lib.models.mixture import GaussianMixture
from lessons_lib.studies import exact
from small import mixture, randn, tiny_unet

CHAINS = (
    6_000  # a variance of so many independent values is known to 1.8 % (one standard deviation)
)


def quadratic(a):
    """λE = a‖z‖²/2: with the prior the target is N(0, 1/(1+a))."""
    return lambda z, seed: At(z, a / 2 * z.square().sum(1), a * z)


def walked(rule, target, step, rounds, chains=CHAINS, d=1, seed=0):
    """z after so many rounds of a rule with its accept/reject, and the share that moved."""
    z, moved = randn(chains, d, seed=seed), []
    for at in exact.walked(rule, target, z, step, rounds, seed + 1):
        moved.append((at.z != z).any(1).double().mean().item())
        z = at.z
    return z, sum(moved) / rounds


# ---------------------------------------------------------------- oracles


@pytest.mark.parametrize("rule", [pcn_langevin, mala])
@pytest.mark.parametrize("a", [0.0, 3.0])
def test_with_accept_and_reject_the_variance_is_the_posterior_s(rule, a):
    z, accepted = walked(rule, quadratic(a), 0.4, 60)
    assert z.var().item() == pytest.approx(1 / (1 + a), rel=0.073)  # four standard deviations
    assert 0.5 < accepted <= 1


def test_the_paper_s_rule_is_off_by_a_known_factor():
    """1/(Λ(1-σΛ/4)); σ = 0.05 and λ = 0 give 1.01266, here at a σ that is told from 1."""
    for a, sigma in ((0.0, 0.5), (3.0, 0.3)):
        precision = 1 + a
        z, accepted = walked(langevin, quadratic(a), sigma, 80)
        assert accepted == 1
        assert z.var().item() == pytest.approx(
            1 / (precision * (1 - sigma * precision / 4)), rel=0.073
        )
    assert pytest.approx(1.01266, abs=1e-5) == 1 / (1 - 0.05 / 4)


def test_pcn_keeps_the_prior_exactly_in_any_dimension_and_accepts_all():
    at = quadratic(0.0)(randn(8, 50_000), 0)
    _, log_accept = pcn_langevin(at, quadratic(0.0), 0.5, randn(8, 50_000, seed=1), 0)
    assert_close(log_accept, torch.zeros(8, dtype=torch.float64), rtol=0, atol=1e-12)
    _, log_mala = mala(at, quadratic(0.0), 0.5, randn(8, 50_000, seed=1), 0)
    assert log_mala.max() < -50  # which rejects nearly all


@pytest.mark.parametrize(("rule", "step"), [(pcn_langevin, 0.5), (mala, 0.4)])
def test_two_wells_are_visited_as_their_density_says(rule, step):
    def wells(z, seed):
        energy = z.square() - torch.log(2 * torch.cosh(3 * z)) + 0.3 * z
        return At(z, energy.sum(1), 2 * z - 3 * torch.tanh(3 * z) + 0.3)

    z, _ = walked(rule, wells, step, 150)
    at = torch.linspace(-5, 5, 20_001, dtype=torch.float64)[:, None]
    density = (-at.square().sum(1) / 2 - wells(at, 0).energy).exp()
    density = density / density.sum()
    for f in (lambda v: v, torch.square, lambda v: (v > 0).double()):
        exact, values = (density * f(at[:, 0])).sum(), f(z[:, 0])
        error = values.std() / CHAINS**0.5
        assert (values.mean() - exact).abs() < 4 * error


def test_descent_keeps_the_norm_and_ends_in_one_place():
    target = lambda z, seed: At(z, z[:, 0], torch.eye(5).double()[0].expand_as(z))  # noqa: E731
    z, _ = walked(descent_at_norm, target, 0.5, 200, chains=20, d=5)
    assert_close(z.square().sum(1), torch.full((20,), 5.0).double())
    assert_close(z[:, 0], torch.full((20,), -math.sqrt(5)).double(), rtol=1e-3, atol=0)


def test_chains_on_an_affine_G_have_the_closed_form_posterior():
    """G of one Gaussian is affine, x = A z + b; a quadratic energy leaves a Gaussian posterior of z."""
    g = Sampler(mixture(d=3, k=1), 3, 0.8)
    z = g.draw(2, seed=0)
    known = exact.affine(g)
    wanted, weight = torch.tensor([1.0, -0.5, 0.2]).double(), 4.0
    energy = exact.far_from(wanted)
    mean, _ = known.posterior(wanted, weight)
    assert_close(g.decode(z), guidance.flat(z) @ known.A.T + known.b)
    assert_close(known.posterior(wanted, 1e9)[0] @ known.A.T + known.b, wanted, rtol=0, atol=1e-4)
    found = sample(g, energy, weight, chains=400, rounds=50, step=0.4, burn_in=30, seed=3)
    draws = torch.stack(found.kept).mean(0)  # of each chain; chains are independent
    error = draws.std(0) / 400**0.5
    assert ((draws.mean(0) - mean).abs() < 4.5 * error).all()
    assert found.of("norm").shape == (50, 400) and len(found.kept) == 20


def test_a_mixture_under_a_quadratic_energy_is_a_mixture_again():
    model, wanted, known = mixture(d=2, k=3), randn(2), torch.tensor([1.0, 0.0])
    found = exact.conditioned(model, wanted, known, 5.0)
    x = randn(50, 2, seed=4)
    ratio = found.log_density(x, -1) - model.log_density(x, -1)
    ratio = ratio + 5.0 * exact.far_from(wanted)(torch.where(known > 0, x, wanted))
    assert_close(ratio, ratio[:1].expand(50), rtol=0, atol=1e-9)


def test_draws_weighed_by_the_energy_are_the_posterior_s():
    x = randn(100_000)
    picked = exact.weighed(x, 1.5 * x.square(), 20_000, seed=0)  # prior 1, energy 3: variance 1/4
    assert picked.var().item() == pytest.approx(0.25, rel=0.05)


# ---------------------------------------------------------------- promises


BLUE = energies.of(lambda x: (x[:, 2] - 0.5).square().flatten(1).mean(1))


def test_what_is_free_of_a_code_is_all_but_its_residuals():
    g = Sampler(tiny_unet(), 4, 1.0)
    z = g.encode(randn(2, 3, 8, 8).clamp(-1, 1))
    values = guidance.flat(z)
    assert values.shape == (2, 4 * 192)  # x_T and three noises; the last step's is a residual
    again = guidance.like(z, values)
    assert torch.equal(again.eps, z.eps) and torch.equal(again.x_T, z.x_T)
    ode = Sampler(tiny_unet(), 4).draw(2, 0)
    assert guidance.flat(ode).shape == (2, 192)
    bare = Code(z.x_T, z.eps)  # of which nothing is marked as a residual
    assert guidance.flat(bare).shape == (2, 5 * 192)
    assert torch.equal(guidance.like(bare, 2 * guidance.flat(bare)).eps, 2 * z.eps)
    again = guidance.like(ode, guidance.flat(ode))
    assert torch.equal(again.x_T, ode.x_T) and again.eps is None


def test_the_slope_is_that_of_finite_differences_and_of_less_memory():
    g = Sampler(tiny_unet(), 4, 0.5)
    z, h = g.draw(2, seed=0), 1e-5
    whole_one, spared = (
        guidance.energy_of_codes(g, BLUE, 50.0, z, plain_steps=k) for k in (None, 1)
    )
    at, v = guidance.flat(z), randn(2, guidance.flat(z).shape[1], seed=5)
    here = whole_one(at, 0)
    ends = [whole_one(at + s * h * v, 0).energy for s in (1, -1)]
    assert_close((here.slope * v).sum(1), (ends[0] - ends[1]) / (2 * h), rtol=1e-5, atol=1e-7)
    assert_close(spared(at, 0).slope, here.slope, rtol=1e-10, atol=1e-12)


def test_stopped_and_resumed_is_the_same_to_the_bit():
    g = Sampler(tiny_unet(), 3, 1.0)
    told = {"step": 0.4, "burn_in": 2, "seed": 7}
    once = sample(g, BLUE, 30.0, 2, 5, **told)
    half = sample(g, BLUE, 30.0, 2, 2, **told)
    again = sample(g, BLUE, 30.0, half, 5, **told)
    assert torch.equal(guidance.flat(once.z), guidance.flat(again.z))
    assert torch.equal(torch.stack(once.kept), torch.stack(again.kept)) and len(again.kept) == 3
    assert torch.equal(once.of("energy"), again.of("energy"))


WIDE = Sampler(
    GaussianMixture(torch.zeros(1, 3), 1.0), 4, 1.0
)  # G spreads, so that moves are refused
TO_ONES = exact.far_from(torch.ones(3).double())


def round_by_round(forget=False, rounds=10, weight=20.0, **told):
    """Chains after each of their rounds; `forget`: with all that is known of z asked for anew."""
    now = 3
    told = {"burn_in": 4, "refresh": 3, "seed": 2, "step": 0.8} | told
    for n in range(rounds):
        now = sample(WIDE, TO_ONES, weight, now, n + 1, **told)
        yield now
        now = replace(now, here=None) if forget else now


def test_what_a_chain_remembers_is_what_it_would_be_told():
    for kept, anew in zip(round_by_round(), round_by_round(forget=True), strict=True):
        assert_close(guidance.flat(kept.z), guidance.flat(anew.z))
        assert_close(kept.of("energy"), anew.of("energy"))
        assert_close(kept.of("norm")[-1], guidance.flat(kept.z).square().mean(1))
        picture = WIDE.decode(kept.z)
        assert_close(kept.of("energy")[-1], TO_ONES(picture))
        assert_close(kept.pictures[-1], picture.half())


def test_the_burn_in_grows_the_weight_then_finds_the_steps_then_keeps_draws():
    rounds = list(round_by_round(thin=2))
    weights = [now.here[1] for now in rounds]
    assert weights == pytest.approx([2.0, 11.0, *[20.0] * 8])
    assert [now.here[1] for now in round_by_round(rounds=2, burn_in=0)] == [20.0] * 2
    steps = torch.stack([now.step for now in rounds])
    assert_close(steps[:2], torch.full((2, 3), 0.8).double())
    assert (steps[1:4].diff(dim=0) != 0).all() and (steps[4:] == steps[3]).all()
    assert [len(now.kept) for now in rounds] == [0, 0, 0, 0, 1, 1, 2, 2, 3, 3]
    assert torch.equal(rounds[6].kept[-1], guidance.flat(rounds[6].z).float())
    took = rounds[-1].of("accepted")
    assert took[:2].all() and not took[2:].all()  # all moves are taken while the weight grows


def test_a_chain_is_the_same_in_company():
    g = Sampler(tiny_unet(), 3, 1.0)
    z = g.draw(3, seed=0)
    three = sample(g, BLUE, 30.0, z, 4, burn_in=2)
    alone = sample(g, BLUE, 30.0, z[0], 4, burn_in=2)
    assert_close(guidance.flat(three.z[0]), guidance.flat(alone.z), rtol=0, atol=1e-9)


def test_a_hand_that_stops_it_loses_nothing(capsys):
    g, rounds = Sampler(mixture(d=3), 3, 1.0), []

    def stops(images, seed):
        rounds.append(seed)
        if len(rounds) == 6:
            raise KeyboardInterrupt
        return images.square().sum(1)

    found = sample(g, stops, 1.0, 2, 10, burn_in=0, refresh=1)
    assert found.round == 2 == len(found.kept) and "after 2 of 10 rounds" in capsys.readouterr().out


def test_guidance_lowers_the_energy_and_none_leaves_the_prior():
    g = Sampler(tiny_unet(), 3, 1.0)
    guided = sample(g, BLUE, 400.0, 4, 25, step=0.3, burn_in=10)
    energy = guided.of("energy")
    assert energy[-5:].mean() < 0.7 * energy[0].mean()
    free = sample(g, BLUE, 0.0, 4, 5)
    assert (free.of("energy") == 0).all()
    assert free.of("accepted").all() and abs(free.of("norm").mean().item() - 1) < 0.1


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"weight": -1.0}, "weight is -1"), ({"weight": math.nan}, "weight is nan"),
        ({"step": 4.0}, "step is 4"), ({"rounds": 0}, "rounds is 0"), ({"chains": 0}, "chains is 0"),
        ({"weight": math.inf}, "weight is inf"), ({"step": 0}, "step is 0"), ({"chains": "2"}, "chains is"),
        ({"burn_in": -1}, "burn_in is -1"), ({"refresh": 0}, "refresh is 0"), ({"thin": 0}, "thin is 0"),
        ({"thin": 1.5}, "thin is 1.5"), ({"seed": -3}, "seed is -3"),
    ],
)  # fmt: skip
def test_what_no_chain_can_have_is_refused(told, said):
    asked = {"weight": 1.0, "chains": 2, "rounds": 2} | told
    with pytest.raises(ValueError, match=said):
        sample(Sampler(mixture(d=3), 3, 1.0), energies.of(lambda x: x.sum(1)), **asked)


def test_mixing_tells_chains_that_agree_from_those_that_do_not():
    values = randn(200, 4)
    well = guidance.mixing(values)
    assert well["R̂"] < 1.02 and 500 < well["ESS"] < 1300
    assert guidance.mixing(values + 3 * torch.arange(4))["R̂"] > 1.5
    assert guidance.mixing(values[:4, :2])["ESS"] > 0
    for few in (values[:, :1], values[:3], values[:, 0]):
        with pytest.raises(ValueError, match="at least 4 draws of 2 chains"):
            guidance.mixing(few)


# ---------------------------------------------------------------- energies


class Reader:
    """A critic and an encoder in one, small and smooth."""

    def __init__(self, side=8):
        self.weights = randn(5, 3 * side**2, seed=9) / side

    def image(self, x):
        return torch.nn.functional.normalize(
            torch.tanh(x.flatten(1).double() @ self.weights.T), dim=1
        )

    identity = image

    def text(self, texts):
        return torch.nn.functional.normalize(randn(len(texts), 5, seed=len(texts[0])), dim=1)


X = randn(2, 3, 8, 8)
KNOWN = torch.ones(8, 8)
KNOWN[2:5, 3:6] = 0
ALL = {
    "text": energies.by_text(Reader(), "a cat", copies=3),
    "plain text": energies.by_text(Reader(), "a cat", copies=0),
    "class": energies.of_class(Reader().image, 2),
    "person": energies.same_person(Reader(), X[:1] + 0.3),
    "inpainting": energies.inpainting(X[:1] + 0.1, KNOWN),
    "low resolution": energies.low_resolution(X[:1] - 0.2, low_pass(2)),
    "sum": 2 * energies.of_class(Reader().image, 1) + energies.inpainting(X[:1], KNOWN) * 0.5,
}


@pytest.mark.parametrize("name", ALL)
def test_an_energy_s_slope_is_that_of_finite_differences(name):
    energy, x, v = ALL[name], X.clone().requires_grad_(), randn(2, 3, 8, 8, seed=4)
    (slope,) = torch.autograd.grad(energy(x, 3).sum(), x)
    h = 1e-3 if "text" in name or name in ("class", "person", "sum") else 1e-5
    with torch.no_grad():
        ends = [energy(X + s * h * v, 3).sum() for s in (1, -1)]
    assert_close((slope * v).sum(), (ends[0] - ends[1]) / (2 * h), rtol=2e-2, atol=1e-4)


def test_energies_add_and_scale():
    one, other = energies.of_class(Reader().image, 1), energies.inpainting(X[:1], KNOWN)
    assert_close(ALL["sum"](X), 2 * one(X) + 0.5 * other(X))
    with pytest.raises(ValueError, match="scaled by nan"):
        one * math.nan


def test_what_is_unknown_of_a_picture_costs_nothing():
    hole = (1 - KNOWN).expand(2, 3, 8, 8).double()
    energy = energies.inpainting(X, KNOWN)
    assert_close(energy(X + 5 * hole), torch.zeros(2).double())
    assert_close(energy(X + (1 - hole)), torch.full((2,), 0.5 * 3 * KNOWN.sum().item()).double())


def test_augmentations_are_frozen_by_the_seed_and_the_same_in_company():
    seen = energies.diff_augment(X, 4, seed=1)
    assert seen.shape == (4, 2, 3, 8, 8)
    assert torch.equal(seen, energies.diff_augment(X, 4, seed=1))
    assert not torch.equal(seen, energies.diff_augment(X, 4, seed=2))
    assert_close(seen[:, :1], energies.diff_augment(X[:1], 4, seed=1), rtol=0, atol=1e-12)
    assert len({round(one.sum().item(), 3) for one in seen}) == 4
    assert whole(int((seen == 0).sum()), 1)  # each copy has a square cut out


def test_an_energy_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="energy of image 1 is nan"):
        energies.of(lambda x: torch.tensor([0.0, math.nan]))(X)
    with pytest.raises(ValueError, match="one number for each image"):
        energies.of(lambda x: x.sum())(X)
    with pytest.raises(ValueError, match="copies is -1"):
        energies.by_text(Reader(), "a cat", copies=-1)


# ---------------------------------------------------------------- steps, parts, memory


def test_each_chain_finds_a_step_at_which_it_accepts_as_it_should():
    g = Sampler(mixture(d=3, k=1), 3, 1.0)
    far = energies.of(lambda x: (x - 2).square().sum(1))
    found = sample(g, far, 3000.0, 40, 260, step=1.0, burn_in=200, seed=2, thin=100)
    assert found.step.std() > 0
    assert 0.4 < found.of("accepted")[200:].mean() < 0.75
    assert found.of("accepted")[:100].all()  # in the first half of the burn-in all is taken
    assert len(found.kept) == 1 and len(found.pictures) == 260


def test_what_is_outside_of_the_part_stays():
    g = Sampler(tiny_unet(), 3, 1.0)
    z = g.draw(2, seed=0)
    for part in (exact.only(z, slice(0, 1)), exact.low_frequencies(z)):
        values = randn(2, guidance.flat(z).shape[1], seed=8)
        assert_close(part(part(values)), part(values))  # a projection
        other = randn(2, values.shape[1], seed=9)
        assert_close((part(values) * other).sum(), (values * part(other)).sum())  # and orthogonal
        found = guidance.flat(sample(g, BLUE, 50.0, z, 4, burn_in=2, part=part).z)
        before = guidance.flat(z)
        assert_close(found - part(found), before - part(before), rtol=0, atol=1e-12)
        assert (part(found) - part(before)).abs().max() > 0.01


def test_frozen_convolutions_have_the_same_slopes_and_keep_no_input():
    conv = torch.nn.Conv2d(3, 5, 3, 2, 1, groups=1).double().requires_grad_(False)
    x = randn(2, 3, 9, 8).requires_grad_()
    plain_one = torch.autograd.grad(conv(x).square().sum(), x)[0]
    held = []
    pack = lambda tensor: held.append(tensor.shape) or tensor  # noqa: E731
    with memory.FrozenConvolutions():
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            out = conv(x)
        assert_close(torch.autograd.grad(out.square().sum(), x)[0], plain_one)
    assert held == [conv.weight.shape]
    learns = torch.nn.Conv2d(3, 5, 3).double()
    with memory.FrozenConvolutions():
        learns(x).sum().backward()
    assert learns.weight.grad is not None


def test_augmentations_stay_for_as_many_rounds_as_asked():
    seen = []

    def energy(images, seed):
        seen.append(seed)
        return images.square().flatten(1).sum(1)

    sample(Sampler(mixture(d=3), 2, 1.0), energy, 1.0, 2, 6, burn_in=2, refresh=3)
    assert len(set(seen)) == 2 and len(seen) == 6 + 2  # one look a round, and one for each seed
