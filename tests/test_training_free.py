"""Guidance without a chain: TFG and its settings, and the best of many."""

from types import SimpleNamespace

import pytest
import torch
from torch.testing import assert_close

from lessons_lib import Sampler
from lessons_lib.chains import met_by_faces
from lessons_lib.code import predicted_image
from lessons_lib.judges.evaluators import load_critic
from lessons_lib.methods import energies
from lessons_lib.methods.guidance import flat
from lessons_lib.methods.training_free import (
    Guide,
    best_of,
    calls_of,
    dps,
    freedom,
    guided,
    mpgd,
    ugd,
)
from lessons_lib.streams import seeds
from lessons_lib.worlds import WORLDS
from small import mixture, randn, tiny_unet

WANTED = torch.tensor([0.5, -0.3, 0.2]).double()
NEAR = energies.of(lambda x: (x - WANTED).square().sum(1) / 2)
BLUE = energies.of(lambda x: (x[:, 2] - 0.5).square().flatten(1).mean(1))


def test_a_guide_that_does_nothing_is_the_plain_sampler():
    g = Sampler(tiny_unet(), 4, 1.0)
    z = g.draw(2, seed=0)
    assert_close(guided(g, BLUE, 10.0, Guide(), z), g.decode(z))
    assert_close(guided(g, BLUE, 0.0, ugd(1.0, 1.0, recur=1), z), g.decode(z))


def test_dps_and_mpgd_move_the_predicted_image_by_their_slopes():
    """Of one step: P - ρ (1-ᾱ)/√ᾱ ∂E(P)/∂x_t, and P - μ (1-ᾱ) ∂E(P)/∂P, with the ε that was there in D."""
    model = mixture(d=3)
    g = Sampler(model, 1, 0.0)
    z, a = g.draw(2, seed=0), g.schedule.a[0]
    x = z.x_T.clone().requires_grad_()
    P = predicted_image(x, model(x, 999), a.item())
    (at_x,) = torch.autograd.grad(3.0 * NEAR(P).sum(), x)
    P = P.detach()
    assert_close(guided(g, NEAR, 3.0, dps(0.1), z), P - 0.1 * (1 - a) / a.sqrt() * at_x)
    assert_close(guided(g, NEAR, 3.0, mpgd(0.2), z), P - 0.2 * (1 - a) * 3.0 * (P - WANTED))


@pytest.mark.parametrize("how", [dps(0.5), mpgd(0.5), freedom(0.5), ugd(0.3, 0.3, 2)])
def test_each_guide_lowers_the_energy(how):
    g = Sampler(mixture(d=3), 20, 1.0)
    z = g.draw(200, seed=1)
    assert NEAR(guided(g, NEAR, 2.0, how, z)).mean() < 0.9 * NEAR(g.decode(z)).mean()


def test_a_picture_is_the_same_in_company_though_steps_are_taken_again():
    g, how = Sampler(tiny_unet(), 3, 1.0), freedom(0.2, recur=3)
    z = g.draw(3, seed=0)
    three, alone = guided(g, BLUE, 5.0, how, z), guided(g, BLUE, 5.0, how, z[0])
    assert_close(three[:1], alone, rtol=0, atol=1e-9)


def test_the_best_of_many_is_the_least_of_what_was_drawn():
    g = Sampler(mixture(d=3), 5, 1.0)
    found, least = best_of(g, NEAR, 6, 4, seed=10)
    turns = [g.draw(4, seeds(10, 4, of=f"turn {turn}")) for turn in range(6)]
    each = torch.stack([NEAR(g.decode(z)) for z in turns])
    assert_close(least, each.min(0).values)
    assert_close(NEAR(g.decode(found)), least)
    assert torch.equal(flat(best_of(g, NEAR, 1, 4, seed=10)[0]), flat(turns[0]))


def test_calls_are_counted():
    assert calls_of(dps(1.0), 50) == 100 and calls_of(mpgd(1.0), 50) == 50
    assert calls_of(freedom(1.0, 3), 50) == 300 and calls_of(Guide(), 50) == 50


def test_what_no_guide_can_have_is_refused():
    with pytest.raises(ValueError, match="recur is 0"):
        Guide(recur=0)
    with pytest.raises(ValueError, match=r"iterations is 1\.5"):
        Guide(iterations=1.5)
    with pytest.raises(ValueError, match="count is 0"):
        best_of(Sampler(mixture(d=3), 2), NEAR, 0, 2)


def test_a_strength_is_chosen_by_pictures_that_meet_the_wish_and_are_faces():
    faces = WORLDS["faces"]
    people = faces.sample_factors(8, 3)
    drawn = {k: faces.render(people | {"glasses": torch.full((8,), k)}, 64) for k in (0.0, 1.0)}
    by = SimpleNamespace(critic=load_critic())
    broken = drawn[1.0] + randn(8, 3, 64, 64, seed=1) / 2
    found = [met_by_faces(x, "glasses", drawn[0.0], by) for x in (*drawn.values(), broken)]
    assert found[0] == found[2] == 0 and found[1] > 0.8
