"""Editing intervals on models whose distances are known, and the three-phase sampler."""

import pytest
import torch
from torch.testing import assert_close

from lessons_lib import Sampler
from lessons_lib.code import plain
from lessons_lib.judges.metrics import rms
from lessons_lib.methods.hspace import constant
from lessons_lib.methods.intervals import (
    Boosted,
    Curves,
    at_each_end,
    curves,
    curves_of,
    t_boost,
    t_edit,
    texts_apart,
    threshold,
)
from small import mixture, randn, tiny_unet

C = Curves(
    torch.tensor([900, 600, 300, 0]),
    torch.tensor([0.5, 0.4, 0.2, 0.0]),
    torch.tensor([1.5, 1.3, 0.9, 0.1]),
)


def test_curves_are_distances_to_the_image_that_the_path_ends_at():
    g = Sampler(mixture(d=6), steps=8)
    z = g.draw(5, seed=0)
    c, image = curves(g, z, rms), g.decode(z)
    for k, s in enumerate(g.trajectory(z)):
        assert_close(c.P[k], rms(s.P.float(), image.float()).mean())
        assert_close(c.x[k], rms(s.x.float(), image.float()).mean())
    assert c.P[-1] == 0 and (c.strength.diff() > -0.02).all()
    assert c.strength[0] == 0 and c.strength[-1] == c.P[0]


def test_the_papers_rules_take_the_smallest_time_above_the_threshold():
    assert t_edit(C) == 600 and t_edit(C, 0.33 - 0.13) == 300 and t_edit(C, 0.5) == 900
    assert t_boost(C) == 600
    with pytest.raises(ValueError, match=r"0\.500 at most"):
        t_edit(C, 0.6)


def test_a_threshold_is_where_the_shortest_sufficient_interval_ends():
    ends, success = [800, 600, 500, 250], [0.1, 0.85, 0.91, 0.9]
    assert threshold(C.t, C.P, ends, success) == pytest.approx(0.4)
    assert threshold(C.t, C.P, ends, success, share=0.95) == pytest.approx(0.4)
    assert threshold(C.t, C.P, ends, [0.0, 0.1, 0.2, 1.0]) == pytest.approx(0.2)
    assert t_edit(C, threshold(C.t, C.P, ends, success)) == 600
    with pytest.raises(ValueError, match="4 ends and 1 successes"):
        threshold(C.t, C.P, ends, [1.0])
    with pytest.raises(ValueError, match="No end had any success"):
        threshold(C.t, C.P, ends, [0.0] * 4)


def test_words_further_apart_ask_for_a_longer_interval():
    class Clip:
        def text(self, texts):
            where = {"a": (1.0, 0.0), "b": (0.6, 0.8), "c": (0.0, 1.0)}
            return torch.tensor([where[t] for t in texts])

    assert texts_apart(Clip(), "a", "a") == pytest.approx(0, abs=1e-6)
    assert texts_apart(Clip(), "a", "b") == pytest.approx(0.33 * 0.4)
    assert texts_apart(Clip(), "a", "c") == pytest.approx(0.33)


def test_boosting_adds_noise_below_t_boost_only():
    model = tiny_unet()
    g = Sampler(model, steps=10)
    g3, stochastic = Boosted(g, 333), g.with_eta(1.0)  # a time of this schedule: it is boosted too
    z = g.draw(2, seed=0)
    z3 = g3.with_noise(z, seed=3)
    steps = list(g3.trajectory(z3, plain))
    for calm, s in zip(g.trajectory(z), steps, strict=True):
        if s.t > 333:
            assert_close(s.x_to, calm.x_to, rtol=0, atol=1e-12)
            assert not s.noise.any()
        else:
            alone = stochastic.step(s.x, s.i, s.noise)
            assert_close(s.x_to, alone.x_to, rtol=0, atol=1e-12)
            assert s.noise.any() == (s.t_to >= 0)
    assert sum(s.t <= 333 for s in steps) == 4
    assert not torch.equal(g3.decode(z3), g3.decode(g3.with_noise(z, seed=4)))
    assert_close(
        Boosted(g, -1).decode(Boosted(g, -1).with_noise(z, 0)), g.decode(z), rtol=0, atol=0
    )


def test_a_boosted_sampler_still_reconstructs():
    g3 = Boosted(Sampler(mixture(d=4), steps=12), 500)
    x = g3.denoiser.sample(3, seed=1)
    assert_close(g3.decode(g3.encode(x, seed=0)), x, rtol=0, atol=1e-12)


def test_several_distances_share_one_path():
    g = Sampler(mixture(d=6), steps=8)
    z = g.draw(5, seed=0)
    path = list(g.trajectory(z))
    for a, b in zip(curves_of(path, rms), curves(g, z, rms), strict=True):
        assert_close(a, b)
    assert_close(curves_of(path, rms, look=lambda x: 2 * x).P, 2 * curves(g, z, rms).P)


@pytest.mark.parametrize("boosted", [False, True])
def test_an_edit_dropped_at_each_end_is_the_edit_of_each_interval(boosted):
    g = Sampler(tiny_unet(), steps=10)
    edit, z = constant(randn(16, 4, 4), 900, 0), g.draw(2, seed=0)
    if boosted:
        g = Boosted(g, 300)
        z = g.with_noise(z, seed=1)
    ends = [999, 500, 450, 112, 0]
    images = at_each_end(g, z, edit, ends)
    for end, image in zip(ends, images, strict=True):
        alone = edit.within(900, min(end, 900))
        want = g.decode(z, alone) if end <= 900 else g.decode(z)
        assert_close(image, want, rtol=0, atol=1e-10)
    assert not torch.equal(images[1], images[0]) and not torch.equal(images[3], images[4])


@pytest.mark.parametrize("t", [-1, 333, 700])
def test_a_path_at_hand_is_boosted_as_a_whole_decode_is(t):
    g = Sampler(tiny_unet(), steps=10)
    edit, z = constant(randn(16, 4, 4), 900, 200), g.draw(2, seed=0)
    g3 = Boosted(g, t)
    z3 = g3.with_noise(z, seed=1)
    found = g3.from_path(list(g.trajectory(z, edit)), z3, edit)
    assert_close(found, g3.decode(z3, edit), rtol=0, atol=1e-10)
