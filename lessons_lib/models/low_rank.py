"""A network changed by little: low-rank additions to its weights (Hu et al. 2022, LoRA), and its biases.

A family's network is `faces` and a tenth of its numbers: that is what lies on disk.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

LEAST = 4096  # weights of a layer; a smaller one learns as it is


class LowRank(nn.Module):
    """W + up · down, of a weight W (O, …) seen as a matrix; nothing is added at first."""

    def __init__(self, weight: Tensor, rank: int):
        super().__init__()
        rows, columns = weight.flatten(1).shape
        self.down = nn.Parameter(torch.randn(rank, columns) / columns**0.5)
        self.up = nn.Parameter(torch.zeros(rows, rank))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.up @ self.down).view_as(weight)


def adapt(net: nn.Module, rank: int) -> nn.Module:
    """Let a network learn by low-rank additions and by what is small in it, in place; returns it.

    What it held is frozen, but for layers of fewer than `LEAST` weights, biases and norms.
    """
    layers = [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    for parameter in net.parameters():
        parameter.requires_grad_(parameter.numel() < LEAST)
    for layer in layers:
        if layer.weight.numel() >= LEAST:
            parametrize.register_parametrization(layer, "weight", LowRank(layer.weight, rank))
    return net


def learnt(net: nn.Module) -> dict[str, Tensor]:
    """What learns in a network, by name: what is to be saved beside what it came from."""
    return {name: p.detach() for name, p in net.named_parameters() if p.requires_grad}


def cut(tensors: dict[str, Tensor], rank: int) -> dict[str, Tensor]:
    """The same additions of a lower rank, nearest to them (Eckart & Young 1936), and the rest as it is."""
    out = dict(tensors)
    for name in [k for k in tensors if k.endswith(".up")]:
        down = name.removesuffix("up") + "down"
        u, s, v = torch.linalg.svd(tensors[name].double() @ tensors[down].double(), False)
        root = s[:rank].sqrt()
        out[name], out[down] = u[:, :rank] * root, root[:, None] * v[:rank]
    return out


def fitted(small: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """Additions of a lower rank in the place of the first of `own`, whose others then add nothing."""
    out = dict(small)
    for name in [k for k in small if k.endswith(".up")]:
        down, rank = name.removesuffix("up") + "down", small[name].shape[1]
        out[name] = torch.zeros_like(own[name])
        out[name][:, :rank] = small[name]
        out[down] = own[down].clone()
        out[down][:rank] = small[down]
    return out


def merge(net: nn.Module) -> nn.Module:
    """Add the additions to the weights, in place, so that the network is a plain one again; returns it."""
    for layer in list(net.modules()):
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight")
    return net.requires_grad_(False)
