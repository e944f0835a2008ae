"""Guidance where the answer is known: affine generators and mixtures, in closed form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ..code import Code
from ..methods.energies import Energy, of
from ..methods.guidance import flat, like
from ..methods.moves import At, Rule, Target
from ..models.mixture import GaussianMixture
from ..sampler import Sampler
from ..streams import Streams


class Affine(NamedTuple):
    """x = A z + b: what a sampler of one Gaussian is. A: (D, d); b: (D,)."""

    A: Tensor
    b: Tensor

    def posterior(self, wanted: Tensor, weight: float) -> tuple[Tensor, Tensor]:
        """Mean (d,) and covariance (d, d) of z under weight · ½‖x - wanted‖² and the prior N(0, I)."""
        precision = torch.eye(self.A.shape[1], dtype=self.A.dtype) + weight * self.A.T @ self.A
        covariance = torch.linalg.inv(precision)
        return weight * covariance @ self.A.T @ (wanted - self.b), covariance


def affine(g: Sampler) -> Affine:
    """G of a mixture of one Gaussian, found by decoding 0 and the unit codes."""
    z = g.draw(1, seed=0)
    d = flat(z).shape[1]
    basis = torch.cat([torch.zeros(1, d), torch.eye(d)]).to(z.x_T)
    images = torch.cat([g.decode(like(z, row[None])).flatten(1) for row in basis])
    return Affine((images[1:] - images[0]).T, images[0])


def far_from(wanted: Tensor) -> Energy:
    """½‖x - wanted‖² (B,)."""
    return of(lambda x: (x - wanted).square().flatten(1).sum(1) / 2)


def conditioned(
    model: GaussianMixture, wanted: Tensor, known: Tensor, weight: float
) -> GaussianMixture:
    """The mixture times exp(-weight · ½‖known · (x - wanted)‖²), which is a mixture again.

    model: of isotropic Gaussians. wanted: (*shape); known: (*shape), 1 or 0.
    """
    wanted, known = (v.flatten().to(model.means) for v in (wanted, known))
    v = model.spread[:, :1]  # (K, 1)
    tighter = 1 / (1 / v + weight * known)  # (K, d), the variances afterwards
    means = tighter * (model.means / v + weight * known * wanted)
    off = known * (model.means - wanted)
    log_weights = model.log_weights - (off.square() / (v + 1 / weight) / 2).sum(1)
    log_weights = log_weights - (known * (1 + weight * v).log() / 2).sum(1)
    return GaussianMixture(
        means.view(-1, *model.shape), covariance=torch.diag_embed(tighter.expand_as(means)),
        weights=log_weights.softmax(0), labels=model.component_labels,
    )  # fmt: skip


def low_frequencies(code: Code, share: float = 0.25):
    """The projection of flat codes (B, d) like `code` on what is slow in each of its noises: wave numbers of
    at most this share of the highest, both ways."""
    shape = code.x_T.shape[1:]
    rows, columns = (torch.fft.fftfreq(side).abs() <= share / 2 for side in shape[-2:])
    keep = rows[:, None] & columns[None]

    def part(values: Tensor) -> Tensor:
        noises = values.view(len(values), -1, *shape)
        return torch.fft.ifft2(torch.fft.fft2(noises) * keep.to(values.device)).real.flatten(1)

    return part


def only(code: Code, noises: slice):
    """The projection on some of a code's noises: x_T is 0, then the steps' in turn."""
    size = code.x_T[0].numel()

    def part(values: Tensor) -> Tensor:
        each = values.view(len(values), -1, size)
        kept = torch.zeros_like(each)
        kept[:, noises] = each[:, noises]
        return kept.flatten(1)

    return part


def walked(
    rule: Rule, target: Target, z: Tensor, step: float, rounds: int, seed: int = 0
) -> Iterator[At]:
    """A rule's chains from z (B, d), with their accept/reject, after each round."""
    streams, at = Streams(seed, len(z)), target(z, seed)
    noise = streams.normal(z[:, None].expand(-1, rounds, -1))  # (B, rounds, d)
    uniform = streams.uniform(rounds).to(z)
    for i in range(rounds):
        there, log_accept = rule(at, target, step, noise[:, i], seed)
        if log_accept is not None:
            took = (uniform[:, i].log() < log_accept)[:, None]
            pairs = zip(there[:3], at[:3], strict=True)
            there = At(*(torch.where(took[:, 0] if a.ndim == 1 else took, a, b) for a, b in pairs))
        at = there
        yield at


def nothing(z: Tensor, seed: int) -> At:
    """No energy: the target is the prior."""
    return At(z, torch.zeros(len(z)).to(z), torch.zeros_like(z))


def weighed(x: Tensor, energy: Tensor, n: int, seed: int) -> Tensor:
    """`n` of unguided draws x (N, *shape), picked by exp(-λE), energy = λE (N,): of the posterior, if N is
    large (sampling-importance resampling, Rubin 1988)."""
    if not energy.isfinite().all():
        raise ValueError(
            "The energy has values that are not finite: give one that is finite for all."
        )
    gen = torch.Generator().manual_seed(seed)
    return x[torch.multinomial((-energy).softmax(0), n, replacement=True, generator=gen)]
