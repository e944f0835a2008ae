"""Directions in h that no training makes: means, principal and singular vectors.

All are given as Δh, (k, C_h, H_h, W_h) or (C_h, H_h, W_h), for `constant` to make an edit of.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..checks import repeated, whole
from ..code import Code
from ..denoisers import Denoiser
from ..devices import check_slopes, precise
from ..judges.metrics import Interval
from ..sampler import Sampler
from .asyrp import Asyrp, PerTime, asymmetric
from .linear import push_and_pull


def constant(delta_h: Tensor, first: int, last: int = 0, visits: int | None = None) -> Asyrp:
    """The edit by one Δh (C_h, H_h, W_h) for all images and all times of an interval."""
    form = PerTime([first], delta_h[None]).requires_grad_(False)
    return Asyrp.of(form, first, last, visits)


@torch.no_grad()
def global_edit(sampler: Sampler, z: Code, edit: Asyrp, cond: Tensor | None = None) -> Asyrp:
    """The edit by the mean over images of each step's Δh, along their edited paths.

    The Δh^global of Kwon et al. 2023 (§5.3): one for all images, whose h it does not look at.
    Raises ValueError for an edit that acts at no step of the sampler.
    """
    times, means = [], []

    def step(denoiser, x, t, cond=None):
        b = denoiser.encode(x, t, cond)
        delta_h = edit.shift(b, t)
        if delta_h is not None:
            times.append(t)
            means.append(delta_h.mean(0))
        return asymmetric(denoiser, b, delta_h)

    sampler.decode(z, step, cond)
    if not times:
        raise ValueError("The edit shifts h at no step of this schedule: use more steps.")
    form = PerTime(times, torch.stack(means)).requires_grad_(False)
    return Asyrp.of(form, times[0], times[-1], len(times))


def principal(h: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The first k principal directions of h (N, C_h, H_h, W_h) over images, and their shares of variance.

    Each is as long as the standard deviation of h along it: at scale 1 an edit moves by one of it
    (Haas et al. 2024). Signs are arbitrary. Raises ValueError for a k that is not from 1 to N-1.
    """
    if not whole(k, 1, len(h) - 1):
        raise ValueError(f"k is {k!r}: of {len(h)} images there are 1 to {len(h) - 1} directions.")
    flat = precise((h - h.mean(0)).flatten(1))
    _, values, vectors = torch.linalg.svd(flat, full_matrices=False)
    lengths = values[:k] / (len(h) - 1) ** 0.5
    shares = values[:k].square() / values.square().sum()
    return (lengths[:, None] * vectors[:k]).view(k, *h.shape[1:]).to(h), shares


@sdpa_kernel(SDPBackend.MATH)  # the one attention that is twice differentiable on every device
def singular(
    denoiser: Denoiser,
    x: Tensor,
    t: int,
    k: int,
    rounds: int = 12,
    seed: int = 0,
    cond: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The k directions of h that move ε most at t, (k, C_h, H_h, W_h) orthonormal, and by how much (k,).

    Right-singular vectors of ∂ε/∂h (Park et al. 2023), found by subspace iteration with products of the
    Jacobian and of its transpose. Of several images x, those of their Jacobians stacked, whose values
    are root mean squares over the images: what moves all of them.
    Raises ValueError for rounds below 1, or a k that is not from 1 to the size of h.
    """
    if not whole(rounds, 1):
        raise ValueError(f"rounds is {rounds!r}: give a whole number, at least 1.")
    n, rest = len(x), [1] * (x.ndim - 1)
    with torch.no_grad():
        cond = repeated(cond, n, k)
        b = denoiser.encode(x.float().repeat(k, *rest), t, cond)
    if not whole(k, 1, b.h[0].numel()):
        raise ValueError(f"k is {k!r}: h has {b.h[0].numel()} directions, give 1 to as many.")
    check_slopes(denoiser, "A direction by the Jacobian of h")
    push, pull = push_and_pull(lambda delta_h: denoiser.decode(b, delta_h), torch.zeros_like(b.h))
    shape = b.h.shape[1:]
    v = torch.randn(shape.numel(), k, generator=torch.Generator().manual_seed(seed)).to(b.h)
    for _ in range(rounds):
        v = torch.linalg.qr(v).Q
        each = v.T.view(k, 1, *shape).expand(k, n, *shape).flatten(0, 1)
        back = pull(push(each)).view(k, n, *shape).mean(1)  # Jᵀ J v, its mean over images
        gram = v.T @ back.flatten(1).T
        v, last = back.flatten(1).T, v
    values, turn = torch.linalg.eigh((gram + gram.T) / 2)
    return (last @ turn.flip(1)).T.reshape(k, *shape), values.flip(0).clamp_min(0).sqrt()


def r_squared(x: Tensor, y: Tensor) -> Tensor:
    """R² of the best line through y (…, S) over x (S,), (…,) in [0, 1]; 0 where y does not change."""
    x, y = (precise(v) - precise(v).mean(-1, True) for v in (x, y))
    both = (x * y).sum(-1).square()
    return both / (x.square().sum() * y.square().sum(-1)).clamp_min(1e-30)


def linearity(scales: Tensor, values: Tensor, seed: int = 0, n: int = 1000) -> Interval:
    """R² of the line through the mean over images of values (S, N) at scales (S,), and its interval.

    The interval is the 95 % percentile interval over `n` resamplings of the images.
    Raises ValueError for other shapes, or fewer than 3 scales.
    """
    if values.shape[:1] != scales.shape or values.ndim != 2 or len(scales) < 3:
        raise ValueError(
            f"values are {tuple(values.shape)} at {tuple(scales.shape)} scales: give (S, N) and (S,), "
            "with at least 3 scales."
        )
    images, gen = values.shape[1], torch.Generator().manual_seed(seed)
    rows = torch.randint(images, (n, images), generator=gen)
    found = r_squared(scales, values.cpu().T[rows].mean(1))
    low, high = found.quantile(torch.tensor([0.025, 0.975]).double()).tolist()
    return Interval(r_squared(scales, values.cpu().mean(1)).item(), low, high)
