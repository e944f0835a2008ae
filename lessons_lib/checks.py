"""What comes in, checked once: whole numbers, seeds, images, and a condition for a batch.

Each says in one sentence what was wrong, what is allowed and what to do.
"""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .denoisers import Denoiser
    from .sampler import Sampler


LARGEST = 20  # predicted and noisy images leave [-1, 1]; beyond this they are 0 to 255 levels


def whole(value, low: int, high: float = float("inf")) -> bool:
    """Whether `value` is a whole number (no bool) from low to high."""
    return isinstance(value, Integral) and not isinstance(value, bool) and low <= value <= high


def checked_seed(seed: int) -> int:
    """The seed, a whole number from 0 to 4,294,967,295 (torch draws by 32 bits), or ValueError."""
    if not whole(seed, 0, 2**32 - 1):
        raise ValueError(f"seed is {seed!r}: give a whole number from 0 to {2**32 - 1}.")
    return seed


def check_denoiser(denoiser: Denoiser) -> None:
    """Raise ValueError for what cannot be asked for an ε, such as a model's name."""
    if not all(hasattr(denoiser, k) for k in ("shape", "alpha_bar")):
        raise ValueError(
            f"The denoiser is {denoiser!r}: give a model, such as `load('faces')`, or a function with "
            "shape, alpha_bar and device."
        )


def checked_answer(x: Tensor) -> Tensor:
    """What a sampler computed. Raises ValueError if it is not finite."""
    if not x.isfinite().all():
        raise ValueError(
            "The result is not finite, because the model's answer is not, or grew beyond what "
            f"{str(x.dtype).removeprefix('torch.')} holds: look at its ε, or use another dtype."
        )
    return x


def check_input(denoiser: Denoiser, x: Tensor, t: int | Tensor | None = None, cond=None) -> None:
    """Raise ValueError, in one sentence, for what the denoiser does not take.

    x: (B, *shape), floating-point. t: a training time, or (B,) of them. cond: None, or (1 or B, …).
    """
    shape = tuple(denoiser.shape)
    if not isinstance(x, Tensor) or not x.is_floating_point():
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(f"x is {kind}: give a floating-point tensor of images in [-1, 1].")
    if x.ndim == 0 or tuple(x.shape[1:]) != shape or len(x) == 0:
        raise ValueError(
            f"x has shape {tuple(x.shape)}: this model takes (B, {', '.join(map(str, shape))})."
        )
    if t is not None:
        _check_times(denoiser, t, len(x))
    if cond is not None and not (isinstance(cond, Tensor) and cond.ndim > 0):
        raise ValueError(f"cond is {cond!r}: give a tensor with one condition for each image.")
    if cond is not None and len(cond) not in (1, len(x)):
        raise ValueError(f"cond has {len(cond)} conditions for {len(x)} images: give one for each.")
    # A sampler asks a model for less than the contract: a bare one has no text_width.
    width = getattr(denoiser, "text_width", None)
    if width is not None:
        _check_texts(cond, width)
    if cond is None and getattr(denoiser, "needs_label", False):
        raise ValueError(
            f"This model draws what a label says: give cond, a tensor (B,) of whole numbers from 0 to "
            f"{max(denoiser.labels)}, one for each image."
        )


def _check_times(denoiser: Denoiser, t: int | Tensor, images: int) -> None:
    times, last = torch.as_tensor(t), len(denoiser.alpha_bar) - 1
    if times.is_floating_point() or times.ndim > 1 or times.numel() not in (1, images):
        raise ValueError(f"t is {t}: give a whole number, or one for each of the {images} images.")
    if times.min() < 0 or times.max() > last:
        raise ValueError(f"t is {t}: this model's times are 0 to {last}.")


def _check_texts(cond: Tensor | None, width: int) -> None:
    if cond is None:
        raise ValueError(
            "This model draws what a text says: give cond, such as model.prompts(['a cat']), "
            "or model.prompts.empty for no text."
        )
    if not (cond.is_floating_point() and cond.ndim == 3 and cond.shape[2] == width):
        raise ValueError(
            f"cond is {cond.dtype} of shape {tuple(cond.shape)}: give text embeddings (B, L, {width}), "
            "such as model.prompts(['a cat'])."
        )


def checked_images(sampler: Sampler, x: Tensor, cond: Tensor | None = None) -> Tensor:
    """x (B, *shape) on the sampler's device and in its dtype.

    Raises ValueError, in one sentence, for what is no finite batch of this model's x, or its condition,
    and for levels from 0 to 255 where the model's x are pictures.
    """
    check_input(sampler.denoiser, x, cond=cond)
    if not x.isfinite().all():
        raise ValueError("x has values that are not finite: give finite images in [-1, 1].")
    if x.ndim == 4 and getattr(sampler.denoiser, "codec", None) is None:
        check_levels(x, "x")
    return x.to(sampler.denoiser.device, sampler.dtype)


def check_levels(x: Tensor, name: str) -> None:
    """Raise ValueError for pictures with values beyond LARGEST, which are levels from 0 to 255."""
    if x.abs().max() > LARGEST:
        raise ValueError(
            f"{name} has values up to {x.abs().max().item():.0f}: images are in [-1, 1]; levels from "
            "0 to 255 become so by `x / 127.5 - 1`."
        )


def for_each(cond: Tensor | None, n: int) -> Tensor | None:
    """A condition for each of n images, (n, …), of one for all or one for each; None stays None."""
    return None if cond is None else cond.expand(n, *cond.shape[1:])


def repeated(cond: Tensor | None, n: int, times: int) -> Tensor | None:
    """The conditions of n images, then all again, `times` over: (times·n, …)."""
    return None if cond is None else for_each(cond, n).repeat(times, *[1] * (cond.ndim - 1))
