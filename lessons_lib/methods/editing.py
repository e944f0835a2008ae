"""Editing an image by two maps: CycleDiffusion, x̂ = G₂(G₁⁻¹(x)), and the methods it is held against.

Every method here is a function of the image and of samplers, which carry the model, the steps and η; what
it draws for an image depends on the seed and the image's place alone (see `streams`):

    cats, dogs = Sampler(load("cats"), 100, 0.1), Sampler(load("dogs"), 100, 0.1)
    dog = cycle_diffusion(cat, start_at(cats, 850), start_at(dogs, 850))
    dog = sdedit(dog, start_at(dogs, 100).with_eta(1.0), seed=1)      # the clean-up, a step apart

x is what the model diffuses: images, or the latents of a model with a codec (see `on_images`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import checked_images, whole
from ..code import Edit, Step, plain
from ..denoisers import Denoiser, Guided
from ..encoder import Path, independent, invert, lockstep, posterior
from ..sampler import Sampler, final
from ..schedule import Schedule, noised
from ..streams import Seed, Streams


def start_at(sampler: Sampler, t: int) -> Sampler:
    """The same sampler from its first time at or below `t` on: T_es, the early stop of the encoder.

    Codes then begin at x_T_es ~ q(x_T_es | x), and what is decoded keeps more of the image the lower
    it is. Raises ValueError where no step is left.
    """
    s = sampler.schedule
    if not whole(t, s.t[-1].item(), len(sampler.denoiser.alpha_bar) - 1):
        raise ValueError(
            f"t is {t!r}: give a whole number from {s.t[-1]}, the last time that this sampler visits, "
            f"to {len(sampler.denoiser.alpha_bar) - 1}."
        )
    left = s.t <= t
    return sampler.replace(schedule=Schedule(s.t[left], s.t_to[left], s.a[left], s.a_to[left]))


def cycle_diffusion(
    x: Tensor,
    source: Sampler,
    target: Sampler,
    seed: Seed = 0,
    path: Path = posterior,
    cond: Tensor | None = None,
    target_cond: Tensor | None = None,
) -> Tensor:
    """x̂ = decode₂(encode₁(x)), (B, *shape), with no stored code (Wu & De la Torre 2023, Algorithm 1).

    source, target: on the same schedule. Two models (unpaired translation), or one under two
        conditions and guidance scales (text editing).
    path: `posterior`, the paper's, or `independent`: edit-friendly inversion (Huberman-Spiegelglas et
        al. 2024).
    cond, target_cond: for each image, or one for all.
    """
    steps = lockstep(source, x, target, seed, path, cond, target_cond)
    return final(step for _, step in steps).x_to


def on_images(model: Denoiser, edit: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """An edit of the model's x as one of images (B, C, H, W): its codec, if any, before and after."""

    @torch.no_grad()
    def edited(image: Tensor) -> Tensor:
        return model.pictures(edit(model.latents(image.to(model.device))))

    return edited


def text_samplers(
    model: Denoiser,
    steps: int = 100,
    eta: float = 0.1,
    source_scale: float = 2.0,
    target_scale: float = 2.0,
    t_es: int | None = None,
) -> tuple[Sampler, Sampler]:
    """One text-conditioned model as the encoder and the decoder of a text edit.

    eta: by default the paper's.
    source_scale, target_scale: of classifier-free guidance; 1 is none. Where both are the same, what the
        two texts share is not pushed: lesson 12 measures that against the paper's 1 and 3.
    t_es: where both start, by default at the first of the `steps` times.
    Raises ValueError for a model without prompts.
    """
    if model.prompts is None:
        raise ValueError("This model reads no text: give a text-conditioned one, such as 't2i'.")
    g = Sampler(model, steps, eta)
    g = g if t_es is None else start_at(g, t_es)
    empty = model.prompts.empty
    return tuple(
        g.replace(denoiser=Guided(model, scale, empty)) for scale in (source_scale, target_scale)
    )


def text_edit(
    model: Denoiser,
    image: Tensor,
    source_texts: list[str],
    target_texts: list[str],
    seed: Seed = 0,
    path: Path = posterior,
    joined: Callable[[Sampler, Sampler], tuple[Sampler, Sampler]] | None = None,
    **settings,
) -> Tensor:
    """CycleDiffusion between two texts of each image: images (B, C, H, W) to images.

    source_texts, target_texts: one for each image, or one for all.
    joined: what ties the decoder to the encoder, such as `partial(controlled, maps=maps)`.
    settings: those of `text_samplers`. Raises ValueError as it does.
    """
    source, target = text_samplers(model, **settings)
    if joined is not None:
        source, target = joined(source, target)
    cond, target_cond = model.prompts(source_texts), model.prompts(target_texts)

    def edit(x: Tensor) -> Tensor:
        return cycle_diffusion(x, source, target, seed, path, cond, target_cond)

    return on_images(model, edit)(image)


def sdedit(
    x: Tensor, sampler: Sampler, seed: Seed = 0, cond: Tensor | None = None, edit: Edit = plain
) -> Tensor:
    """Noise to the sampler's first level, then decode (Meng et al. 2022), (B, *shape).

    Where the sampler starts is the strength: `start_at(g, 500)` re-draws what is finer than x_500. At a
    low start and η = 1 it is the clean-up after a translation.
    """
    x = checked_images(sampler, x, cond)
    z = sampler.draw(len(x), seed)
    a = sampler.schedule.a[0].item()
    return sampler.decode(replace(z, x_T=noised(x, z.x_T, a)), edit, cond)


def ddib(
    x: Tensor,
    source: Sampler,
    target: Sampler,
    cond: Tensor | None = None,
    target_cond: Tensor | None = None,
    refine: int = 0,
) -> Tensor:
    """Dual diffusion implicit bridges (Su et al. 2023): the flow up by one model, down by the other.

    x, and what comes back: (B, *shape). Both samplers at η = 0; `refine` as in `encoder.invert`.
    """
    return target.decode(invert(source, x, cond, refine)[0], cond=target_cond)


def low_pass(factor: int) -> Callable[[Tensor], Tensor]:
    """Images (..., B, C, H, W) without what is finer than `factor` pixels: made smaller, and large again.

    Linear, as ILVR and EGSDE ask; x + low(y - x) is x with the low frequencies of y.
    Raises ValueError, when called, for sides that `factor` does not divide.
    """

    def low(x: Tensor) -> Tensor:
        if not whole(factor, 1) or any(side % factor for side in x.shape[-2:]):
            raise ValueError(
                f"factor is {factor!r}: it must divide {x.shape[-2]} and {x.shape[-1]}."
            )
        size = tuple(side // factor for side in x.shape[-2:])
        small = F.interpolate(x.flatten(0, -4), size, mode="area")
        return F.interpolate(small, x.shape[-2:], mode="bicubic").reshape(x.shape)

    return low


@torch.no_grad()
def ilvr(
    x: Tensor,
    sampler: Sampler,
    low: Callable[[Tensor], Tensor],
    seed: Seed = 0,
    until: int = -1,
    cond: Tensor | None = None,
) -> Tensor:
    """Iterative latent variable refinement (Choi et al. 2021, Algorithm 1), (B, *shape).

    After each step, what `low` (such as `low_pass(4)`) sees of x_t' is replaced by what it sees of the
    source noised to t'. until: the last t' where that is done; -1 is the image itself.
    """
    x = checked_images(sampler, x, cond)
    streams = Streams(seed, len(x))
    path = independent(sampler, x, streams)  # x_T, then the source at every t'
    reference = start = next(path)

    def noise(i: int, sigma: float | Tensor) -> Tensor:
        nonlocal reference
        reference = next(path)
        return sigma * streams.normal(x)

    def refined(step: Step) -> Tensor:
        return step.x_to + (low(reference - step.x_to) if step.t_to >= until else 0.0)

    return refined(final(sampler.walk(start, noise, cond=cond, after=refined)))


class Chosen(NamedTuple):
    """The best of N edits of each of B images."""

    image: Tensor  # (B, *shape)
    which: Tensor  # (B,), from 0 to N-1
    selection: Tensor  # (N, B), the scores that chose
    reported: Tensor  # (N, B), the scores of another judge, which chose nothing

    @property
    def score(self) -> Tensor:
        """The reported scores of the chosen, (B,)."""
        return self.reported.gather(0, self.which[None])[0]


Score = Callable[[Tensor], Tensor]  # edits (B, *shape) -> (B,), higher is better


def best_of(candidates: Iterable[Tensor], select: Score, report: Score) -> Chosen:
    """An ensemble: of each image's edits the one that `select` likes best, judged by `report`.

    candidates: edits of one batch, a tensor (B, *shape) for each seed or setting; only the best are kept.
    The maximum of N noisy scores is above their mean even where nothing is better, so the score that
    chooses is never the one to report: take two encoders, such as `clip` and `clip-judge`.

    Raises ValueError where both give the same scores, or there is nothing to choose from.
    """
    best, selection, reported = None, [], []
    for image in candidates:
        selection.append(select(image))
        reported.append(report(image))
        if best is None:
            best, highest = image, selection[0]
        better = (selection[-1] > highest).view(-1, *[1] * (image.ndim - 1))
        best, highest = torch.where(better, image, best), highest.maximum(selection[-1])
    if best is None:
        raise ValueError("There are no candidates: give at least one edit.")
    selection, reported = torch.stack(selection), torch.stack(reported)
    if torch.equal(selection, reported):
        raise ValueError(
            "select and report give the same scores: choose by one encoder and report another's, "
            "or what is reported is the luck of the draw."
        )
    return Chosen(best, selection.argmax(0), selection, reported)
