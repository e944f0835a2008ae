"""Plug-and-play guidance: sampling codes z under an energy of the picture G(z) (Wu & De la Torre 2023, §3.5).

    π(z) ∝ N(z; 0, I) exp(-λ E(G(z)))

    chains = sample(g, by_text(clip, "a smiling person"), 500.0, rounds=60, burn_in=20)
    pictures = g.decode(chains.z)

It is no classifier guidance: the energy sees clean pictures, all noises of a code move at once, and the
chain's rounds have nothing to do with denoising steps. Several chains run side by side in one batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor

from ..checks import checked_seed, whole
from ..code import Code, plain
from ..devices import precise
from ..plots import preview
from ..sampler import Sampler, final
from ..streams import Streams, seeds
from .energies import Look
from .memory import FrozenConvolutions, frugal
from .moves import At, Part, Rule, Target, pcn_langevin, within

# ---------------------------------------------------------------- codes as vectors


def flat(z: Code) -> Tensor:
    """What of a code has the prior N(0, I), (B, d): x_T, the noise of steps that have σ > 0, and style."""
    parts = [z.x_T.flatten(1)]
    if z.eps is not None:
        free = slice(None) if z.residual is None else ~z.residual
        parts.append(z.eps[free].transpose(0, 1).flatten(1))
    if z.style is not None:
        parts.append(z.style.flatten(1))
    return torch.cat(parts, 1)


def like(z: Code, values: Tensor) -> Code:
    """The code like z with these values of what is free, (B, d); its residuals stay z's own."""
    shape, size = z.x_T.shape[1:], z.x_T[0].numel()
    x_T, style = values[:, :size].view(-1, *shape), z.style
    if style is not None:
        at = values.shape[1] - style[0].numel()
        values, style = values[:, :at], values[:, at:].view(style.shape)
    if z.eps is None:
        return Code(x_T, style=style)
    free = torch.ones(len(z.eps), dtype=torch.bool) if z.residual is None else ~z.residual
    noise = values[:, size:].view(len(values), -1, *shape).transpose(0, 1)
    kept = iter(noise)
    eps = torch.stack([next(kept) if one else old for one, old in zip(free, z.eps, strict=True)])
    return Code(x_T, eps, z.residual, style)


def energy_of_codes(
    g: Sampler, energy: Look, weight: float, z: Code, cond: Tensor | None = None,
    plain_steps: int | None = None,
) -> Target:  # fmt: skip
    """λE(G(z)) and its slope, for codes like z.

    plain_steps: how many of the last steps keep what their backward pass needs; the others compute it
    anew, in a fraction of the memory. None is all.
    """
    times = g.schedule.t.tolist()
    edit = frugal(plain, len(times) if plain_steps is None else plain_steps, times)

    def target(values: Tensor, seed: int) -> At:
        with torch.enable_grad(), FrozenConvolutions():
            at = values.detach().requires_grad_()
            code = like(z, at)
            x = final(g.walk(code.x_T, code.noise, 0, edit, g.told(code, cond))).x_to
            pictures = g.denoiser.pictures(x)
            found = weight * energy(pictures, seed)
            (slope,) = torch.autograd.grad(found.sum(), at)
        if not slope.isfinite().all():
            raise ValueError(
                "The energy's slope is not finite: give an energy that is smooth, or a smaller weight."
            )
        return At(at.detach(), found.detach(), slope, pictures.detach())

    return target


# ---------------------------------------------------------------- the chains


@dataclass(frozen=True)
class Chains:
    """Chains as far as they went, from which `sample` goes on.

    z: the codes where they are now, of B chains. round: how many rounds they have gone.
    step: of each chain, (B,), tuned in the burn-in.
    kept: codes after burn-in, flat, (B, d) in float32, of every `thin`-th round: these are the draws.
    pictures: (B, 3, H, W) in half precision, of every round.
    history: of every round, {"energy", "accepted", "norm"}, (B,) each: E without λ, 0 or 1, and
        ‖z‖²/d.
    here: what is known of z, under which seed and weight.
    """

    z: Code
    step: Tensor
    round: int = 0
    kept: tuple[Tensor, ...] = ()
    pictures: tuple[Tensor, ...] = field(default=(), repr=False)
    history: tuple[dict[str, Tensor], ...] = field(default=(), repr=False)
    here: tuple[int, float, At] | None = field(default=None, repr=False)

    def of(self, name: str) -> Tensor:
        """One of the histories, (rounds, B)."""
        return torch.stack([entry[name] for entry in self.history])


@dataclass(frozen=True)
class Settings:
    """How chains go; see `sample`."""

    weight: float
    step: float = 0.3
    burn_in: int = 20
    seed: int = 0
    rule: Rule = pcn_langevin
    cond: Tensor | None = None
    plain_steps: int | None = None
    part: Part | None = None
    refresh: int = 10
    thin: int = 1

    def __post_init__(self):
        if not math.isfinite(self.weight) or self.weight < 0:
            raise ValueError(
                f"weight is {self.weight!r}: give a finite number from 0; 0 is no guidance."
            )
        if not 0 < self.step < 4:
            raise ValueError(f"step is {self.step!r}: give a number between 0 and 4.")
        for name, least in (("burn_in", 0), ("refresh", 1), ("thin", 1)):
            if not whole(getattr(self, name), least):
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}: give a whole number from {least}."
                )
        checked_seed(self.seed)


def sample(
    g: Sampler, energy: Look, weight: float, chains: int | Code | Chains = 8, rounds: int = 60,
    **settings,
) -> Chains:  # fmt: skip
    """Chains that have gone `rounds` rounds in all; stopped by hand, as far as they came.

    energy: of pictures, such as `energies.by_text(clip, text)`; weight: λ, reached in the middle of the
        burn-in, from a tenth of it on.
    chains: how many, from unguided codes; or codes to begin from; or Chains to go on with: the same bits as
        if never stopped.
    settings: step, h of pCN (0.3) or σ of the paper's rule. burn_in: rounds that are no draws (20). In their
        first half λ grows and every move is taken; in the second each chain finds its own step, at which it
        accepts 57 in 100 moves, if its rule rejects any. seed.
        rule: `moves.pcn_langevin`, or another of `moves`. cond. plain_steps: see
        `energy_of_codes`. part: an orthogonal projection of codes (B, d), outside of which they stay.
        refresh: rounds under the same augmentations (10), which need one evaluation each and not two.
        thin: every how manyth code after burn-in is kept (1).
    Each chain's noise depends on the seed, its place and the round alone.
    Raises ValueError for a weight, a step or a number of rounds that no chain can have, TypeError for another
    setting.
    """
    known = {f.name for f in fields(Settings)} - {"weight"}
    if strange := set(settings) - known:
        raise TypeError(
            f"A chain has no setting {', '.join(sorted(strange))}: it has {', '.join(sorted(known))}."
        )
    asked = Settings(weight, **settings)
    if not whole(rounds, 1):
        raise ValueError(f"rounds is {rounds!r}: give a whole number from 1.")
    now = _started(g, chains, asked)
    rest = further(g, energy, now, asked)
    bar = _Bar(rounds, now.round)
    try:
        while now.round < rounds:
            now = next(rest)
            bar.show(now)
    except KeyboardInterrupt:
        print(f"Stopped after {now.round} of {rounds} rounds: go on with chains=…")
    return now


def further(g: Sampler, energy: Look, chains: Chains, asked: Settings) -> Iterator[Chains]:
    """The chains after each further round, without end."""
    while True:
        weight = asked.weight * _annealed(chains.round, asked.burn_in)
        target = energy_of_codes(g, energy, weight, chains.z, asked.cond, asked.plain_steps)
        chains = _round(chains, target, weight, asked)
        yield chains


def _round(chains: Chains, target: Target, weight: float, asked: Settings) -> Chains:
    n, z = chains.round, flat(chains.z)
    drawn = seeds(asked.seed, 1, of=f"augmentations {n // asked.refresh}")[0]
    here = _known(chains, drawn, weight) or target(z, drawn)
    noise, threshold = _noise(z, asked.seed, n)
    if asked.part is None:
        there, log_accept = asked.rule(here, target, chains.step, noise, drawn)
    else:
        inner = here._replace(z=asked.part(z), slope=asked.part(here.slope))
        some = within(target, z, asked.part)
        there, log_accept = asked.rule(inner, some, chains.step, asked.part(noise), drawn)
        there = there._replace(z=z - inner.z + there.z)
    took = torch.ones_like(here.energy, dtype=torch.bool)
    if log_accept is not None and n >= asked.burn_in // 2:
        took = threshold.log() < log_accept  # (B,)
    here = At(
        *(
            torch.where(took.view(-1, *[1] * (a.ndim - 1)), a, b)
            for a, b in zip(there, here, strict=True)
        )
    )
    tuning = asked.burn_in // 2 <= n < asked.burn_in
    step = _tuned(chains.step, log_accept) if tuning else chains.step
    return replace(
        _entered(chains, here, took, weight, asked),
        z=like(chains.z, here.z), round=n + 1, step=step, here=(drawn, weight, here),
    )  # fmt: skip


def _entered(chains: Chains, here: At, took: Tensor, weight: float, asked: Settings) -> Chains:
    """The chains with this round's entry in history, and, after burn-in, among the draws."""
    entry = {
        "energy": here.energy / weight if weight else torch.zeros_like(here.energy),
        "accepted": precise(took),
        "norm": here.z.square().mean(1),
    }
    after, kept = chains.round - asked.burn_in, chains.kept
    if after >= 0 and after % asked.thin == 0:
        kept = (*kept, here.z.float())
    pictures = (*chains.pictures, here.pictures.half())
    return replace(chains, kept=kept, pictures=pictures, history=(*chains.history, entry))


def _known(chains: Chains, drawn: int, weight: float) -> At | None:
    """What is known of the codes as they are, if under the same augmentations; λ may have grown."""
    if chains.here is None or chains.here[0] != drawn:
        return None
    _, before, at = chains.here
    if before == weight:
        return at
    return at._replace(energy=at.energy * (weight / before), slope=at.slope * (weight / before))


def _tuned(step: Tensor, log_accept: Tensor | None, aim: float = 0.57, gain: float = 0.4) -> Tensor:
    """Each chain's step, longer after a move that was likelier to be taken than `aim`, the best for Langevin
    moves in many dimensions (Roberts & Rosenthal 1998), and shorter after another."""
    if log_accept is None:
        return step
    likely = log_accept.clamp_max(0).exp()
    return (step * (gain * (likely - aim)).exp()).clamp(1e-4, 2.0)


def _annealed(n: int, burn_in: int) -> float:
    """The share of λ in round n: from a tenth up to 1 in the middle of the burn-in, then 1."""
    return min(1.0, 0.1 + 0.9 * n / (burn_in / 2)) if burn_in else 1.0


def _noise(z: Tensor, seed: int, n: int) -> tuple[Tensor, Tensor]:
    """ω (B, d) and a uniform number (B,) for each chain, of its own stream."""
    streams = Streams(seed, len(z), of=f"round {n}")
    return streams.normal(z), streams.uniform().to(z)


def _started(g: Sampler, chains: int | Chains, asked: Settings) -> Chains:
    if isinstance(chains, Chains):
        return chains
    if not isinstance(chains, Code) and not whole(chains, 1):
        raise ValueError(
            f"chains is {chains!r}: give a whole number, at least 1, codes, or Chains."
        )
    z = chains if isinstance(chains, Code) else g.draw(chains, asked.seed)
    return Chains(z, torch.full((len(z),), asked.step).to(z.x_T))


class _Bar:
    """A progress bar with what tells whether a chain is well and, in a notebook, the pictures."""

    EVERY = 5  # rounds between two pictures

    def __init__(self, rounds: int, done: int):
        from tqdm.auto import tqdm

        self.bar, self.rounds = tqdm(total=rounds, initial=done, mininterval=1), rounds
        self.preview = preview()

    def show(self, chains: Chains) -> None:
        last = chains.history[-1]
        self.bar.update()
        self.bar.set_postfix(
            E=f"{last['energy'].mean():.3f}",
            accepted=f"{chains.of('accepted').mean():.2f}",
            norm=f"{last['norm'].mean():.3f}",
        )
        pictures, now = chains.here[2].pictures, chains.round
        seen = self.preview and pictures.ndim == 4 and pictures.shape[1] == 3
        if seen and (now % self.EVERY == 0 or now == self.rounds):
            self.preview(pictures)


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

    rows = values.T.cpu().double().numpy()  # (chains, draws)
    return {"R̂": float(array_stats.rhat(rows)), "ESS": float(array_stats.ess(rows))}
