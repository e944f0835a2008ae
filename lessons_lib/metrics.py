"""Distances between samples and between images, each with what it is zero for."""

from __future__ import annotations

import torch
from scipy.stats import kstest
from torch import Tensor


def energy_distance(x: Tensor, y: Tensor) -> float:
    """2 E‖x-y‖ - E‖x-x'‖ - E‖y-y'‖ of two samples (N, d) and (M, d) (Székely & Rizzo 2013).

    Unbiased (pairs of a point with itself left out): about 0 where both have one distribution, and
    then as likely below it as above. In the units of x.
    """
    x, y = x.double().flatten(1), y.double().flatten(1)
    within = sum(torch.cdist(v, v).sum() / (len(v) * (len(v) - 1)) for v in (x, y))
    return (2 * torch.cdist(x, y).mean() - within).item()


def rms(x: Tensor, y: Tensor) -> Tensor:
    """Root-mean-square difference of each image, (B,), in the images' units (range 2)."""
    return (x - y).flatten(1).square().mean(1).sqrt()


def normality(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Of codes (S, B, *shape), per step: the standard deviation and the Kolmogorov-Smirnov distance
    to N(0, 1), (S,) each; a standard normal has 1 and about 0.87/sqrt(values).
    """
    flat = codes.double().flatten(1)
    distance = [kstest(step.cpu().numpy(), "norm").statistic for step in flat]
    return flat.std(1), torch.tensor(distance)


def neighbour_correlation(codes: Tensor) -> Tensor:
    """Correlation of horizontally adjacent pixels of codes (S, B, C, H, W), per step (S,)."""
    return _correlation(codes[..., :-1].flatten(1), codes[..., 1:].flatten(1))


def step_correlation(codes: Tensor) -> Tensor:
    """Correlation of each step's codes with the next step's, (S-1,)."""
    return _correlation(codes[:-1].flatten(1), codes[1:].flatten(1))


def _correlation(x: Tensor, y: Tensor) -> Tensor:
    x, y = (v.double() - v.double().mean(1, True) for v in (x, y))
    return (x * y).sum(1) / (x.norm(dim=1) * y.norm(dim=1)).clamp_min(1e-30)
