"""When to edit, and when to add noise again: the three phases of Kwon et al. 2023 (§4).

T ≥ t ≥ t_edit        Asyrp, η = 0
t_edit > t > t_boost  the plain deterministic sampler
t_boost ≥ t           the plain stochastic sampler, η = 1: quality boosting

c = curves(g, z, lpips_alex())
g3 = Boosted(g, t_boost(c))
g3.decode(g3.with_noise(z, seed=0), smile.within(smile_first, t_edit(c, 0.33 - delta)))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..code import Code, Edit, Step, plain
from ..judges.metrics import Distance
from ..sampler import Sampler, final

EDIT, BOOST = 0.33, 1.2  # the paper's, of LPIPS on photographs; another distance has its own


class Curves(NamedTuple):
    """Means over images of distances along their unedited paths.

    t: (S,), falling. P: (S,), distance(x, P_t). x: (S,), distance(x, x_t), the quality deficiency γ_t.
    """

    t: Tensor
    P: Tensor
    x: Tensor

    @property
    def strength(self) -> Tensor:
        """The editing strength ξ_t = distance(x, P_T) - distance(x, P_t) of an interval from T to t, (S,)."""
        return self.P[0] - self.P


@torch.no_grad()
def curves(sampler: Sampler, z: Code, distance: Distance, cond: Tensor | None = None) -> Curves:
    """The distances of P_t's and x_t's pictures to the image itself, at each step of the paths from z."""
    return curves_of(list(sampler.trajectory(z, cond=cond)), distance, sampler.denoiser.pictures)


@torch.no_grad()
def curves_of(
    steps: Sequence[Step], distance: Distance, look: Callable[[Tensor], Tensor] | None = None
) -> Curves:
    """The same of the steps of a path that is at hand, so that several distances share one path.

    look: from x to what the distance compares, such as `denoiser.pictures`; by default x itself.
    """
    show = look or (lambda x: x)
    image = show(steps[-1].P).float()  # the image, if the schedule ends at ᾱ = 1
    P, x = (
        torch.stack([distance(image, show(v).float()).mean() for v in seen]).cpu()
        for seen in ([s.P for s in steps], [s.x for s in steps])
    )
    return Curves(torch.tensor([s.t for s in steps]), P, x)


@torch.no_grad()
def at_each_end(
    sampler: Sampler, z: Code, edit: Edit, ends: Sequence[int], cond: Tensor | None = None
) -> Tensor:
    """The images of an edit that is dropped below each of these times, (ends, B, *shape).

    The edited path is walked once; at each end a plain path leaves it. An edit acts only within its
    own interval: let that reach as far as the last of the ends.
    """
    taken = [int((sampler.schedule.t >= end).sum()) for end in ends]
    images = {}
    for step in sampler.trajectory(z, edit, cond):
        if step.i in taken:
            images[step.i] = final(sampler.walk(step.x, z.noise, step.i, cond=cond)).x_to
    images[len(sampler.schedule)] = step.x_to
    return torch.stack([images[i] for i in taken])


def t_edit(c: Curves, threshold: float = EDIT) -> int:
    """Where the editing interval ends: the smallest t with distance(x, P_t) ≥ threshold.

    threshold: 0.33 - δ for LPIPS, with `texts_apart` for δ. Raises ValueError where no distance reaches it.
    """
    return _smallest(c.t, c.P, threshold)


def t_boost(c: Curves, threshold: float = BOOST) -> int:
    """Where quality boosting begins: the smallest t with distance(x, x_t) ≥ threshold.

    Raises ValueError where no distance reaches it.
    """
    return _smallest(c.t, c.x, threshold)


def _smallest(t: Tensor, values: Tensor, least: float) -> int:
    if not math.isfinite(least):
        raise ValueError(f"The threshold is {least!r}: give a finite number.")
    enough = t[values >= least]
    if not len(enough):
        raise ValueError(
            f"The distance is {values.max().item():.3f} at most, so that it never reaches {least:.3f}: "
            "the thresholds 0.33 and 1.2 belong to LPIPS; find those of another distance by `threshold`."
        )
    return enough.min().item()


def texts_apart(clip, source: str, target: str, threshold: float = EDIT) -> float:
    """δ = threshold (1 - cos(E_T(source), E_T(target))): words further apart ask for a longer interval."""
    one, other = clip.text([source, target])
    return threshold * (1 - (one @ other).item())


def threshold(
    t: Tensor, values: Tensor, ends: Sequence[int], success: Sequence[float], share: float = 0.9
) -> float:
    """The threshold of a distance, for which no paper has one: its value where an edit begins to suffice.

    t, values: (S,), one of the `Curves`. ends: times that were tried as t_edit (or t_boost); success:
    what was measured with each, such as the share of images on which the edit succeeded. Of those that
    reach `share` of the best, the highest t is taken: the shortest editing interval. For t_boost the
    success is what boosting must not lose, such as likeness, and the highest t boosts the most.
    Raises ValueError for other than one success of each end, or where there was none.
    """
    if len(ends) != len(success) or not len(ends):
        raise ValueError(
            f"There are {len(ends)} ends and {len(success)} successes: give one for each."
        )
    if not 0 < share <= 1:
        raise ValueError(
            f"share is {share!r}: give a share of the best success, above 0 and up to 1."
        )
    best = max(success)
    if best <= 0:
        raise ValueError("No end had any success: there is nothing to choose between.")
    shortest = max(end for end, s in zip(ends, success, strict=True) if s >= share * best)
    return values[(t - shortest).abs().argmin()].item()


class Boosted(Sampler):
    """A sampler that is deterministic above t_boost, and stochastic (η = 1) from there to the image."""

    def __init__(self, sampler: Sampler, t_boost: int):
        vars(self).update(vars(sampler.replace(eta=1.0, t_boost=t_boost)))

    def with_noise(self, z: Code, seed: int) -> Code:
        """The code of a deterministic sampler, x_T, with noise for the boosted steps, drawn anew."""
        return Code(z.x_T, self.draw(len(z), seed).eps, self.sigma == 0)

    @torch.no_grad()
    def from_path(
        self, steps: Sequence[Step], z: Code, edit: Edit = plain, cond: Tensor | None = None
    ) -> Tensor:
        """The images (B, *shape) of a deterministic path that is at hand, walked anew from t_boost on.

        steps: of the path by the same edit; z: its codes, with this sampler's noise.
        """
        for step in steps:
            if self.sigma[step.i] > 0:
                return final(self.walk(step.x, z.noise, step.i, edit, cond)).x_to
        return steps[-1].x_to
