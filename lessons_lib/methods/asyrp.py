"""Asyrp: h, the feature map after a U-Net's mid block, is shifted in P and not in D.

    x_t' = √ᾱ_t' P_t(ε(x_t | Δh_t)) + D_t(ε(x_t)) + σ_t ε_t     (Kwon et al. 2023, eq. 6)

An edit says what Δh_t is. Edits scale, negate and add:

    smile = load_edit("smiling")
    g.decode(z, edit=smile * 1.5 + tan * 0.5)
    g.decode(z, edit=(-smile).over(g.schedule))   # Δh rescaled to another number of steps
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..cards import (
    OWN_WEIGHTS,
    CheckpointError,
    carded,
    checked,
    digest,
    has_card,
    save_weights,
    with_weights,
    write_card,
)
from ..checks import whole
from ..code import Eps
from ..denoisers import Bottleneck, Denoiser, Halves
from ..paths import DIRECTIONS
from ..schedule import Schedule

# ---------------------------------------------------------------- the step


def asymmetric(denoiser: Denoiser, b: Bottleneck | Halves, delta_h: Tensor | None) -> Eps:
    """ε for P and for D, and h, from one bottleneck: the decoder's two passes in one batch.

    delta_h: (B or 1, C_h, H_h, W_h), added to h for P; None asks the decoder once, for both.
    Raises ValueError for a Δh of another shape than the model's h.
    """
    if delta_h is None:
        eps = denoiser.decode(b)
        return Eps(eps, eps, b.h)
    if delta_h.shape[1:] != b.h.shape[1:]:
        raise ValueError(
            f"Δh is {tuple(delta_h.shape[1:])}, but this model's h is {tuple(b.h.shape[1:])}: "
            "use an edit that was made for this model."
        )
    delta_h = delta_h.to(b.h).expand_as(b.h)
    eps_P, eps_D = denoiser.decode(twice(b), torch.cat([delta_h, torch.zeros_like(delta_h)])).chunk(
        2
    )
    return Eps(eps_P, eps_D, b.h)


def twice(b: Bottleneck | Halves) -> Bottleneck | Halves:
    """The bottleneck of the same batch given two times, of a guided pass in the order it is kept."""
    n = len(b.h)
    rows = torch.arange(n, device=b.h.device).repeat(2)
    if isinstance(b, Halves):
        return Halves(b.h[rows], b.temb[rows], _rows(b.both, torch.cat([rows, rows + n])))
    return _rows(b, rows)


def _rows(b: Bottleneck, rows: Tensor) -> Bottleneck:
    each = isinstance(b.t, Tensor) and b.t.numel() > 1
    return Bottleneck(
        b.h[rows],
        tuple(skip[rows] for skip in b.skips),
        b.temb[rows],
        b.x[rows],
        b.t[rows.to(b.t.device)] if each else b.t,
        None if b.cond is None else b.cond[rows],
    )


# ---------------------------------------------------------------- what Δh may be


class Conv(nn.Module):
    """The f_t of Kwon et al. 2023: conv1×1, + Linear(SiLU(temb)), GroupNorm, SiLU, conv1×1.

    channels: of h. width: of the time embedding. epsilon: of the GroupNorm; the paper's code has 1e-6.
    """

    def __init__(self, channels: int, width: int, epsilon: float = 1e-5):
        super().__init__()
        self.config = {"channels": channels, "width": width, "epsilon": epsilon}
        self.one, self.two = (nn.Conv2d(channels, channels, 1) for _ in range(2))
        self.time = nn.Linear(width, channels)
        self.norm = nn.GroupNorm(math.gcd(32, channels), channels, epsilon)

    def forward(self, h: Tensor, t: int | Tensor, temb: Tensor) -> Tensor:
        """Δh (B, C_h, H_h, W_h) for each image's h."""
        inner = self.one(h) + self.time(F.silu(temb))[:, :, None, None]
        return self.two(F.silu(self.norm(inner)))

    @property
    def output(self) -> nn.Conv2d:
        """The last layer: Δh is proportional to its weights."""
        return self.two


class Attention(nn.Module):
    """An f_t that sees all of h at once: GroupNorm, + Linear(SiLU(temb)), self-attention, conv1×1.

    channels: of h. width: of the time embedding. heads: must divide the channels, or ValueError.
    """

    def __init__(self, channels: int, width: int, heads: int = 4):
        super().__init__()
        if channels % heads:
            raise ValueError(f"heads is {heads}: it must divide h's {channels} channels.")
        self.config = {"channels": channels, "width": width, "heads": heads}
        self.time = nn.Linear(width, channels)
        self.norm = nn.GroupNorm(math.gcd(32, channels), channels)
        self.inputs, self.output = (
            nn.Conv2d(channels, 3 * channels, 1),
            nn.Conv2d(channels, channels, 1),
        )
        self.heads = heads

    def forward(self, h: Tensor, t: int | Tensor, temb: Tensor) -> Tensor:
        """Δh (B, C_h, H_h, W_h) for each image's h."""
        # GroupNorm's backward pass ends the process for a channels-last h that needs no gradient.
        inner = self.norm(h.contiguous()) + self.time(F.silu(temb))[:, :, None, None]
        split = self.inputs(inner).flatten(2).unflatten(1, (3, self.heads, -1)).mT  # (B,3,n,HW,C/n)
        seen = F.scaled_dot_product_attention(*split.unbind(1))  # (B, n, HW, C/n)
        return self.output(seen.mT.reshape(h.shape))


class PerTime(nn.Module):
    """The same Δh for every image: one for each of some times, of which the nearest is taken.

    times: (S,) whole numbers, or one for a Δh that does not depend on time.
    delta: (S, C_h, H_h, W_h). Raises ValueError for another shape.
    """

    def __init__(self, times, delta: Tensor):
        super().__init__()
        times = torch.as_tensor(times).reshape(-1)
        if delta.ndim != 4 or len(delta) != len(times):
            raise ValueError(
                f"delta is {tuple(delta.shape)} for {len(times)} times: give (times, C_h, H_h, W_h)."
            )
        self.config = {"times": times.tolist(), "delta": list(delta.shape)}
        self.register_buffer("times", times)
        self.delta = nn.Parameter(delta.detach().clone())

    def forward(self, h: Tensor, t: int | Tensor, temb: Tensor) -> Tensor:
        """Δh (1, C_h, H_h, W_h), or (B, …) if t is (B,)."""
        t = torch.as_tensor(t, device=self.times.device).reshape(1, -1)
        return self.delta[(self.times[:, None] - t).abs().argmin(0)]  # of (S, 1 or B) distances


def _empty_per_time(times: list[int], delta: list[int]) -> PerTime:
    return PerTime(times, torch.zeros(delta))


# A card's 'form', its class, and what builds it from its config.
FORMS = {
    "conv": (Conv, Conv),
    "attention": (Attention, Attention),
    "per time": (PerTime, _empty_per_time),
}


# ---------------------------------------------------------------- edits


@dataclass(frozen=True, eq=False)
class Direction:
    """One way to shift h, and when.

    form: (h, t, temb) -> Δh.
    first, last: the times of the editing interval, first ≥ t ≥ last ≥ 0, or ValueError.
    visits: how many steps it was made for within the interval; None if that does not matter.
    card: what else is known of it.
    """

    form: nn.Module
    first: int
    last: int
    visits: int | None = None
    card: dict = field(default_factory=dict)

    def __post_init__(self):
        if not self.first >= self.last >= 0:
            raise ValueError(
                f"The interval is from {self.first} to {self.last}: times fall, to 0 at the least."
            )
        if self.visits is not None and not whole(self.visits, 1):
            raise ValueError(
                f"visits is {self.visits!r}: give a whole number of steps, at least 1, or None."
            )

    def acts(self, t: int) -> bool:
        """Whether t is within the editing interval."""
        return self.first >= t >= self.last


Scale = float | Tensor  # a number, or (B,) for each image


@dataclass(frozen=True, eq=False)
class Asyrp:
    """An edit for `Sampler.decode`: Δh_t is the sum of scale · direction over its terms.

    The papers' public code divides a sum of n attributes by √n; here it is the plain sum.
    Raises ValueError where it is multiplied by anything but finite numbers, or added to another thing.
    """

    terms: tuple[tuple[Scale, Direction], ...]

    @classmethod
    def of(cls, form: nn.Module, first: int, last: int = 0, visits=None, **card) -> Asyrp:
        """The edit by one direction, at scale 1."""
        return cls(((1.0, Direction(form, first, last, visits, card)),))

    def __call__(self, denoiser: Denoiser, x: Tensor, t: int, cond: Tensor | None = None) -> Eps:
        """ε for P and D (B, *shape), and h, as the sampler asks an edit. ValueError for a model without h."""
        if not hasattr(denoiser, "encode"):
            raise ValueError("This model has no bottleneck, so no h to shift: use a U-Net.")
        b = denoiser.encode(x, t, cond)
        return asymmetric(denoiser, b, self.shift(b, t))

    def shift(self, b: Bottleneck | Halves, t: int) -> Tensor | None:
        """Δh_t (B or 1, C_h, H_h, W_h); None outside all intervals and at scale 0.

        Raises ValueError for an edit of another model's h, or scales for another number of images.
        """
        moves = [
            _per_image(scale, len(b.h)) * _answer(d.form, b, t)
            for scale, d in self.terms
            if d.acts(t) and not (isinstance(scale, Real) and scale == 0)
        ]
        return sum(moves[1:], moves[0]) if moves else None

    def over(self, schedule: Schedule) -> Asyrp:
        """The same edit for a schedule with another number of steps in the interval: ΣΔh is kept.

        Δh is scaled by S_train/S_test (Kwon et al. 2023, appendix), steps counted in the interval.
        Raises ValueError for a schedule that has none there, if it matters (`Direction.visits`).
        """
        return Asyrp(tuple((scale * _rescaling(d, schedule), d) for scale, d in self.terms))

    def within(self, first: int, last: int) -> Asyrp:
        """The same edit in another interval."""
        return Asyrp(tuple(
            (scale, Direction(d.form, first, last, d.visits, d.card)) for scale, d in self.terms
        ))  # fmt: skip

    def __mul__(self, scale: Scale) -> Asyrp:
        if not isinstance(scale, (Real, Tensor)) or not torch.as_tensor(scale).isfinite().all():
            raise ValueError(
                f"An edit is scaled by {scale!r}: give a finite number, or a tensor (B,)."
            )
        return Asyrp(tuple((scale * was, d) for was, d in self.terms))

    __rmul__ = __mul__

    def __neg__(self) -> Asyrp:
        return self * -1.0

    def __add__(self, other: Asyrp) -> Asyrp:
        if not isinstance(other, Asyrp):
            raise ValueError(f"An edit and {other!r} do not add up: add another edit.")
        return Asyrp(self.terms + other.terms)

    def __sub__(self, other: Asyrp) -> Asyrp:
        return self + (-other if isinstance(other, Asyrp) else other)

    __radd__ = __add__


def _per_image(scale: Scale, n: int) -> Scale:
    if not isinstance(scale, Tensor):
        return scale
    if scale.numel() not in (1, n):
        raise ValueError(
            f"The edit has scales for {scale.numel()} images, but there are {n}: give one for each."
        )
    return scale.view(-1, 1, 1, 1)


def _answer(form: nn.Module, b: Bottleneck | Halves, t: int) -> Tensor:
    """A form's Δh, in its own precision. Raises ValueError for one that reads an h of other channels."""
    channels = getattr(form, "config", {}).get("channels", b.h.shape[1])
    if channels != b.h.shape[1]:
        raise ValueError(
            f"The edit reads an h of {channels} channels, but this model's has {b.h.shape[1]}: take one that "
            "was trained for this model."
        )
    own = next((p.dtype for p in form.parameters()), b.h.dtype)
    return form(b.h.to(own), t, b.temb.to(own))


def _rescaling(d: Direction, schedule: Schedule) -> float:
    return 1.0 if d.visits is None else d.visits / len(schedule.within(d.first, d.last))


# ---------------------------------------------------------------- files


def save_edit(edit: Asyrp, folder: str | Path, **more) -> None:
    """Write an edit of one term into a folder: model.safetensors, in half precision, and a card with
    `more` in it. Raises ValueError for an edit of several terms, or at a scale for each image."""
    if len(edit.terms) != 1 or not isinstance(edit.terms[0][0], Real):
        raise ValueError(
            f"The edit has {len(edit.terms)} terms: save edits of one term, at one scale."
        )
    (scale, d), folder = edit.terms[0], Path(folder)
    form = next(name for name, (kind, _) in FORMS.items() if type(d.form) is kind)
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(d.form, folder)
    said = {
        "kind": "direction", "form": form, "config": d.form.config, "scale": scale,
        "first": d.first, "last": d.last, "visits": d.visits,
    }  # fmt: skip
    files = {OWN_WEIGHTS: digest(folder / OWN_WEIGHTS)}
    write_card(folder, said | d.card | more | {"files": files})


def edit_names() -> list[str]:
    """The embedded directions, which `load_edit` knows by name."""
    return carded(DIRECTIONS)


def load_edit(name: str | Path, device: str | torch.device = "cpu") -> Asyrp:
    """The edit in an embedded direction or a folder, its file checked against the card.

    Raises CheckpointError for one that is missing, corrupt, or no direction.
    """
    folder = DIRECTIONS / name if has_card(DIRECTIONS / name) else Path(name)
    if folder.is_dir() and not has_card(folder):
        raise CheckpointError(
            f"{folder.absolute()} has no card: give a folder that `save_edit` wrote."
        )
    if not has_card(folder):
        known = ", ".join(edit_names()) or "none yet"
        raise CheckpointError(
            f"There is no direction {str(name)!r}: give a folder, or one of: {known}."
        )
    said = checked(folder, "direction")
    if said.get("form") not in FORMS:
        raise CheckpointError(
            f"{folder} holds a direction of the form {said.get('form')!r}: it must be one of "
            f"{', '.join(FORMS)}."
        )
    form = with_weights(FORMS[said["form"]][1], said["config"], folder).to(device)
    inner = ("kind", "form", "config", "scale", "first", "last", "visits", "files")
    rest = {k: v for k, v in said.items() if k not in inner}
    return Asyrp.of(form, said["first"], said["last"], said["visits"], **rest) * said["scale"]
