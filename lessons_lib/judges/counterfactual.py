"""An edit held against the true counterfactual: the same picture with only the wanted factors changed.

A world can draw it, so an edit is judged by what no photograph allows: how near it comes, how much of
the wanted change it reaches, and how much else it changes. Images are (B, 3, S, S) in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ..paths import held_out_seed
from ..worlds import WORLDS, Factor, World
from .metrics import AT_ONCE, Distance, checked, psnr

if TYPE_CHECKING:
    from .evaluators import Critic

LEAST = 0.1  # of a factor's range: a smaller wanted change is lost in the critic's errors

Factors = Mapping[str, Tensor | float]  # name -> (B,), or one number for all, in the world's units
Reader = Callable[[Tensor, str, "Critic"], Mapping[str, Tensor]]  # images (B, 3, S, S) -> (B,) each


class Scores(NamedTuple):
    """What an edit reached, each (B,).

    psnr: of the edited image to the true counterfactual, dB; higher is nearer, +inf when equal.
    distance: the same by a perceptual distance; lower is nearer.
    achieved: share of the wanted change; 0 for none, 1 for all, more when overdone, below 0 when the
    wrong way; NaN where the source all but had the wanted values already.
    drift: mean change of the other factors in units of their ranges, from 0 (none) to 1.
    """

    psnr: Tensor
    distance: Tensor
    achieved: Tensor
    drift: Tensor


@torch.no_grad()
def counterfactual_scores(
    edited: Tensor,
    factors: Factors,
    wanted: Factors,
    world: str,
    critic: Critic,
    distance: Distance,
) -> Scores:
    """Scores of edits (B, 3, S, S) of the pictures of `factors` towards the values `wanted`.

    achieved is (read(edited) - read(source)) / (wanted value - source value), averaged over the wanted
    factors that are to change by a tenth of their range or more. A binary factor's reading is a
    probability; a choice counts as right or wrong. Both readings are the critic's, the source's from
    its picture drawn anew: what the critic always misreads cancels, and no edit scores exactly 0.
    A critic that reads too weakly, or one factor for another, still shows: see `baselines`.

    Raises ValueError for pictures that are not square, or not as many as the factors; for a world that is
    unknown; and for a `wanted` that has none or all of the world's factors, or one that all pictures share.
    """
    edited, (before, after) = _square(edited, "edited"), _case(factors, wanted, world)
    known = WORLDS[world]
    source, target = (known.render(f, edited.shape[-1]).to(edited) for f in (before, after))
    if len(source) != len(edited):
        raise ValueError(
            f"There are {len(edited)} edited images and factors of {len(source)}: give as many."
        )
    was, now = readings(source, world, critic), readings(edited, world, critic)
    goals = [f for f in known.factors if f.name in wanted]
    others = [f for f in known.factors if f.name not in wanted and f.name not in known.fixed]
    shares = [_share(f, *(v[f.name].to(edited) for v in (was, now, before, after))) for f in goals]
    changes = [_change(f, was[f.name], now[f.name]) for f in others]
    return Scores(
        psnr(edited, target),
        distance(edited, target),
        torch.stack(shares).nanmean(0),
        torch.stack(changes).mean(0),
    )


@torch.no_grad()
def baselines(
    factors: Factors,
    wanted: Factors,
    world: str,
    critic: Critic,
    distance: Distance,
    size: int = 64,
    seed: int | None = None,
) -> dict[str, Scores]:
    """The scores that an edit must be read against, by name.

    'no edit': the source itself. 'random image': another picture of the world, drawn with `seed`
    (by default one of the seeds of other people), which must not be the one that drew `factors`.
    'true counterfactual': the goal itself, so its distance is 0 and its psnr +inf; its achieved
    differs from 1 and its drift from 0 by the critic's errors alone: no edit can be asked for better.

    Raises ValueError as `counterfactual_scores`, and for a seed that draws the source images themselves.
    """
    before, after = _case(factors, wanted, world)
    known = WORLDS[world]
    n = len(next(iter(before.values())))
    seed = held_out_seed("other people", 37_654) if seed is None else seed
    images = {
        "no edit": known.render(before, size),
        "random image": known.sample(n, seed, size).image,
        "true counterfactual": known.render(after, size),
    }
    device = next(iter(before.values())).device
    if torch.equal(images["no edit"].to("cpu"), images["random image"]):
        raise ValueError(f"seed {seed} draws the source images themselves: give another seed.")
    return {
        name: counterfactual_scores(x.to(device), before, wanted, world, critic, distance)
        for name, x in images.items()
    }


@torch.no_grad()
def manifold_distance(x: Tensor, world: str, critic: Critic, read: Reader | None = None) -> Tensor:
    """PSNR of images (B, 3, S, S) with the world's drawing of the factors read from them, (B,) in dB.

    Higher is more like a picture of the world; the world's own held-out pictures give the ceiling,
    which the reading's errors set: read is `readings`, the critic's, if it is None, or `nearest_factors`.
    Raises ValueError for images that are not square or below 32 pixels, and for an unknown world.
    """
    x, read = _square(x, "x"), read or readings
    return psnr(x, known_world(world).render(read(x, world, critic), x.shape[-1]).to(x))


def nearest_factors(
    x: Tensor, world: str, critic: Critic, steps: int = 30, rate: float = 0.03
) -> dict[str, Tensor]:
    """The factors whose drawing comes nearest to each image (B, 3, S, S), name -> (B,).

    Found by descending the logarithm of the squared error from the factors that the critic reads (Adam,
    its rate in units of a factor's range and falling to 0); the nearest drawing on the way counts, so none
    is further than that of the reading. Choices, as a species, stay as they are read. It takes half a
    second an image on a processor, where the critic takes milliseconds.
    Raises ValueError for images that are not square or below 32 pixels, and for an unknown world.
    """
    x, known, found = _square(x, "x"), known_world(world), []
    read = readings(x, world, critic)
    for i in range(0, len(x), AT_ONCE):
        part = {name: value[i : i + AT_ONCE] for name, value in read.items()}
        found.append(_descended(x[i : i + AT_ONCE], known, part, steps, rate))
    return {name: torch.cat([part[name] for part in found]) for name in read}


@torch.enable_grad()
def _descended(x: Tensor, known: World, read: Factors, steps: int, rate: float) -> Factors:
    free = [f for f in known.factors if not f.choices and f.name not in known.fixed]
    low, high = (x.new_tensor([getattr(f, end) for f in free]) for end in ("low", "high"))
    values = torch.stack([read[f.name] for f in free], 1)  # (B, factors)
    place = ((values - low) / (high - low)).requires_grad_()
    best, least = dict(read), torch.full((len(x),), torch.inf, device=x.device)
    optimizer = torch.optim.Adam([place], rate)
    falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    for _ in range(steps):
        now = (low + (high - low) * place).unbind(1)
        factors = read | dict(zip((f.name for f in free), now, strict=True))
        error = (known.render(factors, x.shape[-1]) - x).square().flatten(1).mean(1)
        better = error.detach() < least
        least = torch.where(better, error.detach(), least)
        best = {name: torch.where(better, v.detach(), best[name]) for name, v in factors.items()}
        optimizer.zero_grad()
        error.clamp_min(1e-9).log().sum().backward()
        place.grad.nan_to_num_(0, 0, 0)  # a distance has no slope in the middle of a shape
        optimizer.step()
        falling.step()
        with torch.no_grad():
            place.clamp_(0, 1)
    return best


@torch.no_grad()
def readings(x: Tensor, world: str, critic: Critic) -> dict[str, Tensor]:
    """The factors that the critic reads from images (B, 3, H, W), name -> (B,)."""
    parts = [critic.read(part, world) for part in x.float().split(AT_ONCE)]
    return {name: torch.cat([part[name] for part in parts]).to(x.device) for name in parts[0]}


def _share(factor: Factor, was: Tensor, now: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Share of the wanted change from `before` to `after` that the readings made, (B,)."""
    wanted = after - before
    if factor.choices:
        moved = (now.round() == after).to(now) - (was.round() == after).to(now)
        return torch.where(wanted != 0, moved, torch.nan)
    enough = wanted.abs() >= LEAST * (factor.high - factor.low)
    return torch.where(enough, (now - was) / wanted, torch.nan)


def _change(factor: Factor, was: Tensor, now: Tensor) -> Tensor:
    """How far a reading moved, (B,) in units of the factor's range; a choice by 0 or 1."""
    if factor.choices:
        return (now.round() != was.round()).to(now)
    return (now - was).abs() / (factor.high - factor.low)


def _case(factors: Factors, wanted: Factors, world: str) -> tuple[dict, dict]:
    """All factors of the source and of the true counterfactual, (B,) each."""
    known = known_world(world)
    fixed = sorted(set(wanted) & set(known.fixed))
    if fixed:
        raise ValueError(
            f"wanted changes {', '.join(fixed)}, which every picture of {world} shares."
        )
    free = [f.name for f in known.factors if f.name not in known.fixed]
    if not wanted or not set(free) - set(wanted):
        raise ValueError(
            f"wanted has {len(wanted)} of the {len(free)} factors of {world}: change at least one "
            "and leave at least one."
        )
    after = known.complete({**factors, **wanted})
    n = len(next(iter(after.values())))
    return {k: v.expand(n) for k, v in known.complete(factors).items()}, after


def _square(x: Tensor, name: str) -> Tensor:
    x = checked(x, name, smallest=32)
    if x.shape[1] != 3 or x.shape[-1] != x.shape[-2]:
        raise ValueError(f"{name} is {tuple(x.shape)}: pictures of a world are (B, 3, S, S).")
    return x


def known_world(name: str) -> World:
    """The world of this name, or ValueError."""
    if name not in WORLDS:
        raise ValueError(f"There is no world {name!r}; there are {', '.join(WORLDS)}.")
    return WORLDS[name]


def texture(x: Tensor, side: float = 0.2) -> Tensor:
    """How grainy the upper corners of pictures (B, 3, H, W) are, (B,): rms of the Laplacian, 0 for a ramp.

    There the worlds of faces and animals have a plain background, so that an edit of the subject should leave
    no texture there. side: of the two corners, as a share of the picture's. A critic of factors sees none.
    """
    n = max(3, round(side * x.shape[-1]))
    corners = torch.cat([x[..., :n, :n], x[..., :n, -n:]], 1).float()  # (B, 6, n, n)
    inner = corners[..., 1:-1, 1:-1]
    around = (corners[..., 2:, 1:-1] + corners[..., :-2, 1:-1] + corners[..., 1:-1, 2:]
              + corners[..., 1:-1, :-2])  # fmt: skip
    return (around - 4 * inner).square().flatten(1).mean(1).sqrt()
