"""The ε contract, and the models that keep it.

A denoiser is called `(x, t, cond=None) -> eps`:

    x     (B, *shape), any float dtype; eps comes back in the same
    t     a training time, int or (B,) int64
    cond  None, or what the model understands: (B,) labels, (B, E) embeddings, (B, L, E) text

One with a bottleneck also splits: `encode(x, t, cond) -> b` (b.h is the feature map after the mid
block) and `decode(b, delta_h=None) -> eps`, together equal to the whole pass.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from numbers import Real
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from .checks import check_input, for_each
from .devices import precision

if TYPE_CHECKING:
    from .models.latent import Codec, Prompts

# A σ that depends on where a step goes: (ᾱ_t, ᾱ_t', η) -> (B, *shape). ᾱ's are numbers or (B, 1, …).
Spread = Callable[[float | Tensor, float | Tensor, float], Tensor]


class Predicted(NamedTuple):
    """One pass: ε (B, *shape), h (None without a bottleneck), and a σ of the model's own, or None."""

    eps: Tensor
    h: Tensor | None = None
    sigma: float | Tensor | Spread | None = None


class Denoiser:
    """What every model brings along, so that nobody asks what kind of model it is.

    A sampler needs shape (of one x), alpha_bar ((T,) float64, ᾱ of each training time), device and the call.
    dtype is of its network's weights and passes. What does not apply to a model is None, or empty:

    codec: between pictures and the latents that it diffuses. prompts: from texts to its `cond`.
    text_width: E of the texts that it must be given.
    world: the name of the world whose pictures it learnt. labels: those that `cond` may hold.
    meanings: in words, of labels whose meaning is known.
    eta: at which it is usually sampled.
    style_shape: of what a code holds for a model that is told more than the time (`models.families`):
        `told(style)` is its cond, and `style(x, seed)` one under which images are encoded.
    needs_label: whether it must be given one, as a model none of whose labels means 'no label'.
    """

    shape: torch.Size
    alpha_bar: Tensor
    device: torch.device
    dtype: torch.dtype = torch.float32
    codec: Codec | None = None
    prompts: Prompts | None = None
    text_width: int | None = None
    world: str | None = None
    labels: tuple[int, ...] = ()
    meanings: Mapping[int, str] = MappingProxyType({})
    style_shape: torch.Size | None = None
    eta: float = 0.0
    needs_label: bool = False

    def __call__(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Tensor:
        """ε (B, *shape) of x at t; each model's own, and NotImplementedError without one."""
        raise NotImplementedError

    def predict(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Predicted:
        """ε and h of one pass, and σ of a model that has its own."""
        if not hasattr(self, "encode"):
            return Predicted(self(x, t, cond))
        b = self.encode(x, t, cond)
        return Predicted(self.decode(b), b.h)

    @property
    def picture_shape(self) -> torch.Size:
        """(C, H, W) of the pictures that x stands for: its own shape, where there is no codec."""
        return self.shape if self.codec is None else self.codec.picture_shape(self.shape)

    def pictures(self, x: Tensor) -> Tensor:
        """The pictures of x (B, *shape), for looking at and for losses; gradients flow back."""
        return x if self.codec is None else self.codec.decode(x)

    def latents(self, pictures: Tensor) -> Tensor:
        """The x (B, *shape) of pictures (B, *picture_shape) in [-1, 1]."""
        return pictures if self.codec is None else self.codec.encode(pictures)

    def bring_along(self, denoiser: Denoiser) -> None:
        """Take over what another model brings along: for a wrapper around it."""
        self.shape, self.alpha_bar = denoiser.shape, denoiser.alpha_bar
        for name in (
            "codec",
            "prompts",
            "text_width",
            "world",
            "labels",
            "meanings",
            "needs_label",
        ):
            setattr(self, name, getattr(denoiser, name, getattr(Denoiser, name)))


def predict(
    denoiser: Denoiser, x: Tensor, t: int | Tensor, cond: Tensor | None = None
) -> Predicted:
    """One pass of any denoiser, of a function with shape, alpha_bar and device too."""
    if isinstance(denoiser, Denoiser):
        return denoiser.predict(x, t, cond)
    return Denoiser.predict(denoiser, x, t, cond)


def fingerprint(denoiser: Denoiser) -> str:
    """12 digits of a digest of all numbers that a model's ε depends on: its weights, ᾱ and settings.

    The same on every device and, of the same numbers, in every precision; of a function without any
    tensors it tells only its name, shape and ᾱ.
    """
    digest = hashlib.sha256(f"{type(denoiser).__name__} {tuple(denoiser.shape)}".encode())
    _digest(denoiser.alpha_bar, digest)
    for name, value in sorted(getattr(denoiser, "__dict__", {}).items()):
        if name not in ("codec", "prompts"):  # these are around ε
            digest.update(name.encode())
            _digest(value, digest)
    return digest.hexdigest()[:12]


def _digest(value, digest) -> None:
    if isinstance(value, Tensor):
        digest.update(value.detach().cpu().float().contiguous().numpy().tobytes())
    elif isinstance(value, nn.Module):
        for name, tensor in value.state_dict().items():
            digest.update(name.encode())
            _digest(tensor, digest)
    elif isinstance(value, Denoiser):
        digest.update(fingerprint(value).encode())
    elif isinstance(value, (str, int, float, tuple)):
        digest.update(repr(value).encode())


def signal(denoiser: Denoiser, x: Tensor, t: int | Tensor) -> Tensor:
    """ᾱ_t in float64 (1-ᾱ_t cancels in less; on mps in float32), to broadcast against x: (B or 1, 1, …)."""
    a = denoiser.alpha_bar.to(x.device, precision(x.device))[torch.as_tensor(t, device=x.device)]
    return a.view(-1, *[1] * (x.ndim - 1))


class Bottleneck(NamedTuple):
    """A U-Net's pass, stopped after the mid block."""

    h: Tensor  # (B, C_h, H_h, W_h)
    skips: tuple[Tensor, ...]
    temb: Tensor
    x: Tensor
    t: int | Tensor
    cond: Tensor | None


class LearnedRange(NamedTuple):
    """A `Spread` between the smallest and the largest variance, log σ² = w log β + (1-w) log β̃ (Nichol &
    Dhariwal 2021, eq. 15), with β = 1 - ᾱ/ᾱ' and β̃ = β (1-ᾱ')/(1-ᾱ) of the step that is taken.

    v: (B, *shape), in about [-1, 1]; w = (v+1)/2.
    """

    v: Tensor

    def __call__(self, a: float | Tensor, a_to: float | Tensor, eta: float) -> Tensor:
        a, a_to = (
            v if isinstance(v, Tensor) else torch.tensor(v, dtype=torch.float64) for v in (a, a_to)
        )
        most, share = (1 - a / a_to).to(self.v), ((1 - a_to) / (1 - a)).to(self.v)
        least = most * share
        w = (self.v + 1) / 2
        return eta * (0.5 * (w * most.log() + (1 - w) * least.clamp_min(1e-20).log())).exp()


class Halves(NamedTuple):
    """The two passes of a guided denoiser, stopped after the mid block."""

    h: Tensor  # (B, C_h, H_h, W_h), of the conditioned pass
    temb: Tensor
    both: Bottleneck  # 2B: without the condition, then with it


class Guided(Denoiser):
    """A denoiser under classifier-free guidance: ε = ε_u + scale (ε_c - ε_u).

    Ho & Salimans 2022, eq. 6, with scale = 1 + w, as Stable Diffusion counts it: 0 is no condition, 1
    the condition without guidance, and both cost one pass; any other scale costs two, in one batch.

    denoiser: one that was also trained without its condition.
    empty: what is 'no condition' to it, (1, …): `model.prompts.empty`, or a label such as 0.
    Called without cond, it is the denoiser without cond. One that splits still does: `decode` adds
    delta_h to the h of both passes, and guides what comes out.

    Raises ValueError for a scale that is no finite number, or several empty conditions.
    """

    def __init__(self, denoiser: Denoiser, scale: float, empty: Tensor | int):
        if not isinstance(scale, Real) or not math.isfinite(scale):
            raise ValueError(f"scale is {scale!r}: give a number, where 1 is no guidance.")
        empty = torch.as_tensor(empty)
        self.denoiser, self.scale = denoiser, scale
        self.empty = empty if empty.ndim else empty[None]
        if len(self.empty) != 1:
            raise ValueError(f"empty holds {len(self.empty)} conditions: give one, (1, …).")
        self.bring_along(denoiser)
        if hasattr(denoiser, "encode"):  # so that it splits exactly if its denoiser does
            self.encode, self.decode = self._encode, self._decode

    @property
    def device(self) -> torch.device:
        return self.denoiser.device

    @property
    def dtype(self) -> torch.dtype:
        return getattr(self.denoiser, "dtype", torch.float32)

    def to(self, *where) -> Guided:
        """Move or convert the denoiser, in place; returns self."""
        self.denoiser.to(*where)
        return self

    def __call__(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Tensor:
        asked = self._passes(x, t, cond)
        eps = self.denoiser(*asked)
        return eps if len(asked[0]) == len(x) else self._guide(eps)

    def predict(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Predicted:
        """The guided ε, and h and σ of the pass with the condition."""
        asked = self._passes(x, t, cond)
        eps, h, sigma = predict(self.denoiser, *asked)
        if len(asked[0]) == len(x):
            return Predicted(eps, h, sigma)
        if isinstance(sigma, LearnedRange):
            sigma = LearnedRange(sigma.v[len(x) :])
        elif isinstance(sigma, Tensor):
            sigma = sigma[len(x) :]
        return Predicted(self._guide(eps), None if h is None else h[len(x) :], sigma)

    def _encode(
        self, x: Tensor, t: int | Tensor, cond: Tensor | None = None
    ) -> Bottleneck | Halves:
        """The pass, or both, up to and including the mid block, where h is."""
        asked = self._passes(x, t, cond)
        b = self.denoiser.encode(*asked)
        return b if len(asked[0]) == len(x) else Halves(b.h[len(x) :], b.temb[len(x) :], b)

    def _decode(self, b: Bottleneck | Halves, delta_h: Tensor | None = None) -> Tensor:
        """ε from the bottleneck on; `delta_h` is added to h in this pass only."""
        if not isinstance(b, Halves):
            return self.denoiser.decode(b, delta_h)
        if delta_h is not None:
            delta_h = delta_h.expand_as(b.h).repeat(2, 1, 1, 1)
        return self._guide(self.denoiser.decode(b.both, delta_h))

    def _passes(self, x: Tensor, t: int | Tensor, cond: Tensor | None):
        """What the denoiser is asked: (x, t, cond) once, or first without and then with the condition."""
        check_input(self, x, t, cond)
        if cond is None or self.scale == 1:
            return x, t, cond
        empty = self.empty.to(x.device)
        if (
            empty.shape[1:] != cond.shape[1:]
            or empty.is_floating_point() != cond.is_floating_point()
        ):
            raise ValueError(
                f"cond is {cond.dtype} of shape {tuple(cond.shape)}, but the empty one is {empty.dtype} of "
                f"shape {tuple(empty.shape)}: give both as the model takes them."
            )
        each = [len(x)] + [-1] * (cond.ndim - 1)
        if self.scale == 0:
            return x, t, empty.expand(each)
        t = torch.as_tensor(t)
        return (
            torch.cat([x, x]),
            t.repeat(2) if t.numel() > 1 else t,
            torch.cat([empty.expand(each), cond.to(empty).expand(each)]),
        )

    def _guide(self, eps: Tensor) -> Tensor:
        without, given = eps.chunk(2)
        return without + self.scale * (given - without)


class Fixed(Denoiser):
    """A denoiser under one condition for all images, so that it draws by itself: it is called without cond.

    denoiser: which takes it; a `Guided` one is guided towards it. cond: (1, …).
    One that splits still does.
    """

    def __init__(self, denoiser: Denoiser, cond: Tensor):
        self.denoiser, self.cond = denoiser, cond
        self.bring_along(denoiser)
        self.prompts, self.text_width, self.labels, self.needs_label = None, None, (), False
        if hasattr(denoiser, "encode"):
            self.encode, self.decode = self._encode, denoiser.decode

    @property
    def device(self) -> torch.device:
        return self.denoiser.device

    @property
    def dtype(self) -> torch.dtype:
        return getattr(self.denoiser, "dtype", torch.float32)

    def to(self, *where) -> Fixed:
        """Move or convert the denoiser and its condition, in place; returns self."""
        self.denoiser.to(*where)
        floats = self.cond.is_floating_point()  # a label stays a whole number
        self.cond = self.cond.to(*where) if floats else self.cond.to(self.device)
        return self

    def __call__(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Tensor:
        return self.denoiser(x, t, self._for(x, cond))

    def predict(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None) -> Predicted:
        """ε, h and σ under its condition."""
        return predict(self.denoiser, x, t, self._for(x, cond))

    def _encode(self, x: Tensor, t: int | Tensor, cond: Tensor | None = None):
        """The pass up to h."""
        return self.denoiser.encode(x, t, self._for(x, cond))

    def _for(self, x: Tensor, cond: Tensor | None) -> Tensor:
        if cond is not None:
            raise ValueError(
                "cond was given, but what this model draws was fixed when it was loaded."
            )
        return for_each(self.cond, len(x))
