"""On which device, and in which precision: decided here, and nowhere else.

- A state x, and sums, are in float64, or in float32 on a device without it (mps): `precision`, `precise`.
- A network's weights and passes are in float32, or on request in a half precision: `weights_in`.
- Long measurements and trainings run under bfloat16 autocast where that is fast: `half_is_fast`.
- A U-Net's convolutions run with the channels last where that is faster: `layout`.
- Its blocks are compiled on request: `compile_blocks`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .cards import CheckpointError

if TYPE_CHECKING:
    from .denoisers import Denoiser

WEIGHTS = {d: getattr(torch, d) for d in ("float32", "bfloat16", "float16")}


def precision(device: torch.device | str) -> torch.dtype:
    """What a state is kept in and sums are made in: float64, or float32 on a device without it (mps)."""
    return torch.float32 if torch.device(device).type == "mps" else torch.float64


def precise(x: Tensor) -> Tensor:
    """x in the `precision` of its device."""
    return x.to(precision(x.device))


def checked_device(device: str) -> torch.device:
    """The torch device. Raises CheckpointError, with what there is instead, for one that is not here."""
    try:
        wanted = torch.device(device)
        torch.ones(1, dtype=precision(wanted)).to(wanted).item()  # meta has no values
    except (RuntimeError, AssertionError, NotImplementedError, TypeError):
        have = (
            ["cpu"]
            + ["cuda"] * torch.cuda.is_available()
            + ["mps"] * torch.backends.mps.is_available()
        )
        raise CheckpointError(
            f"There is no device {device!r} here: use {' or '.join(have)}."
        ) from None
    return wanted


def weights_in(precision: str, device: torch.device) -> torch.dtype:
    """What a network's weights and passes are in on a device: float32, or on request bfloat16 or float16.

    Raises ValueError for any other, and for float16 on a CPU, whose convolutions in it are many times slower;
    CheckpointError where the device has no such dtype.
    """
    if precision not in WEIGHTS:
        raise ValueError(f"precision is {precision!r}: it must be one of {', '.join(WEIGHTS)}.")
    if precision == "float16" and device.type == "cpu":
        raise ValueError(
            "precision is 'float16', which is for a GPU: on a CPU give 'bfloat16', or leave it out."
        )
    dtype = WEIGHTS[precision]
    try:
        torch.ones(1, dtype=dtype).to(device)
    except (RuntimeError, TypeError):
        raise CheckpointError(
            f"The device {str(device)!r} has no {precision}: leave precision out."
        ) from None
    return dtype


def is_half(denoiser: Denoiser) -> bool:
    """Whether a model's network is in a half precision, so that its ε is rounded to 2 or 3 digits."""
    return getattr(denoiser, "dtype", torch.float32).itemsize < 4


def check_slopes(denoiser: Denoiser, what: str) -> None:
    """Raise ValueError where `what` needs derivatives of a network that is in a half precision."""
    if is_half(denoiser):
        raise ValueError(
            f"{what} needs the network's derivatives, of which {_name(denoiser.dtype)} keeps too little: "
            "load the model without precision."
        )


def half_is_fast(device: str) -> bool:
    """Whether to run networks in bfloat16 on a device: not on a processor without instructions for it,
    where they would take twice as long."""
    has = torch.cpu.get_capabilities()
    return device != "cpu" or any(has.get(k, False) for k in ("amx_bf16", "avx512_bf16", "bf16"))


def layout(device: torch.device, dtype: torch.dtype) -> torch.memory_format:
    """How a U-Net's convolutions are faster: with the channels last on a CPU (`bench` measures it), and in
    the half precisions of a GPU's tensor cores, by PyTorch's own advice, as none was at hand."""
    last = device.type == "cpu" or (device.type == "cuda" and dtype.itemsize < 4)
    return torch.channels_last if last else torch.contiguous_format


def compile_blocks(net: nn.Module, device: torch.device) -> None:
    """Compile the blocks of a diffusers U-Net, in place, for passes without a gradient.

    A pass that is differentiated runs as it is written: compiled, it could lose gradients silently (see
    `recipes.loop.check_gradients`), and torch.func takes none. The first passes of each size take minutes.
    Raises CheckpointError where nothing can be compiled, as without a C++ compiler.
    """
    try:
        torch.compile(lambda x: x.sin() + 1)(torch.ones(8, device=device))
    except Exception as error:  # dynamo, inductor and triton raise many kinds
        said = " ".join(str(error).split())[:120]
        raise CheckpointError(
            f"Nothing can be compiled for {device} here ({said}): leave compiled out, or install a C++ "
            "compiler."
        ) from None
    for block in (*net.down_blocks, net.mid_block, *net.up_blocks):
        block.forward = _unless_differentiated(block.forward)


def _unless_differentiated(forward: Callable) -> Callable:
    fast = torch.compile(forward)

    def either(*args, **kwargs):
        return (forward if torch.is_grad_enabled() else fast)(*args, **kwargs)

    return either


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
