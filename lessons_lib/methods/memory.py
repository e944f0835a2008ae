"""Backward passes through many steps in less memory, for networks whose weights are frozen."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint

from ..code import Edit, Eps


class Convolution(torch.autograd.Function):
    """A convolution that keeps its weight alone for the slope of its input: torch's keeps the input too,
    which only the weight's slope needs."""

    @staticmethod
    def forward(ctx, x, weight, bias, stride, padding, dilation, groups):
        ctx.save_for_backward(weight)
        ctx.shape, ctx.how = x.shape, (stride, padding, dilation, groups)
        return F.conv2d(x, weight, bias, stride, padding, dilation, groups)

    @staticmethod
    def backward(ctx, slope):
        (weight,) = ctx.saved_tensors
        back = torch.nn.grad.conv2d_input(ctx.shape, weight, slope, *ctx.how)
        return back, None, None, None, None, None, None


class FrozenConvolutions(TorchFunctionMode):
    """Within it, every 2-d convolution whose weight is frozen is a `Convolution`."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is torch.conv2d and torch.is_grad_enabled() and not kwargs and len(args) == 7:
            x, weight, bias, stride, padding, dilation, groups = args
            if x.requires_grad and not weight.requires_grad and not isinstance(padding, str):
                return Convolution.apply(x, weight, bias, stride, padding, dilation, groups)
        return function(*args, **kwargs)


def frugal(edit: Edit, kept: int, times: list[int]) -> Edit:
    """The edit, for a walk through `times` that is differentiated: only the last `kept` of its steps keep
    what their backward pass needs, the others compute it anew, and no convolution keeps its input."""
    again = set(times[: max(0, len(times) - kept)])

    def light(denoiser, x, t, cond):
        with FrozenConvolutions():  # also when it is computed anew, maybe in another thread
            return tuple(edit(denoiser, x, t, cond))

    def step(denoiser, x, t, cond=None):
        if t in again and torch.is_grad_enabled():
            return Eps(*checkpoint(light, denoiser, x, t, cond, use_reentrant=False))
        return Eps(*light(denoiser, x, t, cond))

    return step
