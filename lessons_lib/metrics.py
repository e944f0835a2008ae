"""Distances between samples and between images, each with what it is zero for."""

from __future__ import annotations

import torch
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
