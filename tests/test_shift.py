"""Shifts of ε that differ between the images of a batch, or between steps."""

import torch

from lessons_lib import Code, Sampler
from lessons_lib.code import plain, shift
from small import mixture, randn


def test_a_batch_of_places_is_each_place_by_itself():
    g, delta = Sampler(mixture(), steps=6, eta=0.5), randn(2, 3, seed=1)
    z, places = g.draw(2, seed=0), [(0, 0), (1, 1), (1, 0), (0, 1)]
    in_P, in_D = torch.tensor(places).repeat_interleave(2, 0).T
    batch = g.decode(z.repeat(4), shift(delta.repeat(4, 1), in_P, in_D)).split(2)
    alone = [g.decode(z, shift(delta, bool(p), bool(d))) for p, d in places]
    for x, y in zip(batch, alone, strict=True):
        torch.testing.assert_close(x, y, rtol=0, atol=1e-12)
    assert torch.equal(alone[0], g.decode(z, plain))


def test_a_shift_may_depend_on_t():
    g = Sampler(mixture(), steps=6)
    z, asked = g.draw(2, seed=0), []
    g.decode(z, shift(lambda t: asked.append(t) or torch.zeros(3)))
    assert asked == g.schedule.t.tolist()


def test_a_repeated_code_keeps_x_T_and_the_noise_together():
    z = Code(randn(2, 3), randn(4, 2, 3, seed=1)).repeat(3)
    assert z.x_T.shape == (6, 3) and z.eps.shape == (4, 6, 3)
    assert torch.equal(z[2:4].x_T, z[:2].x_T) and torch.equal(z[4:].eps, z[:2].eps)
