"""Products with a Jacobian: J v pushes a move of the input forward, Jᵀ u pulls one of the output back."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Map = Callable[[Tensor], Tensor]


def push_and_pull(f: Map, x: Tensor) -> tuple[Map, Map]:
    """(v -> J v, u -> Jᵀ u) of f at x, shaped as x and as f(x).

    The transpose of the pull-back is the push-forward, so nothing is asked of f but a backward pass that has
    one itself: call it under `sdpa_kernel(SDPBackend.MATH)` for networks with attention.
    """
    out, back = torch.func.vjp(f, x)
    push = torch.func.vjp(lambda u: back(u)[0], torch.zeros_like(out))[1]
    return lambda v: push(v)[0], lambda u: back(u)[0]
