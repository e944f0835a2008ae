"""The code z, one step of G, and what an edit may answer a step with.

One step (Song et al. 2021, eq. 12; P and D as Kwon et al. 2023 name them):

    x_t' = √ᾱ_t' P_t + D_t + σ_t ε_t
    P_t  = (x_t - √(1-ᾱ_t) ε) / √ᾱ_t        the predicted image
    D_t  = √(1-ᾱ_t' - σ_t²) ε               the direction to x_t

The code of a stochastic sampler is z = x_T ⊕ ε_T ⊕ … ⊕ ε_1 (Wu & De la Torre 2023, eq. 4), that of
a deterministic one z = x_T (eq. 3).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from .denoisers import Denoiser, Spread, fingerprint, predict
from .paths import write_whole
from .streams import Seed, seeds

if TYPE_CHECKING:
    from .sampler import Sampler


@dataclass(frozen=True)
class Code:
    """A latent code z of B images.

    x_T: (B, *shape), the starting noise.
    eps: (S, B, *shape), the noise of each step, to be multiplied by σ_t; None for a deterministic
        sampler (η=0).
    residual: (S,) bool, the steps whose σ was 0 (always the last one, which ends at the image).
        There eps is what the step's mean leaves to be added, in units of x: 0 in a drawn code, the
        kept residual in an encoded one.
    style: (B, *style_shape), of a model that is told more than the time; None for others.
    """

    x_T: Tensor
    eps: Tensor | None = None
    residual: Tensor | None = None
    style: Tensor | None = None

    def noise(self, i: int, sigma: float | Tensor) -> Tensor:
        """What step i adds to its mean, (B, *shape), in a sampler whose step has this σ."""
        if self.eps is None:
            return torch.zeros_like(self.x_T)
        return self.eps[i] * (1.0 if self.residual is not None and self.residual[i] else sigma)

    def save(self, path: str | Path, sampler: Sampler, seed: Seed | None = None) -> None:
        """Write the code into a safetensors file, with what it is of: the sampler's model, steps and η.

        seed: what it was drawn or encoded with, to be kept beside it.
        Raises ValueError for a code that is not of this sampler's steps and images, or no such seed.
        """
        from safetensors.torch import save

        sampler.check_code(self)
        tensors = {f.name: getattr(self, f.name) for f in fields(self)}
        tensors = {k: v.contiguous().cpu() for k, v in tensors.items() if v is not None}
        if seed is not None:
            seeds(seed, len(self))
        said = _made_by(sampler) | {"seed": seed}
        write_whole(Path(path), save(tensors, {CODE: json.dumps({"format": FORMAT} | said)}))

    @classmethod
    def load(cls, path: str | Path, sampler: Sampler) -> Code:
        """The code in a file that `save` wrote, on the sampler's device and in its dtype.

        Raises ValueError, in one sentence, for a file that is missing or holds no code, and for a sampler
        of another model, other steps or another η than those it was made by.
        """
        tensors, said = _opened(Path(path))
        for what, wanted in _made_by(sampler).items():
            if said.get(what) != wanted:
                raise ValueError(
                    f"{path} holds codes of another {NAMES[what]} ({_brief(said.get(what))}) than this "
                    f"sampler's ({_brief(wanted)}): load them with the model, steps and eta that made them, "
                    "and decode them by any sampler of as many steps."
                )
        kept = {k: v if v.dtype == torch.bool else v.to(sampler.denoiser.device, sampler.dtype)
                for k, v in tensors.items()}  # fmt: skip
        return cls(**kept)

    @staticmethod
    def about(path: str | Path) -> dict:
        """What a file of `save` says of its code: model (a fingerprint), times, last ᾱ, eta, t_boost, seed.

        Raises ValueError as `load`.
        """
        return _opened(Path(path))[1]

    def __len__(self) -> int:
        return len(self.x_T)

    def __getitem__(self, images: int | slice | Tensor | list[int]) -> Code:
        """The codes of some of the images; of one, by its number, a code of one image.

        Raises IndexError for a number that no image has.
        """
        if isinstance(images, int):
            if not -len(self) <= images < len(self):
                raise IndexError(
                    f"There is no image {images}: the codes are of {len(self)} images, from 0 on."
                )
            images = [images % len(self)]
        eps = None if self.eps is None else self.eps[:, images]
        style = None if self.style is None else self.style[images]
        return Code(self.x_T[images], eps, self.residual, style)

    def map(self, f: Callable[..., Tensor], *others: Code) -> Code:
        """Arithmetic on codes: f of their x_T's, (B, *shape), of their ε's, (S, B, *shape), and of their
        styles, (B, *style_shape).

        `z.map(lambda a, b: (a + b) / 2**0.5, other)` is half of each. Raises ValueError for codes of
        different kinds of sampler.
        """
        codes = (self, *others)
        kinds = {(None if z.eps is None else len(z.eps), z.style is None) for z in codes}
        marks = {None if z.residual is None else tuple(z.residual.tolist()) for z in codes}
        if len({len(z) for z in codes} - {1}) > 1:
            raise ValueError(
                f"The codes are of {', '.join(str(len(z)) for z in codes)} images: give as many of each."
            )
        if len(kinds) > 1 or len(marks) > 1:
            raise ValueError(
                "The codes are not of one kind of sampler: draw or encode them with the same steps and eta."
            )
        eps = None if self.eps is None else f(*(z.eps for z in codes))
        style = None if self.style is None else f(*(z.style for z in codes))
        return Code(f(*(z.x_T for z in codes)), eps, self.residual, style)

    def repeat(self, times: int) -> Code:
        """All the codes, then all again, `times` over: one batch for several edits of the same codes."""
        return self[list(range(len(self))) * times]


CODE, FORMAT = (
    "lessons_lib code",
    1,
)  # the name of what a file says of itself, and its format's number
NAMES = {
    "model": "model", "times": "schedule", "last_alpha_bar": "last level", "eta": "eta", "t_boost": "t_boost",
}  # fmt: skip


def _made_by(sampler: Sampler) -> dict:
    s = sampler.schedule
    return {
        "model": fingerprint(sampler.denoiser), "times": s.t.tolist(), "last_alpha_bar": s.a_to[-1].item(),
        "eta": float(sampler.eta), "t_boost": sampler.t_boost,
    }  # fmt: skip


def _opened(path: Path) -> tuple[dict[str, Tensor], dict]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise ValueError(f"There is no file {path.absolute()}: give one that `Code.save` wrote.")
    try:
        with safe_open(path, framework="pt") as file:
            said = json.loads((file.metadata() or {})[CODE])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError, OSError):
        raise ValueError(f"{path} holds no code: give a file that `Code.save` wrote.") from None
    if said.pop("format", None) != FORMAT:
        raise ValueError(
            f"{path} is of another format than this version reads ({FORMAT}): save it again with this one."
        )
    return tensors, said


def _brief(value) -> str:
    if not isinstance(value, list):
        return str(value)
    return f"{len(value)} from t = {value[0]} to {value[-1]}"


@dataclass(frozen=True)
class Step:
    """One step of a trajectory: from x at t to x_to at t_to. `noise` is what was added, σ_t ε_t."""

    i: int
    t: int
    t_to: int
    x: Tensor
    eps: Tensor
    h: Tensor | None
    P: Tensor
    D: Tensor
    noise: Tensor
    x_to: Tensor


class Eps(NamedTuple):
    """What an edit answers a step with: ε for P and ε for D, (B, *shape) each.

    h: the bottleneck's feature map, if there is one.
    sigma: of the noise, where it is not the schedule's σ_t(η): a number, (B, *shape), or a `Spread`
        which gives one for the step's two ends. The mean keeps the schedule's, and so do the steps
        without noise.
    """

    P: Tensor
    D: Tensor
    h: Tensor | None = None
    sigma: float | Tensor | Spread | None = None


# How a step gets its two ε's: (denoiser, x, t, cond) -> Eps. An edit replaces `plain`.
Edit = Callable[[Denoiser, Tensor, int, Tensor | None], Eps]


def plain(denoiser: Denoiser, x: Tensor, t: int, cond: Tensor | None = None) -> Eps:
    """No edit: the same ε in P and D, and σ as the model has it."""
    eps, h, sigma = predict(denoiser, x, t, cond)
    return Eps(eps, eps, h, sigma)


def shift(
    delta: Tensor | Callable[[int], Tensor], in_P: bool | Tensor = True, in_D: bool | Tensor = True
) -> Edit:
    """An edit that adds `delta` (broadcast to x) to ε, in P, in D or in both.

    delta: a tensor, or a function of t that gives one.
    in_P, in_D: whether, or how much, for all images or in a tensor (B,) for each of them.
    """

    def edit(denoiser, x, t, cond=None):
        eps, h, sigma = predict(denoiser, x, t, cond)
        move = (delta(t) if callable(delta) else delta).to(eps)
        each = (torch.as_tensor(v).to(eps).view(-1, *[1] * (x.ndim - 1)) for v in (in_P, in_D))
        return Eps(*(eps + v * move for v in each), h, sigma)

    return edit


def predicted_image(x: Tensor, eps: Tensor, a: float) -> Tensor:
    """P_t(ε) = (x_t - √(1-ᾱ_t) ε) / √ᾱ_t."""
    return (x - (1 - a) ** 0.5 * eps) / a**0.5
