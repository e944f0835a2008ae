"""An answer beside what is right: one sentence for what is wrong, by its name if it is a known mistake."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from torch import Tensor


def difference(got: object, want: object) -> str:
    """What is wrong with an answer, as the end of a sentence; empty if it is right."""
    want = _numbers(want)
    if got is None or got is ...:
        return "returns nothing: each way through it has to end in `return`"
    try:
        numbers = _numbers(got)
    except (TypeError, ValueError, RuntimeError):
        return f"gives {short(got)}, which is not {_kind(want)}"
    if _without_leading_ones(numbers.shape) != _without_leading_ones(want.shape):
        lost = _lost_axis(numbers, want)
        return f"gives {_kind(numbers)}, not {_kind(want)}: {lost or 'look at the shape'}"
    numbers = numbers.reshape(want.shape)
    finite = want[want.isfinite()].abs()
    scale = finite.max().item() if finite.numel() else 0.0
    wrong = ~torch.isclose(numbers, want, rtol=1e-4, atol=1e-9 + 1e-6 * scale)
    if not wrong.any():
        return ""
    why = _rounding(got, numbers, want) or _mistake(numbers, want)
    return _values(numbers, want, wrong) + (f": {why}" if why else "")


def _mistake(numbers: Tensor, want: Tensor) -> str:
    """The known mistake that makes these numbers of the right ones; empty if it is none of them."""

    def are(others: Tensor) -> bool:
        return torch.allclose(numbers, others, rtol=1e-4, atol=1e-9)

    named = {
        "the sign is the other way round": -want,
        "it is upside down, one over the right number": 1 / want,
        "a square root is missing": want.square(),
        "it has a square root too many": want.clamp_min(0).sqrt(),
        "it is one minus the right number": 1 - want,
    }
    if want.ndim:
        named["it is in the reverse order"] = want.flip(0)
    if want.ndim == 2 and want.shape[0] == want.shape[1]:
        named["rows and columns are exchanged"] = want.T
    found = [words for words, others in named.items() if are(others)]
    return found[0] if found else _same_for_all(numbers, want)


def _same_for_all(numbers: Tensor, want: Tensor) -> str:
    """Whether all are wrong by one factor or summand; a single number tells of simple factors only."""
    clear = want.abs() > 1e-9
    if not clear.any() or not (numbers.isfinite().all() and want.isfinite().all()):
        return ""
    by = (numbers[clear] / want[clear]).mean()
    plain = any(math.isclose(by, f, rel_tol=1e-4) for f in (0.5, 2.0))
    if by and (plain or want.numel() > 2) and torch.allclose(numbers, by * want, 1e-4, 1e-9):
        return f"a factor is missing or too many, all are {by.item():.4g} times what is right"
    more = (numbers - want).mean()
    if want.numel() > 2 and torch.allclose(numbers, want + more, 1e-4, 1e-9):
        return f"all are {more.item():+.4g} away from what is right"
    return ""


def _lost_axis(numbers: Tensor, want: Tensor) -> str:
    """Whether an axis of the right answer was averaged, summed or turned away."""
    for axis in range(want.ndim):
        for what, reduced in (("mean", want.mean(axis)), ("sum", want.sum(axis))):
            if numbers.shape == reduced.shape and torch.allclose(numbers, reduced, 1e-4, 1e-9):
                whose = "the batch axis" if axis == 0 else f"axis {axis}"
                return f"it is the {what} over {whose}, look at the shape"
    if want.ndim > 1 and numbers.shape == want.transpose(0, 1).shape:
        return "the first two axes are exchanged, look at the shape"
    return ""


def _values(numbers: Tensor, want: Tensor, wrong: Tensor) -> str:
    """The two tensors themselves if they are short, or where they differ most."""
    if want.numel() <= 6:
        return f"gives {short(numbers)}, not {short(want)}"
    apart = torch.where(wrong, (numbers - want).abs(), -1.0).nan_to_num(nan=math.inf)
    place = tuple(i.item() for i in torch.unravel_index(apart.argmax(), want.shape))
    return (
        f"differs in {wrong.sum().item()} of {want.numel()} numbers, most at {list(place)}: "
        f"it gives {short(numbers[place])}, not {short(want[place])}"
    )


def _rounding(got: object, numbers: Tensor, want: Tensor) -> str:
    """What to say of the dtype, where it is the matter."""
    dtype = torch.as_tensor(got).dtype if isinstance(got, (Tensor, np.ndarray)) else torch.float64
    within = 1e-2 * want.abs() if dtype.is_floating_point else torch.ones_like(want)
    if dtype in (torch.float64, torch.bool) or ((numbers - want).abs() >= within).any():
        return ""
    return f"the dtype {str(dtype).removeprefix('torch.')} rounds it, compute in float64"


def _numbers(value: object) -> Tensor:
    """In float64, on the CPU. Raises TypeError, ValueError or RuntimeError for what is no number."""
    if isinstance(value, (list, tuple)):
        return torch.stack([_numbers(item) for item in value])
    tensor = torch.as_tensor(value).detach().cpu()
    if tensor.is_complex():
        raise TypeError("complex numbers")
    return tensor.to(torch.float64)


def _without_leading_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(itertools.dropwhile(lambda n: n == 1, shape))


def _kind(numbers: Tensor) -> str:
    return "a single number" if numbers.ndim == 0 else f"a tensor of shape {tuple(numbers.shape)}"


def short(value: object, most: int = 6) -> str:
    """A few characters for any argument or answer; of a tensor at most so many numbers."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Tensor):
        if value.numel() > most:
            return f"a tensor {tuple(value.shape)}"
        shown = [f"{v + 0:.6g}" for v in value.detach().flatten().tolist()]  # + 0: no minus zero
        return shown[0] if len(shown) == 1 else f"[{', '.join(shown)}]"
    text = getattr(value, "__name__", None) or repr(value)
    return text if len(text) <= 40 else f"a {type(value).__name__}"
