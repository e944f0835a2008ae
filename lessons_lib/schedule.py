"""Noise schedules: ᾱ, the list of pairs (t, t'), and every coefficient of a step.

| here        | papers              | meaning                                                    |
|-------------|---------------------|------------------------------------------------------------|
| `alpha_bar` | ᾱ_t = ∏(1-β_s)      | share of the signal's variance left at t; never plain α    |
| `a`, `a_to` | ᾱ_t, ᾱ_t'           | the two ends of one step, t' < t; ᾱ = 1 at t' = -1         |
| `sigma`     | σ_t(η)              | noise added by the step: η=0 is DDIM, η=1 is DDPM          |
| `kappa`     | κ_t                 | how far one unit of Δε in both P and D moves x_t'          |

Functions of `a`, `a_to` and `sigma` take tensors of one shape, such as (S,), and give tensors like them.
Everything is float64: these are a few thousand numbers, and reconstruction needs them exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

import numpy as np
import torch
from torch import Tensor

from .checks import whole

TRAIN_STEPS = 1000  # T of Ho et al. 2020 (§4)


def linear_alpha_bar(
    train_steps: int = TRAIN_STEPS, beta_start: float = 1e-4, beta_end: float = 0.02
) -> Tensor:
    """ᾱ (T,) of linearly rising β (Ho et al. 2020, §4, whose ends are the default).

    Raises ValueError for train_steps below 1, or β that fall or are not within (0, 1).
    """
    _check_betas(train_steps, beta_start, beta_end)
    return torch.cumprod(
        1 - torch.linspace(beta_start, beta_end, train_steps, dtype=torch.float64), 0
    )


def scaled_linear_alpha_bar(
    train_steps: int = TRAIN_STEPS, beta_start: float = 0.00085, beta_end: float = 0.012
) -> Tensor:
    """ᾱ (T,) with √β rising linearly (Rombach et al. 2022); the ends are by default Stable Diffusion's.

    Raises ValueError as `linear_alpha_bar`.
    """
    _check_betas(train_steps, beta_start, beta_end)
    ends = (beta_start**0.5, beta_end**0.5, train_steps)
    return torch.cumprod(1 - torch.linspace(*ends, dtype=torch.float64) ** 2, 0)


def _check_betas(train_steps: int, beta_start: float, beta_end: float) -> None:
    if not whole(train_steps, 1):
        raise ValueError(f"train_steps is {train_steps!r}: give a whole number from 1.")
    if not 0 < beta_start <= beta_end < 1:
        raise ValueError(
            f"beta_start={beta_start}, beta_end={beta_end}: need 0 < beta_start <= beta_end < 1."
        )


def even(train_steps: int, steps: int, first: int | None = None) -> list[int]:
    """`steps` times from `first` (default T-1) down to 0, evenly spaced and rounded.

    Raises ValueError for a first time that is not one of the T, or steps that are not from 1 to first + 1.
    """
    first = train_steps - 1 if first is None else first
    if not whole(first, 0, train_steps - 1):
        raise ValueError(f"The first time is {first}: it must be from 0 to {train_steps - 1}.")
    if not whole(steps, 1, first + 1):
        raise ValueError(f"steps is {steps!r}: give a whole number from 1 to {first + 1}.")
    if steps == 1:
        return [first]
    return [round(first * (1 - i / (steps - 1))) for i in range(steps)]


def of_thousand(t: int, train_steps: int) -> int:
    """The time that is to `train_steps` what t, from 0 to 999, is to 1,000: 736 of 1,000 is 73 of 100.

    Times that are written down here, as in the papers, are of 1,000; other models have more or fewer.
    Raises ValueError for a time that is not from 0 to 999.
    """
    if not whole(t, 0, TRAIN_STEPS - 1):
        raise ValueError(f"t is {t!r}: give a whole number from 0 to {TRAIN_STEPS - 1}, of 1,000.")
    return round(t * (train_steps - 1) / (TRAIN_STEPS - 1))


def trailing(train_steps: int, steps: int) -> list[int]:
    """T-1, T-1-T/steps, …: diffusers' 'trailing' spacing, whose last step is as long as the others.

    Raises ValueError for steps that are not from 1 to T.
    """
    if not whole(steps, 1, train_steps):
        raise ValueError(f"steps is {steps!r}: give a whole number from 1 to {train_steps}.")
    times = np.arange(train_steps, 0, -train_steps / steps)[:steps]  # theirs, halves and all
    return [round(t) - 1 for t in times.tolist()]


@dataclass(frozen=True)
class Schedule:
    """The steps of a sampler: pairs (t, t') from noise to image, with ᾱ at both ends.

    t, t_to: (S,) int64, t_to < t; the last t_to is -1, the clean image.
    a, a_to: (S,) float64, ᾱ at t and t_to; `a_to[-1]` is 1, or the given last level.
    """

    t: Tensor
    t_to: Tensor
    a: Tensor
    a_to: Tensor

    @classmethod
    def of(cls, alpha_bar: Tensor, times: list[int], last_alpha_bar: float = 1.0) -> Schedule:
        """The schedule through `times` (strictly falling) and then to the image.

        alpha_bar: (T,) falling, within (0, 1).
        last_alpha_bar: ᾱ at t' = -1; 1 ends at the image itself, `alpha_bar[0]` at the first noise
            level (diffusers' set_alpha_to_one=False).
        Raises ValueError for times that do not fall or are none of the T, and for a last ᾱ below that of
        the last time or above 1.
        """
        alpha_bar = checked_alpha_bar(alpha_bar)
        t = torch.as_tensor(times)
        whole_times = t.ndim == 1 and not t.is_floating_point() and len(t) > 0
        if not whole_times or (t[1:] >= t[:-1]).any() or t.min() < 0 or t.max() >= len(alpha_bar):
            raise ValueError(
                f"A schedule's times must fall strictly, from at most {len(alpha_bar) - 1} to at least 0."
            )
        if not alpha_bar[t[-1]] < last_alpha_bar <= 1 and last_alpha_bar != alpha_bar[t[-1]]:
            raise ValueError(
                f"last_alpha_bar is {last_alpha_bar}: it must be above ᾱ of the last time and at most 1."
            )
        t_to = torch.cat([t[1:], torch.tensor([-1])])
        last = torch.tensor([last_alpha_bar], dtype=torch.float64)
        return cls(t, t_to, alpha_bar[t], torch.cat([alpha_bar[t[1:]], last]))

    def __len__(self) -> int:
        return len(self.t)

    def within(self, first: int, last: int) -> list[int]:
        """The steps of an editing interval, first ≥ t ≥ last: indices into `t`. ValueError if it has none."""
        steps = [i for i, t in enumerate(self.t.tolist()) if first >= t >= last]
        if not steps:
            raise ValueError(
                f"No step of this schedule is in the interval from {first} to {last}: use more steps."
            )
        return steps

    def sigma(self, eta: float) -> Tensor:
        """σ_t(η), (S,). Raises ValueError for an η that is not from 0 to 1."""
        return sigma(self.a, self.a_to, eta)


def checked_alpha_bar(alpha_bar: Tensor) -> Tensor:
    """ᾱ (T,) in float64 on the CPU. Raises ValueError if it does not fall strictly within (0, 1)."""
    alpha_bar = torch.as_tensor(alpha_bar, dtype=torch.float64).cpu()
    if alpha_bar.ndim != 1 or len(alpha_bar) == 0:
        falls = False
    else:
        falls = (alpha_bar.diff() < 0).all() and alpha_bar.min() > 0 and alpha_bar.max() < 1
    if not falls:
        raise ValueError("alpha_bar must be a list that falls strictly within (0, 1).")
    return alpha_bar


def sigma(a: Tensor, a_to: Tensor, eta: float) -> Tensor:
    """σ_t(η) = η √((1-ᾱ')/(1-ᾱ)) √(1-ᾱ/ᾱ') (Song et al. 2021, eq. 16). ValueError for η not in [0, 1]."""
    if not isinstance(eta, Real) or not 0 <= eta <= 1:
        raise ValueError(f"eta is {eta!r}: it must be from 0 (DDIM) to 1 (DDPM).")
    return eta * torch.sqrt((1 - a_to) / (1 - a)) * torch.sqrt((1 - a / a_to).clamp_min(0))


def factor_in_D(a_to: Tensor, sigma: Tensor) -> Tensor:
    """The factor of ε in D_t: √(1-ᾱ'-σ²)."""
    return torch.sqrt((1 - a_to - sigma**2).clamp_min(0))


def kappa(a: Tensor, a_to: Tensor, eta: float) -> Tensor:
    """κ_t: x_t' moves by κ_t Δε when ε is shifted by Δε in both P and D (Kwon et al. 2023, Theorem 1).

    Raises ValueError for an η that is not from 0 to 1.
    """
    return factor_in_D(a_to, sigma(a, a_to, eta)) + p_only(a, a_to)


def p_only(a: Tensor, a_to: Tensor) -> Tensor:
    """-√(ᾱ'(1-ᾱ)/ᾱ): x_t' moves by this times Δε when ε is shifted in P alone."""
    return -torch.sqrt(a_to * (1 - a) / a)


def mean_coefficients(a: Tensor, a_to: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """(c_x, c_P) with μ = c_x x_t + c_P P: the mean of q(x_t' | x_t, x_0 = P) (Song et al. 2021, eq. 7)."""
    c_x = factor_in_D(a_to, sigma) / torch.sqrt(1 - a)
    return c_x, torch.sqrt(a_to) - c_x * torch.sqrt(a)


def noised(x: Tensor, noise: Tensor, a: Tensor | float) -> Tensor:
    """x_t = √ᾱ x_0 + √(1-ᾱ) noise: a draw of q(x_t | x_0) (Ho et al. 2020, eq. 4).

    x, noise: (B, *shape). a: ᾱ_t, a number, or (B, 1, …).
    """
    return a**0.5 * x + (1 - a) ** 0.5 * noise
