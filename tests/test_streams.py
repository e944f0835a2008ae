"""Each image draws from a stream of its own: what it becomes does not depend on its company."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from lessons_lib import Sampler, load
from lessons_lib.code import Code
from lessons_lib.encoder import independent, lockstep
from lessons_lib.methods.bounds import estimated_K, estimated_on_segments
from lessons_lib.methods.editing import cycle_diffusion, ilvr, sdedit, start_at
from lessons_lib.methods.energies import diff_augment, of
from lessons_lib.methods.guidance import sample
from lessons_lib.methods.intervals import Boosted
from lessons_lib.methods.training_free import best_of, freedom, guided
from lessons_lib.models.families import DenoisingGan
from lessons_lib.streams import Streams, seeds
from small import etas, mixture

SEED = 3
alike = partial(assert_close, rtol=0, atol=1e-9)
MODEL = mixture(d=4, k=3)
G = Sampler(MODEL, 6, 0.7)
X = MODEL.sample(8, 0)
BRIGHT = of(lambda x: x.flatten(1).square().sum(1))


def whole_code(z: Code):
    """Everything of a code that a stream decided, (B, D)."""
    parts = [z.x_T.flatten(1)]
    if z.eps is not None:
        parts.append(z.eps.transpose(0, 1).flatten(1))
    return torch.cat(parts, 1)


# Of images (B, 4) and seeds: what each image becomes, (B, …).
WAYS = {
    "draw": lambda x, seed: whole_code(G.draw(len(x), seed)),
    "draw and decode": lambda x, seed: G.decode(G.draw(len(x), seed)),
    "boosting": lambda x, seed: Boosted(G, 400).decode(Boosted(G, 400).draw(len(x), seed)),
    "encode": lambda x, seed: whole_code(G.encode(x, seed)),
    "encode, independent": lambda x, seed: whole_code(G.encode(x, seed, path=independent)),
    "lockstep": lambda x, seed: torch.stack([e for e, _ in lockstep(G, x, None, seed)], 1),
    "cycle_diffusion": lambda x, seed: cycle_diffusion(x, G, G.replace(denoiser=mixture(d=4, seed=1)), seed),
    "sdedit": lambda x, seed: sdedit(x, start_at(G, 700), seed),
    "ilvr": lambda x, seed: ilvr(x, G, lambda y: y / 2, seed),
    "steepest direction": lambda x, seed: estimated_K(G, x, 3, rounds=1, seed=seed),
}  # fmt: skip
# The same, of those that take one seed for the whole batch.
BY_PLACE = {
    "chains": lambda x, seed: whole_code(
        sample(G, BRIGHT, 2.0, len(x), rounds=3, burn_in=2, seed=seed).z
    ),
    "augmentations": lambda x, seed: diff_augment(
        x[:, :3, None, None].expand(-1, -1, 6, 6), 2, seed
    )[0],
    "guides": lambda x, seed: guided(
        G, BRIGHT, 0.1, freedom(0.1), G.draw(len(x), seed), seed=seed
    ),
    "best of two": lambda x, seed: whole_code(best_of(G, BRIGHT, 2, len(x), seed)[0]),
    "segments": lambda x, seed: estimated_on_segments(
        G, *(G.path(G.encode(y, seed)) for y in (x, x + 0.1)), points=2, rounds=1, seed=seed
    ).T,
}  # fmt: skip


@pytest.mark.parametrize("way", [*WAYS, *BY_PLACE])
def test_the_first_of_four_is_what_it_is_alone(way):
    f = (WAYS | BY_PLACE)[way]
    four, alone = f(X[:4], SEED), f(X[:1], SEED)
    alike(four[:1], alone)
    alike(f(X, SEED)[:4], four)
    same = X[:1].expand(4, -1)
    assert (f(same, SEED)[1] - f(same, SEED)[0]).abs().max() > 1e-4  # each draws its own
    assert (f(X[:1], SEED + 1) - alone).abs().max() > 1e-4  # and by the seed


@pytest.mark.parametrize("way", WAYS)
def test_by_a_seed_of_its_own_an_image_is_the_same_in_any_place(way):
    eight = WAYS[way](X, [11, 12, SEED, 14, 15, 16, 17, 18])
    alike(eight[2:3], WAYS[way](X[2:3], SEED))
    alike(eight[2:3], WAYS[way](X[2:3], [SEED]))
    together = WAYS[way](X, seeds(SEED, 8))
    alike(together, WAYS[way](X, SEED))
    alike(together[5:6], WAYS[way](X[5:6], seeds(SEED, 8)[5]))


@settings(max_examples=20)
@given(n=st.integers(1, 6), place=st.integers(0, 5), seed=st.integers(0, 2**32 - 1), eta=etas)
def test_company_changes_nothing(n, place, seed, eta):
    place, g = min(place, n - 1), G.with_eta(eta)
    alone = g.encode(X[place : place + 1], seeds(seed, n)[place])
    alike(whole_code(g.encode(X[:n], seed)[place]), whole_code(alone))


@pytest.mark.parametrize("model", ["faces", "moons"])
def test_a_network_s_images_too_to_its_rounding(model):
    g = Sampler(load(model), 5, 0.5)
    z = g.draw(4, SEED)
    assert_close(g.decode(z)[:1], g.decode(g.draw(1, SEED)), rtol=0, atol=1e-4)
    x = g.decode(z)
    assert_close(g.encode(x, SEED).eps[:, :1], g.encode(x[:1], SEED).eps, rtol=0, atol=1e-3)


def test_a_gan_s_latents_are_independent_of_its_noises():
    model = load("faces-gan")
    assert isinstance(model, DenoisingGan)
    x = torch.zeros(8, *model.shape)
    style, noise = model.style(x, SEED), Streams(SEED, 8).normal(x)
    assert (style.flatten() - noise.flatten(1)[:, : style[0].numel()].flatten()).abs().max() > 1
    alike(style[:1], model.style(x[:1], SEED))


def test_numbers_are_the_same_in_every_precision_and_place():
    low, high = (
        Streams(SEED, 5).normal(torch.empty(0, 7, dtype=d)) for d in (torch.float32, torch.float64)
    )
    assert_close(low, high.float(), rtol=0, atol=0)
    assert not torch.equal(high, low.double())  # drawn in float64
    assert_close(Streams(SEED, 1).normal(torch.empty(0, 7)), low[:1], rtol=0, atol=0)


def test_no_two_streams_of_other_seeds_places_or_purposes_are_alike():
    purposes = ("", "style", "round 1", "round 2")
    drawn = torch.cat([Streams(seed, 4, of).uniform(2) for seed in (0, 3) for of in purposes])
    apart = (drawn[:, None] - drawn).abs().amax(-1) + torch.eye(len(drawn))
    assert len(drawn) == 32 and apart.min() > 1e-6


def test_streams_are_standard_normal_and_uncorrelated():
    drawn = Streams(0, 4000).normal(torch.empty(0, 4, dtype=torch.float64))
    assert abs(drawn.mean()) < 0.04 and abs(drawn.std() - 1) < 0.03
    neighbours = (drawn[1:] * drawn[:-1]).mean()
    other_seed = (drawn * Streams(1, 4000).normal(drawn)).mean()
    assert abs(neighbours) < 0.04 and abs(other_seed) < 0.04
    uniform = Streams(0, 4000).uniform()
    assert uniform.shape == (4000,) and uniform.min() >= 0 and uniform.max() < 1


@pytest.mark.parametrize(
    ("seed", "said"),
    [
        (-1, "seed is -1"),
        (2**32, "from 0 to 4294967295"),
        (0.5, "seed is 0.5"),
        (True, "seed is True"),
        ([1, 2], "2 seeds for 3 images"),
        ([1, 2, "a"], "seed is 'a'"),
        (None, "seed is None"),
    ],
)
@pytest.mark.parametrize(
    "what", [lambda s: Streams(s, 3), lambda s: G.draw(3, s), lambda s: G.encode(X[:3], s)]
)
def test_what_is_no_seed_is_refused(what, seed, said):
    with pytest.raises(ValueError, match=said):
        what(seed)
