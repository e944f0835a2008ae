"""G: a sampler is a deterministic map from a latent code z to an image x (see `code` for its step)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from .checks import check_denoiser, check_input, checked_answer, whole
from .code import Code, Edit, Eps, Step, plain
from .denoisers import Denoiser, predict
from .devices import precise, precision
from .encoder import Path, encode, posterior
from .estimate import check_batch, check_code, timed
from .schedule import Schedule, even, factor_in_D
from .streams import Seed, Streams

# What a step adds to its mean: (B, *shape), or a function (i, σ) that gives it, as `Code.noise`.
Noise = Tensor | Callable[[int, float | Tensor], Tensor]


class Factors(NamedTuple):
    """The factors of a step: √ᾱ_t, √(1-ᾱ_t), √ᾱ_t' and √(1-ᾱ_t'-σ_t²)."""

    signal: float | Tensor
    noise: float | Tensor
    signal_to: float | Tensor
    eps_in_D: float | Tensor


class Sampler:
    """G for one denoiser: `decode` is G, `encode` its inverse, `trajectory` G step by step.

    steps: how many of the denoiser's training times are visited, evenly spaced from the last to 0.
    eta: 0 (DDIM) to 1 (DDPM).
    schedule: instead of `steps`, any list of pairs.
    dtype: of the state x. The default float64 keeps reconstruction exact (float32 on mps, which has no more);
        the network is called in its own precision.
    t_boost: only the steps at and below this time are stochastic (see `intervals`); None is all.
    sigma: (S,), what that comes to: σ_t(η), or 0.

    Raises ValueError for what is no denoiser, and for steps, an η or a dtype that no sampler has.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        steps: int = 50,
        eta: float = 0.0,
        schedule: Schedule | None = None,
        dtype: torch.dtype | None = None,
        t_boost: int | None = None,
    ):
        check_denoiser(denoiser)
        self.denoiser, self.eta, self.t_boost = denoiser, eta, t_boost
        self.dtype = precision(denoiser.device) if dtype is None else dtype
        table = denoiser.alpha_bar
        self.schedule = schedule or Schedule.of(table, even(len(table), steps))
        self._settle()

    def _settle(self) -> None:
        if not isinstance(self.schedule, Schedule):
            raise ValueError(
                f"schedule is {self.schedule!r}: give one, as `Schedule.of(alpha_bar, times)` makes it."
            )
        if not isinstance(self.dtype, torch.dtype):
            raise ValueError(f"dtype is {self.dtype!r}: give one such as torch.float32.")
        if not self.dtype.is_floating_point:
            raise ValueError(f"dtype is {self.dtype}: the state needs a floating-point one.")
        if self.dtype.itemsize > precision(self.denoiser.device).itemsize:
            raise ValueError(f"dtype is {self.dtype}, which mps does not have: give torch.float32.")
        self.sigma = self.schedule.sigma(self.eta)
        if self.t_boost is not None:
            if not whole(self.t_boost, float("-inf")):
                raise ValueError(
                    f"t_boost is {self.t_boost!r}: give a training time; a negative one is none."
                )
            self.sigma = torch.where(self.schedule.t <= self.t_boost, self.sigma, 0.0)

    def replace(self, **changes) -> Sampler:
        """The same sampler but for these: denoiser, eta, schedule, dtype, t_boost.

        Raises TypeError for any other name, ValueError for a value that no sampler has.
        """
        if strange := set(changes) - {"denoiser", "eta", "schedule", "dtype", "t_boost"}:
            raise TypeError(
                f"A sampler has no {', '.join(sorted(strange))} to replace: it has denoiser, eta, "
                "schedule, dtype and t_boost."
            )
        other = copy.copy(self)
        vars(other).update(changes)
        other._settle()
        return other

    def with_eta(self, eta: float) -> Sampler:
        """The same sampler at another η."""
        return self.replace(eta=eta)

    def draw(self, n: int, seed: Seed) -> Code:
        """`n` random codes z ~ N(0, I), the same on every device; the same x_T for every η.

        seed: each code draws from its own stream (see `streams`), whatever n.
        Raises ValueError for an n below 1 or what is no seed.
        """
        if not whole(n, 1):
            raise ValueError(f"n is {n!r}: draw a whole number of codes, at least 1.")
        if self.eta > 0:
            check_code(self.denoiser, n, len(self.schedule), self.dtype, copies=3)
        streams, styled = Streams(seed, n), getattr(self.denoiser, "style_shape", None)

        def normal(*shape: int) -> Tensor:
            return streams.normal(
                torch.empty(n, *shape, device=self.denoiser.device, dtype=self.dtype)
            )

        x_T = normal(*self.denoiser.shape)
        style = None if styled is None else normal(*styled)
        if self.eta == 0:
            return Code(x_T, style=style)
        eps = normal(len(self.schedule), *self.denoiser.shape).transpose(0, 1).contiguous()
        eps[self.sigma == 0] = 0
        return Code(x_T, eps, self.sigma == 0, style)

    def told(self, z: Code, cond: Tensor | None = None) -> Tensor | None:
        """The condition of codes: `cond`, if given, else what their style says; differentiable in it."""
        if cond is not None or z.style is None:
            return cond
        if getattr(self.denoiser, "style_shape", None) != z.style.shape[1:]:
            raise ValueError(
                f"The code has a style {tuple(z.style.shape[1:])}, which this model is not told: "
                "decode it with the model that it is of."
            )
        return self.denoiser.told(z.style.to(self.denoiser.device, self.dtype))

    def decode(self, z: Code, edit: Edit = plain, cond: Tensor | None = None) -> Tensor:
        """x = G(z), (B, *shape).

        Raises ValueError, in one sentence, for a code of other steps or images than this sampler's, and
        where the model's answer is not finite.
        """
        return final(self.trajectory(z, edit, cond)).x_to

    def path(self, z: Code, edit: Edit = plain, cond: Tensor | None = None) -> Tensor:
        """x at every level from x_T to x_0, (S+1, B, *shape)."""
        return torch.stack(
            [z.x_T.to(self.denoiser.device, self.dtype)]
            + [step.x_to for step in self.trajectory(z, edit, cond)]
        )

    def encode(
        self, x: Tensor, seed: Seed = 0, cond: Tensor | None = None, path: Path = posterior,
        at_once: int | None = None,
    ) -> Code:  # fmt: skip
        """A code with decode(z) = x, by the DPM-Encoder (Wu & De la Torre 2023, eq. 5).

        x: (B, *shape), in [-1, 1] for image models.
        seed: each image draws from its own stream (see `streams`), whatever its company.
        path: `encoder.posterior`, or `encoder.independent`.
        at_once: how many images go through the network in one pass, by default what its memory allows.
        Raises ValueError for what is no such image, seed or condition.
        """
        return encode(self, x, seed, path, cond, at_once)

    @torch.no_grad()
    def trajectory(self, z: Code, edit: Edit = plain, cond: Tensor | None = None) -> Iterator[Step]:
        """The steps of G from z, one at a time, without gradients. Raises ValueError as `decode`."""
        self.check_code(z)
        check_input(self.denoiser, z.x_T, cond=cond)
        if not callable(edit):
            raise ValueError(f"edit is a {type(edit).__name__}: give a function, or nothing.")
        x, cond = z.x_T.to(self.denoiser.device, self.dtype), self.told(z, cond)
        check_batch(self.denoiser, len(x), cond)
        yield from self.walk(x, z.noise, 0, edit, cond)

    def walk(
        self,
        x: Tensor,
        noise: Noise | None = None,
        first: int = 0,
        edit: Edit = plain,
        cond: Tensor | None = None,
        after: Callable[[Step], Tensor] | None = None,
    ) -> Iterator[Step]:
        """The loop over steps: from x (B, *shape) where step `first` begins, to the image.

        Gradients flow through it to x, to the noise and to what the edit depends on. Raises ValueError where
        the model's answer is not finite.

        noise: what each step adds, as of `Code.noise`; None is nothing.
        after: what the next step starts from, if not from the last one's x_to.
        """
        for i in timed(range(first, len(self.schedule)), len(self.schedule) - first):
            step = self.step(x, i, noise, edit, cond)
            checked_answer(step.x_to)
            yield step
            x = step.x_to if after is None else after(step)

    def step(
        self, x: Tensor, i: int, noise: Noise | None = None, edit: Edit = plain, cond=None
    ) -> Step:
        """Step `i` of the schedule from x (B, *shape), with `noise` to be added to its mean."""
        s = self.schedule
        t, t_to = s.t[i].item(), s.t_to[i].item()
        answer = edit(self.denoiser, x, t, cond)
        if not isinstance(answer, tuple):
            raise ValueError(
                f"The edit answers a step with a {type(answer).__name__}: give an Eps, ε for P and ε for D."
            )
        eps = Eps(*answer)
        if noise is None:
            noise = torch.zeros_like(x)
        elif callable(noise):
            noise = noise(i, self._spread(i, eps.sigma)).to(x)
        P, D, mean = self._terms(x, eps.P, eps.D, self._factors(i))
        return Step(i, t, t_to, x, eps.D, eps.h, P, D, noise, mean + noise)

    def mean(self, x: Tensor, i: int | Tensor, cond: Tensor | None = None) -> Tensor:
        """μ(x, t), (B, *shape): the mean of x_t' for plain steps; differentiable in x.

        i: a step, or one for each image, (B,) int64.
        """
        return self.mean_and_sigma(x, i, cond)[0]

    def mean_and_sigma(
        self, x: Tensor, i: int | Tensor, cond: Tensor | None = None
    ) -> tuple[Tensor, float | Tensor]:
        """`mean`, and what the steps' noise is multiplied by."""
        if isinstance(i, int) and not 0 <= i < len(self.schedule):
            raise ValueError(f"i is {i}: this sampler's steps are 0 to {len(self.schedule) - 1}.")
        times = self.schedule.t[i].item() if isinstance(i, int) else self.schedule.t.to(x.device)[i]
        eps, _, sigma = predict(self.denoiser, x, times, cond)
        return self._terms(x, eps, eps, self._factors(i, x))[2], self._spread(i, sigma, x)

    @staticmethod
    def _terms(x: Tensor, eps_P: Tensor, eps_D: Tensor, f: Factors) -> tuple[Tensor, ...]:
        """(P, D, μ)."""
        P, D = (x - f.noise * eps_P) / f.signal, f.eps_in_D * eps_D
        return P, D, f.signal_to * P + D

    def _factors(self, i: int | Tensor, like: Tensor | None = None) -> Factors:
        """Of one step, numbers; of steps (B,), each (B, 1, …), rounded to x's dtype only at the end."""
        s = self.schedule
        if isinstance(i, int):
            a, a_to = s.a[i].item(), s.a_to[i].item()
            towards = factor_in_D(s.a_to[i], self.sigma[i]).item()
            return Factors(a**0.5, (1 - a) ** 0.5, a_to**0.5, towards)
        all_of_them = s.a.sqrt(), (1 - s.a).sqrt(), s.a_to.sqrt(), factor_in_D(s.a_to, self.sigma)
        return Factors(*(_each(v, i, like) for v in all_of_them))

    def _spread(self, i: int | Tensor, own, like: Tensor | None = None) -> float | Tensor:
        """σ of a step (or of steps (B,)): the schedule's, or the model's own where the schedule has any."""
        s = self.schedule
        if isinstance(i, int):
            sigma, ends = self.sigma[i].item(), (s.a[i].item(), s.a_to[i].item())
            if own is None or sigma == 0:
                return sigma
            return own(*ends, self.eta) if callable(own) else own
        sigma = _each(self.sigma, i, like)
        if own is None:
            return sigma
        if callable(own):
            # ᾱ in float64, as for one step: 1-ᾱ cancels in less.
            own = own(*(_each(v, i, precise(like)) for v in (s.a, s.a_to)), self.eta)
        return torch.where(sigma > 0, own, sigma)

    def check_code(self, z: Code) -> None:
        """Raise ValueError, in one sentence, for what is no code of this sampler's steps and images."""
        if not isinstance(z, Code):
            raise ValueError(
                f"z is a {type(z).__name__}: give a Code, as draw and encode return it."
            )
        if z.x_T.shape[1:] != self.denoiser.shape:
            raise ValueError(
                f"The code is of images {tuple(z.x_T.shape[1:])}, "
                f"but this model's are {tuple(self.denoiser.shape)}."
            )
        if z.eps is None and self.eta > 0:
            raise ValueError(
                f"The code has no noise, as of a deterministic sampler, but eta is {self.eta}: "
                "decode it with eta=0, or draw or encode one with this sampler."
            )
        if z.eps is not None and len(z.eps) != len(self.schedule):
            raise ValueError(
                f"The code has {len(z.eps)} steps, but this sampler has {len(self.schedule)}: "
                "use the same steps."
            )
        if z.eps is not None and z.eps.shape[1:] != z.x_T.shape:
            raise ValueError(
                f"The code's noise is for {tuple(z.eps.shape[1:])}, but its x_T is {tuple(z.x_T.shape)}."
            )
        if not z.x_T.isfinite().all() or (z.eps is not None and not z.eps.isfinite().all()):
            raise ValueError("The code has values that are not finite.")


def usual(denoiser: Denoiser, steps: int) -> Sampler:
    """The sampler of a model for looking at it: at its own η, with `steps` or as many as it has times."""
    return Sampler(denoiser, min(steps, len(denoiser.alpha_bar)), denoiser.eta)


def final(steps: Iterable[Step]) -> Step:
    """The last of a walk's steps, with nothing of the others kept."""
    for step in steps:  # noqa: B007
        pass
    return step


def _each(values: Tensor, steps: Tensor, x: Tensor) -> Tensor:
    """A schedule's values, (S,) float64, at steps (B,): (B, 1, …) in x's dtype."""
    return values.to(x)[steps].view(-1, *[1] * (x.ndim - 1))
