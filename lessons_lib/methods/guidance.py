"""Plug-and-play guidance: sampling codes z under an energy of the picture G(z) (Wu & De la Torre 2023, §3.5).

    π(z) ∝ N(z; 0, I) exp(-λ E(G(z)))

    chains = sample(g, by_text(clip, "a smiling person"), 500.0, rounds=60, burn_in=20)
    pictures = g.decode(chains.z)

It is no classifier guidance: the energy sees clean pictures, all noises of a code move at once, and the
chain's rounds have nothing to do with denoising steps. Several chains run side by side in one batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..checks import checked_seed, whole
from ..code import Code, Edit, Eps, plain
from ..sampler import Sampler, final
from .energies import Look


class At(NamedTuple):
    """A batch of codes as vectors z (B, d), with λE (B,) there and its slope λ∇E (B, d)."""

    z: Tensor
    energy: Tensor
    slope: Tensor


Target = Callable[[Tensor, int], At]  # z (B, d), the seed of what the energy draws -> At
# One move of all chains: (where, target, step, noise (B, d), seed) -> (proposal, log of its acceptance (B,)).
Rule = Callable[[At, Target, float, Tensor, int], tuple[At, Tensor]]


# ---------------------------------------------------------------- one move


def pcn_langevin(at: At, target: Target, step: float, noise: Tensor, seed: int):
    """Preconditioned Crank-Nicolson Langevin (Cotter et al. 2013, eq. 4.12), with its accept/reject.

    z' = ρz + √(1-ρ²) (ω - ½√h λ∇E(z)),  ρ = (1-h/4)/(1+h/4): leaves N(0, I) as it is at any step h and in
    any dimension, so that rejections are the energy's alone.
    """
    rho = (1 - step / 4) / (1 + step / 4)
    spread = (1 - rho**2) ** 0.5
    there = target(rho * at.z + spread * (noise - 0.5 * step**0.5 * at.slope), seed)

    def leaving(a: At, b: At) -> Tensor:
        along = ((b.z - rho * a.z) / spread * a.slope).sum(1)
        return -a.energy - step / 8 * a.slope.square().sum(1) - 0.5 * step**0.5 * along

    return there, leaving(there, at) - leaving(at, there)


def langevin(at: At, target: Target, step: float, noise: Tensor, seed: int):
    """The paper's rule, z' = z - (σ/2)(z + λ∇E(z)) + √σ ω, every move accepted.

    Its stationary distribution is not π: at λ = 0 the variance is 1/(1-σ/4), 1.01266 at σ = 0.05.
    """
    there = target(at.z - step / 2 * (at.z + at.slope) + step**0.5 * noise, seed)
    return there, torch.zeros_like(at.energy)


def mala(at: At, target: Target, step: float, noise: Tensor, seed: int):
    """The same moves with an accept/reject (Roberts & Tweedie 1996): exact, but in many dimensions most
    are rejected even at λ = 0."""
    there, _ = langevin(at, target, step, noise, seed)

    def leaving(a: At, b: At) -> Tensor:
        missed = b.z - a.z + step / 2 * (a.z + a.slope)
        return -a.energy - a.z.square().sum(1) / 2 - missed.square().sum(1) / (2 * step)

    return there, leaving(there, at) - leaving(at, there)


def descent_at_norm(at: At, target: Target, step: float, noise: Tensor, seed: int):
    """No sampling: down the slope of λE, with each code's norm kept at √d, where N(0, I) has nearly all
    of its mass (cf. ReNO, Eyring et al. 2024)."""
    moved = at.z - step / 2 * at.slope
    length = at.z.shape[1] ** 0.5
    there = target(moved / moved.norm(dim=1, keepdim=True) * length, seed)
    return there, torch.zeros_like(at.energy)


# ---------------------------------------------------------------- codes as vectors


def flat(z: Code) -> Tensor:
    """What of a code has the prior N(0, I), (B, d): x_T, and the noise of the steps that have σ > 0."""
    parts = [z.x_T.flatten(1)]
    if z.eps is not None:
        free = slice(None) if z.residual is None else ~z.residual
        parts.append(z.eps[free].transpose(0, 1).flatten(1))
    return torch.cat(parts, 1)


def like(z: Code, values: Tensor) -> Code:
    """The code like z with these values of what is free, (B, d); its residuals stay z's own."""
    shape, size = z.x_T.shape[1:], z.x_T[0].numel()
    x_T = values[:, :size].view(-1, *shape)
    if z.eps is None:
        return Code(x_T)
    free = torch.ones(len(z.eps), dtype=torch.bool) if z.residual is None else ~z.residual
    noise = values[:, size:].view(len(values), -1, *shape).transpose(0, 1)
    kept = iter(noise)
    eps = torch.stack([next(kept) if one else old for one, old in zip(free, z.eps, strict=True)])
    return Code(x_T, eps, z.residual)


def energy_of_codes(
    g: Sampler, energy: Look, weight: float, z: Code, cond: Tensor | None = None,
    plain_steps: int | None = None,
) -> Target:  # fmt: skip
    """λE(G(z)) and its slope, for codes like z.

    plain_steps: how many of the last steps keep what their backward pass needs; the others compute it
    anew, in a fraction of the memory. None is all.
    """
    times = g.schedule.t.tolist()
    kept = len(times) if plain_steps is None else plain_steps
    edit = plain if kept >= len(times) else checkpointed(plain, times[len(times) - kept - 1])

    def target(values: Tensor, seed: int) -> At:
        with torch.enable_grad():
            at = values.detach().requires_grad_()
            code = like(z, at)
            x = final(g.walk(code.x_T, code.noise, 0, edit, cond)).x_to
            found = weight * energy(g.denoiser.pictures(x), seed)
            (slope,) = torch.autograd.grad(found.sum(), at)
        if not slope.isfinite().all():
            raise ValueError(
                "The energy's slope is not finite: give an energy that is smooth, or a smaller weight."
            )
        return At(at.detach(), found.detach(), slope)

    return target


def checkpointed(edit: Edit, last: int) -> Edit:
    """The edit, at t ≥ last, with its network computed anew in the backward pass, not kept."""

    def step(denoiser, x, t, cond=None):
        if t < last or not torch.is_grad_enabled():
            return edit(denoiser, x, t, cond)
        return Eps(
            *checkpoint(lambda at: tuple(edit(denoiser, at, t, cond)), x, use_reentrant=False)
        )

    return step


# ---------------------------------------------------------------- the chains


@dataclass(frozen=True)
class Chains:
    """Chains as far as they went, from which `sample` goes on.

    z: the codes where they are now, of B chains. round: how many rounds they have gone.
    kept: (n, B, d), the codes of every round after burn-in, flat: these are the draws.
    history: of every round, {"energy": (B,), "accepted": (B,), "norm": ‖z‖²/d (B,)}; energy is E without λ.
    """

    z: Code
    round: int = 0
    kept: tuple[Tensor, ...] = ()
    history: tuple[dict[str, Tensor], ...] = field(default=(), repr=False)

    def of(self, name: str) -> Tensor:
        """One of the histories, (rounds, B)."""
        return torch.stack([entry[name] for entry in self.history])


def sample(
    g: Sampler,
    energy: Look,
    weight: float,
    chains: int | Chains = 8,
    rounds: int = 60,
    step: float = 0.3,
    burn_in: int = 20,
    seed: int = 0,
    rule: Rule = pcn_langevin,
    cond: Tensor | None = None,
    plain_steps: int | None = None,
) -> Chains:
    """Chains that have gone `rounds` rounds in all; stopped by hand, as far as they came.

    energy: of pictures, such as `energies.by_text(clip, text)`; weight: λ, reached in the middle of the
        burn-in, from a tenth of it on.
    chains: how many, from unguided codes; or Chains to go on with: the same bits as if never stopped.
    step: h of pCN, σ of the paper's rule. burn_in: rounds that are no draws.
    Each chain's noise depends on the seed, its place and the round alone.
    Raises ValueError for a weight, a step or a number of rounds that no chain can have.
    """
    _check(weight, step, rounds, burn_in)
    now = _started(g, chains, seed)
    rest = further(g, energy, weight, now, step, burn_in, seed, rule, cond, plain_steps)
    bar = _Bar(rounds, now.round)
    try:
        while now.round < rounds:
            now = next(rest)
            bar.show(now)
    except KeyboardInterrupt:
        print(f"Stopped after {now.round} of {rounds} rounds: go on with chains=…")
    return now


def further(
    g: Sampler, energy: Look, weight: float, chains: Chains, step: float, burn_in: int, seed: int,
    rule: Rule = pcn_langevin, cond: Tensor | None = None, plain_steps: int | None = None,
) -> Iterator[Chains]:  # fmt: skip
    """The chains after each further round, without end."""
    while True:
        now = weight * _annealed(chains.round, burn_in)
        target = energy_of_codes(g, energy, now, chains.z, cond, plain_steps)
        chains = _round(chains, target, now, step, burn_in, seed, rule)
        yield chains


def _round(
    chains: Chains, target: Target, weight: float, step: float, burn_in: int, seed: int, rule: Rule
) -> Chains:
    n, drawn = chains.round, _seed_of(seed, chains.round, -1)
    here = target(flat(chains.z), drawn)  # under this round's augmentations, as the proposal is
    noise, threshold = _noise(here.z, seed, n)
    there, log_accept = rule(here, target, step, noise, drawn)
    took = threshold.log() < log_accept  # (B,)
    z = torch.where(took[:, None], there.z, here.z)
    reached = torch.where(took, there.energy, here.energy)
    entry = {
        "energy": reached / weight if weight else torch.zeros_like(reached),
        "accepted": took.double(),
        "norm": z.square().mean(1),
    }
    kept = (*chains.kept, z) if n >= burn_in else chains.kept
    return replace(
        chains, z=like(chains.z, z), round=n + 1, kept=kept, history=(*chains.history, entry)
    )


def _annealed(n: int, burn_in: int) -> float:
    """The share of λ in round n: from a tenth up to 1 in the middle of the burn-in, then 1."""
    return min(1.0, 0.1 + 0.9 * n / (burn_in / 2)) if burn_in else 1.0


def _noise(z: Tensor, seed: int, n: int) -> tuple[Tensor, Tensor]:
    """ω (B, d) and a uniform number (B,) for each chain, of its own stream."""
    gens = [torch.Generator().manual_seed(_seed_of(seed, n, b)) for b in range(len(z))]
    noise = [torch.randn(z.shape[1], generator=gen, dtype=torch.float64) for gen in gens]
    threshold = [torch.rand((), generator=gen, dtype=torch.float64) for gen in gens]
    return torch.stack(noise).to(z), torch.stack(threshold).to(z)


def _seed_of(seed: int, n: int, place: int) -> int:
    """A seed of its own for a round and a chain (-1: what all chains share)."""
    return int(np.random.SeedSequence((seed, n, place + 1)).generate_state(1)[0])


def _started(g: Sampler, chains: int | Chains, seed: int) -> Chains:
    if isinstance(chains, Chains):
        return chains
    if not whole(chains, 1):
        raise ValueError(f"chains is {chains!r}: give a whole number, at least 1, or Chains.")
    return Chains(g.draw(chains, checked_seed(seed)))


def _check(weight: float, step: float, rounds: int, burn_in: int) -> None:
    if not math.isfinite(weight) or weight < 0:
        raise ValueError(f"weight is {weight!r}: give a finite number from 0; 0 is no guidance.")
    if not 0 < step < 4:
        raise ValueError(f"step is {step!r}: give a number between 0 and 4.")
    if not whole(rounds, 1) or not whole(burn_in, 0):
        raise ValueError(
            f"rounds={rounds!r}, burn_in={burn_in!r}: give whole numbers, from 1 and from 0."
        )


class _Bar:
    """A progress bar with what tells whether a chain is well."""

    def __init__(self, rounds: int, done: int):
        from tqdm.auto import tqdm

        self.bar = tqdm(total=rounds, initial=done, mininterval=1)

    def show(self, chains: Chains) -> None:
        last = chains.history[-1]
        self.bar.update()
        self.bar.set_postfix(
            E=f"{last['energy'].mean():.3f}",
            accepted=f"{chains.of('accepted').mean():.2f}",
            norm=f"{last['norm'].mean():.3f}",
        )


# ---------------------------------------------------------------- how well they mix


def mixing(values: Tensor) -> dict[str, float]:
    """rank-R̂ and effective sample size of values (n, B) of B chains (Vehtari et al. 2021), by arviz-stats.

    R̂ near 1: the chains agree; above 1.05 they do not. The size is in independent draws, of all chains.
    Raises ValueError for fewer than 4 draws or a single chain.
    """
    if values.ndim != 2 or values.shape[0] < 4 or values.shape[1] < 2:
        raise ValueError(
            f"values are {tuple(values.shape)}: give (draws, chains), at least 4 draws of 2 chains."
        )
    from arviz_stats.base import array_stats

    rows = values.T.double().cpu().numpy()  # (chains, draws)
    return {"R̂": float(array_stats.rhat(rows)), "ESS": float(array_stats.ess(rows))}
