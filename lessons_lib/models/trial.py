"""One trial pass of a network from elsewhere: what it cannot do is said when it is loaded."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from .unet import UNet

SMALL = (
    64  # pixels: a trial on more is made on a smaller picture, where the network's levels allow it
)


@torch.no_grad()
def check_runs(model: UNet) -> None:
    """Run a network once, by itself as diffusers does and split at its bottleneck: both must say the same.

    Raises ValueError, in one sentence, for one that diffusers cannot run, that is built in a way which is
    not supported here, or whose answer is not finite.
    """
    side = _side(model)
    shape = torch.Size((model.shape[0], side, side))
    small = copy.copy(model)
    small.shape = shape
    gen = torch.Generator().manual_seed(0)
    x = torch.randn((1, *shape), generator=gen).to(model.device)
    cond = _some_cond(model)
    try:
        theirs = _as_diffusers(model, x, cond)
    except Exception as error:  # its blocks raise many kinds
        raise ValueError(
            f"diffusers itself cannot run this network on {side}×{side} pixels ({_first_line(error)})"
        ) from None
    try:
        ours = small._outputs(small.encode(x, 0, cond), None)
    except Exception as error:
        raise ValueError(
            f"this network is built in a way that is not supported here ({_first_line(error)})"
        ) from None
    if not theirs.isfinite().all() and model.dtype == torch.float16:
        raise ValueError("its network's answer leaves float16's range: give precision='bfloat16'")
    if not theirs.isfinite().all():
        raise ValueError(
            "its network's answer is not finite: its weights are damaged, or do not fit its config.json"
        )
    if not torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4 * theirs.abs().max().item()):
        raise ValueError("this network is built in a way that is not supported here")


def _side(model: UNet) -> int:
    """Its own side, halved down to SMALL as long as all of its levels can halve the rest."""
    levels = sum(bool(getattr(block, "downsamplers", None)) for block in model.net.down_blocks)
    side, multiple = model.shape[-1], model.unshuffle * 2**levels
    while side > SMALL and side % (2 * multiple) == 0:
        side //= 2
    return side


def _some_cond(model: UNet) -> Tensor | None:
    if model.labels:
        return torch.tensor([model.labels[-1]])
    if model.text_width is None:
        return None
    return torch.zeros(1, 8, model.text_width, device=model.device, dtype=model.dtype)


def _as_diffusers(model: UNet, x: Tensor, cond: Tensor | None) -> Tensor:
    given = () if cond is None else (cond.to(model.device),)
    return model.net(model._folded(x.to(model.dtype)), 0, *given).sample


def _first_line(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:160].rstrip(".:")
