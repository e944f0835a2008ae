"""One move of a Markov chain on codes z, whose density is N(z; 0, I) exp(-λE(z)): rules of one signature."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class At(NamedTuple):
    """A batch of codes as vectors z (B, d), with λE (B,) there, its slope λ∇E (B, d) and the pictures."""

    z: Tensor
    energy: Tensor
    slope: Tensor
    pictures: Tensor | None = None  # (B, 3, H, W)


Target = Callable[[Tensor, int], At]  # z (B, d), the seed of what the energy draws -> At
Part = Callable[[Tensor], Tensor]  # an orthogonal projection of codes, (B, d) to (B, d)
# One move of all chains: (where, target, step, noise (B, d), seed) -> (proposal, log of its acceptance (B,)).
# step: a number, or one for each chain, (B,). The logarithm is None for a rule that accepts every move.
Rule = Callable[[At, Target, float | Tensor, Tensor, int], tuple[At, Tensor | None]]


def pcn_langevin(at: At, target: Target, step: float | Tensor, noise: Tensor, seed: int):
    """Preconditioned Crank-Nicolson Langevin (Cotter et al. 2013, eq. 4.12), with its accept/reject.

    z' = ρz + √(1-ρ²) (ω - ½√h λ∇E(z)),  ρ = (1-h/4)/(1+h/4): leaves N(0, I) as it is at any step h and in
    any dimension, so that rejections are the energy's alone.
    """
    h = _column(step, at.z)
    rho = (1 - h / 4) / (1 + h / 4)
    spread, half = (1 - rho**2).sqrt(), 0.5 * h.sqrt()
    there = target(rho * at.z + spread * (noise - half * at.slope), seed)

    def leaving(a: At, b: At) -> Tensor:
        along = half * (b.z - rho * a.z) / spread * a.slope
        return -a.energy - (h / 8 * a.slope.square() + along).sum(1)

    return there, leaving(there, at) - leaving(at, there)


def langevin(at: At, target: Target, step: float | Tensor, noise: Tensor, seed: int):
    """The paper's rule, z' = z - (σ/2)(z + λ∇E(z)) + √σ ω, every move accepted.

    Its stationary distribution is not π: at λ = 0 the variance is 1/(1-σ/4), 1.01266 at σ = 0.05.
    """
    sigma = _column(step, at.z)
    return target(at.z - sigma / 2 * (at.z + at.slope) + sigma.sqrt() * noise, seed), None


def mala(at: At, target: Target, step: float | Tensor, noise: Tensor, seed: int):
    """The same moves with an accept/reject (Roberts & Tweedie 1996): exact, but in many dimensions most
    are rejected even at λ = 0."""
    sigma = _column(step, at.z)
    there, _ = langevin(at, target, step, noise, seed)

    def leaving(a: At, b: At) -> Tensor:
        missed = b.z - a.z + sigma / 2 * (a.z + a.slope)
        return -a.energy - (a.z.square() / 2 + missed.square() / (2 * sigma)).sum(1)

    return there, leaving(there, at) - leaving(at, there)


def descent_at_norm(at: At, target: Target, step: float | Tensor, noise: Tensor, seed: int):
    """No sampling: down the slope of λE, with each code's norm kept at √d, where N(0, I) has nearly all
    of its mass (cf. ReNO, Eyring et al. 2024)."""
    moved = at.z - _column(step, at.z) / 2 * at.slope
    return target(moved / moved.norm(dim=1, keepdim=True) * moved.shape[1] ** 0.5, seed), None


def descent(at: At, target: Target, step: float | Tensor, noise: Tensor, seed: int):
    """No sampling: down the slope of -log π, to the most likely code, which is no draw."""
    return target(at.z - _column(step, at.z) / 2 * (at.z + at.slope), seed), None


def _column(step: float | Tensor, z: Tensor) -> Tensor:
    return torch.as_tensor(step).to(z).view(-1, 1)  # (B or 1, 1)


def within(target: Target, z: Tensor, part: Part) -> Target:
    """The target of a part of codes z (B, d), the rest staying as it is in z."""
    rest = z - part(z)

    def of_part(values: Tensor, seed: int) -> At:
        at = target(rest + values, seed)
        return at._replace(z=values, slope=part(at.slope))

    return of_part
