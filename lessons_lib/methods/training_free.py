"""Guidance without a chain: what plug-and-play guidance is compared with, at equal numbers of network calls.

TFG (Ye et al. 2024, Algorithm 1) holds DPS, FreeDoM, MPGD and UGD as settings of it; `best_of` draws many
and keeps the best. Both know the same energy that a chain does. A call is one pass of the generator's
network, forwards or backwards, for one picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..checks import whole
from ..code import Code, Eps, predicted_image
from ..denoisers import predict
from ..sampler import Sampler
from ..schedule import noised
from ..streams import Streams, seeds
from .energies import Look
from .guidance import flat, like


@dataclass(frozen=True)
class Guide:
    """TFG's settings.

    rho: of the slope at x_t, through the network, in units of the score's (1-ᾱ)/√ᾱ. mu: of the slope at
    P_t, the predicted image, times 1-ᾱ. iterations: N_iter, moves of P_t by mu in each step. recur: N_recur,
    how often a step is taken again from new noise. smooth: γ̄, noise on P_t in units of √(1-ᾱ) where the
    energy looks at it.
    """

    rho: float = 0.0
    mu: float = 0.0
    iterations: int = 0
    recur: int = 1
    smooth: float = 0.0

    def __post_init__(self):
        for name in ("rho", "mu", "smooth"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name} is {getattr(self, name)!r}: give a finite number.")
        for name, least in (("iterations", 0), ("recur", 1)):
            if not whole(getattr(self, name), least):
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}: give a whole number from {least}."
                )


def dps(rho: float) -> Guide:
    """Diffusion posterior sampling (Chung et al. 2023)."""
    return Guide(rho=rho)


def freedom(rho: float, recur: int = 2) -> Guide:
    """FreeDoM (Yu et al. 2023)."""
    return Guide(rho=rho, recur=recur)


def mpgd(mu: float) -> Guide:
    """MPGD (He et al. 2024), without its autoencoder."""
    return Guide(mu=mu, iterations=1)


def ugd(rho: float, mu: float, iterations: int = 4, recur: int = 2) -> Guide:
    """Universal guidance (Bansal et al. 2023)."""
    return Guide(rho, mu, iterations, recur)


@torch.no_grad()
def guided(
    g: Sampler, energy: Look, weight: float, how: Guide, z: Code, seed: int = 0,
    cond: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """x (B, *shape) from the codes z under exp(-λE): log f = -weight · energy in TFG's Algorithm 1.

    Of a step taken again, the noise is new, drawn by the seed and the picture's place.
    """
    if not math.isfinite(weight):
        raise ValueError(f"weight is {weight!r}: give a finite number.")
    cond = g.told(z, cond)
    x = z.x_T.to(g.denoiser.device, g.dtype)
    streams = Streams(seed, len(z), of="steps taken again")
    for i in range(len(g.schedule)):
        a, a_to = g.schedule.a[i].item(), g.schedule.a_to[i].item()
        for again in range(how.recur):
            edit = _towards(g, energy, weight, how, seed + i, a)
            x_to = g.step(x, i, z.noise, edit, cond).x_to
            if again + 1 < how.recur:
                x = noised(x_to, streams.normal(x), a / a_to)
        x = x_to
    return x


def _towards(g: Sampler, energy: Look, weight: float, how: Guide, seed: int, a: float):
    """The edit of a step: P_t moved down the energy's slopes at x_t and at P_t, D_t as it was."""

    def seen(P: Tensor) -> Tensor:
        noise = Streams(seed, len(P), of="smooth").normal(P)
        shown = g.denoiser.pictures(P + how.smooth * (1 - a) ** 0.5 * noise)
        return weight * energy(shown, seed)

    def edit(denoiser, x, t, cond=None):
        with torch.enable_grad():
            x_t = x.detach().requires_grad_(how.rho != 0)
            eps, h, sigma = predict(denoiser, x_t, t, cond)
            P = predicted_image(x_t, eps, a)
            moved = P.detach()
            if how.rho:
                (slope,) = torch.autograd.grad(seen(P).sum(), x_t)
                moved = moved - how.rho * (1 - a) / a**0.5 * slope
        for _ in range(how.iterations):
            with torch.enable_grad():
                at = moved.detach().requires_grad_()
                (slope,) = torch.autograd.grad(seen(at).sum(), at)
            moved = moved - how.mu * (1 - a) * slope
        eps = eps.detach()
        return Eps((x - a**0.5 * moved) / (1 - a) ** 0.5, eps, h, sigma)

    return edit


def calls_of(how: Guide, steps: int) -> int:
    """Network calls a picture."""
    return steps * how.recur * (2 if how.rho else 1)


@torch.no_grad()
def best_of(
    g: Sampler, energy: Look, count: int, n: int, seed: int = 0, cond: Tensor | None = None
) -> tuple[Code, Tensor]:
    """For each of `n` pictures the code of least energy among `count` of its own, and that energy (n,).

    Raises ValueError for a count below 1.
    """
    if not whole(count, 1):
        raise ValueError(f"count is {count!r}: give a whole number from 1.")
    best = None
    for turn in range(count):  # each turn one more for every picture
        z = g.draw(n, seeds(seed, n, of=f"turn {turn}"))
        found = energy(g.denoiser.pictures(g.decode(z, cond=cond)), seed).cpu().double()
        if best is None:
            best, least = z, found
        better = found < least
        least = torch.where(better, found, least)
        best = like(z, torch.where(better.to(z.x_T.device)[:, None], flat(z), flat(best)))
    return best, least
