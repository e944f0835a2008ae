"""Energies of pictures, for `guidance`: what a picture should be, as a number that is low where it is.

    wanted = 500 * by_text(clip, "a smiling person") + 2000 * same_person(critic, photo)

An energy is called `(images (B, 3, H, W) in about [-1, 1], seed) -> (B,)`, differentiable in the images.
Those that look at augmented copies draw them by the seed: with one seed two pictures are seen through the
same augmentations, as an accept/reject has to.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import whole
from ..streams import Streams

if TYPE_CHECKING:
    from ..judges.evaluators import Clip, Critic

Look = Callable[[Tensor, int], Tensor]  # images (B, 3, H, W), seed -> (B,)


@dataclass(frozen=True)
class Energy:
    """A sum of weighted terms; energies add, and scale by numbers."""

    terms: tuple[tuple[float, Look], ...]

    def __call__(self, images: Tensor, seed: int = 0) -> Tensor:
        """The energy of each image, (B,). Raises ValueError where it is not finite."""
        found = sum(weight * term(images, seed) for weight, term in self.terms)
        if not isinstance(found, Tensor) or found.shape != images.shape[:1]:
            raise ValueError(
                f"The energy of {len(images)} images is {getattr(found, 'shape', found)}: give one number "
                "for each image, (B,)."
            )
        if not found.isfinite().all():
            where = (~found.isfinite()).nonzero().flatten().tolist()
            raise ValueError(
                f"The energy of image {where[0]} is {found[where[0]].item()}: give an energy that is finite "
                "for every picture, or a smaller weight or step."
            )
        return found

    def __mul__(self, weight: float) -> Energy:
        if not isinstance(weight, Real) or not math.isfinite(weight):
            raise ValueError(f"An energy is scaled by {weight!r}: give a finite number.")
        return Energy(tuple((weight * was, term) for was, term in self.terms))

    __rmul__ = __mul__

    def __add__(self, other: Energy) -> Energy:
        if not isinstance(other, Energy):
            raise TypeError(f"{other!r} is added to an energy: add another energy.")
        return Energy(self.terms + other.terms)


def of(function: Callable[[Tensor], Tensor]) -> Energy:
    """The energy by any differentiable function of images, (B, 3, H, W) -> (B,)."""
    return Energy(((1.0, lambda images, seed: function(images)),))


def by_text(clip: Clip, text: str, copies: int = 8, augment: Augment | None = None) -> Energy:
    """1 - cos(E(image), E_T(text)), the mean over augmented copies; from 0 to 2.

    Of the image as it is alone, pictures are found that please this encoder and nobody else: what holds
    under augmentation has to be in the picture (Zhao et al. 2020's DiffAugment, as Wu & De la Torre 2023 use
    it, with 50 copies). copies: how many; 0 is the image as it is.

    Raises ValueError for a text that the encoder cannot read.
    """
    if not whole(copies, 0):
        raise ValueError(f"copies is {copies!r}: give a whole number, 0 for no augmentation.")
    with torch.no_grad():
        wanted = clip.text([text])[0]  # (E,)
    augment = diff_augment if augment is None else augment

    def look(images: Tensor, seed: int) -> Tensor:
        seen = augment(images, copies, seed) if copies else images[None]  # (L, B, 3, H, W)
        cosines = clip.image(seen.flatten(0, 1).float()) @ wanted
        return 1 - cosines.view(len(seen), -1).mean(0).to(images)

    return Energy(((1.0, look),))


def of_class(logits: Callable[[Tensor], Tensor], label: int) -> Energy:
    """-log p(label | image), of a classifier's logits (B, K)."""
    return of(lambda images: -logits(images.float()).log_softmax(1)[:, label].to(images))


def same_person(critic: Critic, reference: Tensor) -> Energy:
    """1 - cos(identity(image), identity(reference)), from 0 to 2; reference: (1 or B, 3, H, W)."""
    with torch.no_grad():
        wanted = critic.identity(reference.float())  # (1 or B, E)
    return of(
        lambda images: 1 - F.cosine_similarity(critic.identity(images.float()), wanted).to(images)
    )


def inpainting(reference: Tensor, known: Tensor) -> Energy:
    """½‖known · (image - reference)‖² (B,): what is known of a picture stays, the rest is free.

    With weight 1/s² it is -log p(reference | image) of known pixels with noise of deviation s.
    known: (H, W) or (1, H, W), 1 where the pixel is known. Raises ValueError for a mask of another size.
    """
    if known.shape[-2:] != reference.shape[1:][-2:]:
        raise ValueError(
            f"known is {tuple(known.shape)}, but the picture is {tuple(reference.shape[1:])}: give a mask of "
            "its sides, (H, W)."
        )
    return of(lambda images: ((known * (images - reference)) ** 2).flatten(1).sum(1) / 2)


def low_resolution(reference: Tensor, low: Callable[[Tensor], Tensor]) -> Energy:
    """½‖low(image) - low(reference)‖² (B,); low: such as `editing.low_pass(4)`."""
    return of(lambda images: (low(images) - low(reference)).square().flatten(1).sum(1) / 2)


# Images (B, 3, H, W), copies, seed -> (copies, B, 3, H, W).
Augment = Callable[[Tensor, int, int], Tensor]

# Zhao et al. 2020 brighten by up to ½ of the range, shift by ⅛ and cut out a half; small pictures lose
# their glasses to that.
BRIGHTER, SHIFTED, RESIZED, CUT = 0.25, 0.1, 0.15, 0.25


def diff_augment(images: Tensor, copies: int, seed: int) -> Tensor:
    """Copies in other colours, moved, resized, and with a square cut out (Zhao et al. 2020), (L, B, 3, H, W).

    Every draw is from the seed; each image has L augmentations of its own.
    """
    u = 2 * Streams(seed, len(images)).uniform(9, copies) - 1  # (B, 9, L), in [-1, 1]
    u = u.permute(1, 2, 0).to(images)  # (9, L, B)
    out = images[None].expand(copies, *images.shape)
    each = u[..., None, None, None]
    out = out + BRIGHTER * each[0]
    grey = out.mean(2, keepdim=True)
    out = grey + (out - grey) * (1 + each[1])  # saturation, 0 to 2
    mean = out.mean((2, 3, 4), keepdim=True)
    out = mean + (out - mean) * (1 + each[2] / 2)  # contrast, ½ to 1½
    return _cut_out(_moved(out, u[3:6]), u[6:8])


def _moved(images: Tensor, u: Tensor) -> Tensor:
    """Shifted and resized copies (L, B, 3, H, W), by u (3, L, B); what lies outside is grey, 0."""
    u, flat = u.flatten(1), images.flatten(0, 1)  # (3, L·B), (L·B, 3, H, W)
    theta = torch.zeros(len(flat), 2, 3).to(images)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / (1 + RESIZED * u[0])
    theta[:, :, 2] = 2 * SHIFTED * u[1:].T
    grid = F.affine_grid(theta, list(flat.shape), align_corners=False)
    return F.grid_sample(flat, grid, align_corners=False).view(images.shape)


def _cut_out(images: Tensor, u: Tensor) -> Tensor:
    """Copies (L, B, 3, H, W) without a square around u (2, L, B) in [-1, 1]."""
    height, width = images.shape[-2:]
    rows, columns = (torch.linspace(-1, 1, side).to(images) for side in (height, width))
    inside = (rows - u[0, ..., None]).abs() < CUT, (columns - u[1, ..., None]).abs() < CUT
    kept = ~(inside[0][..., None] & inside[1][..., None, :])  # (L, B, H, W)
    return images * kept[:, :, None]
