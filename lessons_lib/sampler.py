"""G: a sampler is a deterministic map from a latent code z to an image x.

One step (Song et al. 2021, eq. 12; P and D as Kwon et al. 2023 name them):

    x_t' = √ᾱ_t' P_t + D_t + σ_t ε_t
    P_t  = (x_t - √(1-ᾱ_t) ε) / √ᾱ_t        the predicted image
    D_t  = √(1-ᾱ_t' - σ_t²) ε               the direction to x_t

The code of a stochastic sampler is z = x_T ⊕ ε_T ⊕ … ⊕ ε_1 (Wu & De la Torre 2023, eq. 4), that of
a deterministic one z = x_T (eq. 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .denoisers import Denoiser, check_input, predict
from .schedule import Schedule, direction, even, whole


@dataclass(frozen=True)
class Code:
    """A latent code z of B images.

    x_T: (B, *shape), the starting noise.
    eps: (S, B, *shape), the noise of each step, to be multiplied by σ_t; None for a deterministic
        sampler (η=0).
    residual: (S,) bool, the steps whose σ was 0 (always the last one, which ends at the image).
        There eps is what the step's mean leaves to be added, in units of x: 0 in a drawn code, the
        kept residual in an encoded one.
    """

    x_T: Tensor
    eps: Tensor | None = None
    residual: Tensor | None = None

    def noise(self, i: int, sigma: Tensor) -> Tensor:
        """What step i adds to its mean, (B, *shape), in a sampler whose step has this σ."""
        if self.eps is None:
            return torch.zeros_like(self.x_T)
        return self.eps[i] * (
            1.0 if self.residual is not None and self.residual[i] else sigma.item()
        )

    def __len__(self) -> int:
        return len(self.x_T)

    def __getitem__(self, images: slice) -> Code:
        """The codes of some of the images."""
        eps = None if self.eps is None else self.eps[:, images]
        return Code(self.x_T[images], eps, self.residual)

    def repeat(self, times: int) -> Code:
        """All the codes, then all again, `times` over: one batch for several edits of the same codes."""
        rest = [1] * (self.x_T.ndim - 1)
        eps = None if self.eps is None else self.eps.repeat(1, times, *rest)
        return Code(self.x_T.repeat(times, *rest), eps, self.residual)


@dataclass(frozen=True)
class Step:
    """One step of a trajectory: from x at t to x_to at t_to."""

    i: int
    t: int
    t_to: int
    x: Tensor
    eps: Tensor
    h: Tensor | None
    P: Tensor
    D: Tensor
    noise: Tensor
    x_to: Tensor


# How a step gets its two ε's: (denoiser, x, t, cond) -> (ε for P, ε for D, h). An edit replaces it.
Edit = Callable[[Denoiser, Tensor, int, Tensor | None], tuple[Tensor, Tensor, Tensor | None]]


def plain(denoiser: Denoiser, x: Tensor, t: int, cond=None) -> tuple[Tensor, Tensor, Tensor | None]:
    """No edit: the same ε in P and D."""
    eps, h = predict(denoiser, x, t, cond)
    return eps, eps, h


def shift(
    delta: Tensor | Callable[[int], Tensor], in_P: bool | Tensor = True, in_D: bool | Tensor = True
) -> Edit:
    """An edit that adds `delta` (broadcast to x) to ε, in P, in D or in both.

    delta: a tensor, or a function of t that gives one.
    in_P, in_D: whether, or how much, for all images or in a tensor (B,) for each of them.
    """

    def edit(denoiser, x, t, cond=None):
        eps, h = predict(denoiser, x, t, cond)
        move = (delta(t) if callable(delta) else delta).to(eps)
        each = (torch.as_tensor(v).to(eps).view(-1, *[1] * (x.ndim - 1)) for v in (in_P, in_D))
        eps_P, eps_D = (eps + v * move for v in each)
        return eps_P, eps_D, h

    return edit


def predicted_image(x: Tensor, eps: Tensor, a: float) -> Tensor:
    """P_t(ε) = (x_t - √(1-ᾱ_t) ε) / √ᾱ_t."""
    return (x - (1 - a) ** 0.5 * eps) / a**0.5


class Sampler:
    """G for one denoiser: `decode` is G, `encode` its inverse, `trajectory` G step by step.

    steps: how many of the denoiser's training times are visited, evenly spaced from the last to 0.
    eta: 0 (DDIM) to 1 (DDPM).
    schedule: instead of `steps`, any list of pairs.
    dtype: of the state x. The default float64 keeps reconstruction exact; the network is called in
        its own precision.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        steps: int = 50,
        eta: float = 0.0,
        schedule: Schedule | None = None,
        dtype: torch.dtype = torch.float64,
    ):
        if not dtype.is_floating_point:
            raise ValueError(f"dtype is {dtype}: the state needs a floating-point one.")
        self.denoiser, self.eta, self.dtype = denoiser, eta, dtype
        table = denoiser.alpha_bar
        self.schedule = schedule or Schedule.of(table, even(len(table), steps))
        self.sigma = self.schedule.sigma(eta)
        # What an encoded step's residual is divided by, (S,): σ, or 1 where σ is 0.
        self.scale = torch.where(self.sigma > 0, self.sigma, 1.0)

    def with_eta(self, eta: float) -> Sampler:
        """The same sampler at another η."""
        return Sampler(self.denoiser, eta=eta, schedule=self.schedule, dtype=self.dtype)

    def draw(self, n: int, seed: int) -> Code:
        """`n` random codes z ~ N(0, I), the same on every device; the same x_T for every η."""
        if not whole(n, 1):
            raise ValueError(f"n is {n!r}: draw a whole number of codes, at least 1.")
        if not whole(seed, 0):
            raise ValueError(f"seed is {seed!r}: give a whole number from 0.")
        gen = torch.Generator().manual_seed(seed)
        shape = (n, *self.denoiser.shape)
        x_T = torch.randn(shape, generator=gen, dtype=torch.float64).to(
            self.denoiser.device, self.dtype
        )
        if self.eta == 0:
            return Code(x_T)
        eps = torch.randn((len(self.schedule), *shape), generator=gen, dtype=torch.float64)
        eps[self.sigma == 0] = 0
        return Code(x_T, eps.to(self.denoiser.device, self.dtype), self.sigma == 0)

    def decode(self, z: Code, edit: Edit = plain, cond: Tensor | None = None) -> Tensor:
        """x = G(z), (B, *shape)."""
        for step in self.trajectory(z, edit, cond):  # noqa: B007
            pass
        return step.x_to

    def path(self, z: Code, edit: Edit = plain, cond: Tensor | None = None) -> Tensor:
        """x at every level from x_T to x_0, (S+1, B, *shape)."""
        return torch.stack(
            [z.x_T.to(self.denoiser.device, self.dtype)]
            + [step.x_to for step in self.trajectory(z, edit, cond)]
        )

    def encode(self, x: Tensor, seed: int = 0, cond: Tensor | None = None, **options) -> Code:
        """A code with decode(z) = x; see `encoder.encode` for the options."""
        from .encoder import encode  # the encoder is built on this class

        return encode(self, x, seed, cond=cond, **options)

    @torch.no_grad()
    def trajectory(self, z: Code, edit: Edit = plain, cond: Tensor | None = None) -> Iterator[Step]:
        """The steps of G from z, one at a time."""
        self._check(z, cond)
        if not callable(edit):
            raise ValueError(f"edit is a {type(edit).__name__}: give a function, or nothing.")
        x = z.x_T.to(self.denoiser.device, self.dtype)
        for i in range(len(self.schedule)):
            noise = z.noise(i, self.sigma[i]).to(x)
            step = self.step(x, i, noise, edit, cond)
            yield step
            x = step.x_to

    def step(self, x: Tensor, i: int, noise: Tensor, edit: Edit = plain, cond=None) -> Step:
        """Step `i` of the schedule from x, with `noise` (σ_t ε_t) to be added."""
        s = self.schedule
        t, t_to, a, a_to = s.t[i].item(), s.t_to[i].item(), s.a[i].item(), s.a_to[i].item()
        eps_P, eps_D, h = edit(self.denoiser, x, t, cond)
        P = predicted_image(x, eps_P, a)
        D = direction(s.a_to[i], self.sigma[i]).item() * eps_D
        return Step(i, t, t_to, x, eps_D, h, P, D, noise, a_to**0.5 * P + D + noise)

    def _check(self, z: Code, cond: Tensor | None) -> None:
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
        check_input(self.denoiser, z.x_T, cond=cond)
