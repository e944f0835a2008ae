"""G⁻¹: from an image to its latent code.

The DPM-Encoder (Wu & De la Torre 2023, eq. 5) draws a chain x_T, …, x_1, x_0 of ever less noisy
versions of the image, then reads off each step's noise, ε_t = (x_t' - μ(x_t, t)) / σ_t. The chain
needs no network, so all its steps are known before the network is asked once, and the network can
be asked about all of them in one batch.

Where σ_t = 0 (the last step, or η=0) the division fails. Public codes drop that noise or give NaN;
here the residual x_t' - μ itself is kept, so that decode(encode(x)) = x holds for any network, any
η and any schedule: by induction, if decode arrives at x_t, it adds to μ(x_t, t) exactly what was
missing to x_t'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .checks import check_input, checked_answer, checked_images, repeated, whole
from .code import Code, Step
from .denoisers import predict
from .devices import is_half
from .estimate import check_code, images_at_once, timed
from .schedule import kappa, mean_coefficients, noised
from .streams import Seed, Streams

if TYPE_CHECKING:
    from .sampler import Sampler

ALIKE = 2e-6  # of a float32 network's P, in two passes of the same images
# A path: (sampler, x, streams of the images) -> the chain x_T, …, x_0, one tensor (B, *shape) at a time.
Path = Callable[["Sampler", Tensor, Streams], Iterator[Tensor]]


def posterior(sampler: Sampler, x: Tensor, streams: Streams) -> Iterator[Tensor]:
    """x_T ~ q(x_T|x_0), then x_t' ~ q(x_t'|x_t, x_0), down to x_0 (Wu & De la Torre 2023, eq. 5)."""
    s = sampler.schedule
    c_x, c_P = mean_coefficients(s.a, s.a_to, sampler.sigma)
    x_t = noised(x, streams.normal(x), s.a[0].item())
    yield x_t
    for i in range(len(s) - 1):
        noise = streams.normal(x) * sampler.sigma[i].item()
        x_t = c_x[i].item() * x_t + c_P[i].item() * x + noise
        yield x_t
    yield x


def independent(sampler: Sampler, x: Tensor, streams: Streams) -> Iterator[Tensor]:
    """Every x_t ~ q(x_t|x_0) on its own (Huberman-Spiegelglas et al. 2024, edit-friendly inversion).

    The codes then correlate from step to step and carry more of the image.
    """
    for a in sampler.schedule.a:
        yield noised(x, streams.normal(x), a.item())
    yield x


@torch.no_grad()
def encode(
    sampler: Sampler,
    x: Tensor,
    seed: Seed = 0,
    path: Path = posterior,
    cond: Tensor | None = None,
    at_once: int | None = None,
) -> Code:
    """A code z of the images with decode(z) = x, all of a batch of steps in one pass.

    x: (B, *shape) in [-1, 1] for image models.
    seed: one for all, of which each image's stream is told by its place, or one for each (see `streams`).
    at_once: how many images go through the network in one pass (memory against speed); by default 64, or of
        large pictures what the free memory holds (`estimate.images_at_once`).
    Raises ValueError for what is no such image, seed, path, condition or number, for codes that are more than
    the free memory, and where the model's answer is not finite.

    How exactly x comes back, with a state in float64: to 1e-12 if the network is in float64 too. A network
    in float32 rounds otherwise in passes of another size, and the noisiest steps of one that magnifies this
    are asked twice (`_as_decoded`). Measured so: within 1e-5 (random and trained networks; ε, v and image;
    linear and cosine β; 10 to 1,000 steps; guidance 7.5), nearly always within 3e-6. Not where the network
    itself makes small differences grow on its way: to 3e-5 for a trained one that is given what it has
    not learnt (noise, or photographs to `faces`), to 2e-4 for a random one with twice the usual weights.
    at_once=len(x) rounds as decoding does, at every step, and leaves 1e-6 at most; it is what a network in
    a half precision is given, whatever at_once says.
    All this is of codes decoded in the batch in which they were encoded. Some of them decoded alone are
    rounded otherwise: untrained networks that predict ε magnify that to 1e-3 (cosine β: to 0.3).
    """
    x = checked_images(sampler, x, cond)
    check_path(path)
    if at_once is not None and not whole(at_once, 1):
        raise ValueError(f"at_once is {at_once!r}: give a whole number of images, at least 1.")
    check_code(sampler.denoiser, len(x), len(sampler.schedule), x.dtype, copies=3)
    style, cond = _styled(sampler, x, seed, cond)
    chain = torch.stack(list(path(sampler, x, Streams(seed, len(x)))))  # (S+1, B, *shape)
    before, after = chain[:-1].flatten(0, 1), chain[1:].flatten(0, 1)  # (S·B, *shape)
    steps = torch.arange(len(chain) - 1, device=x.device).repeat_interleave(len(x))
    given = None if cond is None else cond.to(x.device)
    cond = repeated(given, len(x), len(chain) - 1)
    half = is_half(sampler.denoiser)
    at_once = len(x) if half else at_once or images_at_once(sampler.denoiser, cond)
    eps = torch.empty_like(before)
    starts = range(0, len(before), at_once)
    for i in timed(starts, len(starts), "pass"):
        part = slice(i, i + at_once)
        some = None if cond is None else cond[part]
        eps[part] = _left(sampler, before[part], after[part], steps[part], some)[0]
    eps = eps.view(len(chain) - 1, *x.shape)
    if len(x) != min(at_once, len(before)):
        _as_decoded(sampler, chain, eps, given)
    return Code(chain[0], checked_answer(eps), sampler.sigma == 0, style)


def _as_decoded(sampler: Sampler, chain: Tensor, eps: Tensor, cond: Tensor | None) -> None:
    """The noisiest steps' ε once more, in place, from passes of all images of one step, as in decoding.

    A network of float32 rounds otherwise in passes of another size. Where it predicts ε, P magnifies that
    by √(1-ᾱ)/√ᾱ, which is 157 at the end of linear β. This goes down the steps to the first whose P is
    the same in both passes up to ALIKE. Below it the magnification is less, and their sum no more than it.
    """
    c_P = mean_coefficients(sampler.schedule.a, sampler.schedule.a_to, sampler.sigma)[1]
    for i in range(len(eps)):
        steps = torch.full((len(eps[i]),), i, device=eps.device)
        once_more, sigma = _left(sampler, chain[i], chain[i + 1], steps, cond)
        apart = ((once_more - eps[i]) * sigma).abs().max().item() / c_P[i].item()
        if apart <= ALIKE:
            return
        eps[i] = once_more


@torch.no_grad()
def lockstep(
    sampler: Sampler,
    x: Tensor,
    decoder: Sampler | None = None,
    seed: Seed = 0,
    path: Path = posterior,
    cond: Tensor | None = None,
    target_cond: Tensor | None = None,
) -> Iterator[tuple[Tensor, Step]]:
    """Encode and decode together, one step in memory at a time (Wu & De la Torre 2023, Algorithm 1).

    Yields (ε_t, the decoder's step); the last step's `x_to` is decode(encode(x)). A code of 1,000
    steps at 256 px is 786 MB an image in float32; this keeps two states.

    decoder: another sampler on the same schedule (CycleDiffusion); by default the same.
    Raises ValueError for samplers of other times, or images, a seed or conditions that they do not take.
    """
    decoder, x = decoder or sampler, checked_images(sampler, x, cond)
    check_input(decoder.denoiser, x, cond=target_cond)
    if decoder.schedule.t.tolist() != sampler.schedule.t.tolist():
        raise ValueError(
            "The encoder and the decoder must visit the same times: use the same steps."
        )
    check_path(path)
    chain = path(sampler, x, Streams(seed, len(x)))
    x_t = next(chain)
    cond, target_cond = (
        _styled(g, x, seed, c)[1] for g, c in ((sampler, cond), (decoder, target_cond))
    )

    def codes() -> Iterator[Tensor]:
        at = x_t
        for i, x_to in enumerate(chain):
            yield _left(sampler, at, x_to, torch.full((len(x),), i, device=x.device), cond)[0]
            at = x_to

    found = codes()
    eps = next(found)  # before the decoder's step, which may want the source's attention maps

    def noise(i: int, sigma: float | Tensor) -> Tensor:
        return eps * (sigma if sampler.sigma[i] > 0 else 1.0)

    for step in decoder.walk(x_t, noise, cond=target_cond):
        yield eps, step
        eps = next(found, eps)


@torch.no_grad()
def invert(
    sampler: Sampler, x: Tensor, cond: Tensor | None = None, refine: int = 0
) -> tuple[Code, list[float]]:
    """DDIM inversion: the x_T from which the deterministic sampler (η=0) comes back to x, nearly.

    Walks the steps backwards; each asks for the x_t with step(x_t) = x_t', and takes ε at x_t'
    instead of at x_t (Song et al. 2021, eq. 14 run backwards): exact only for infinitely small
    steps. `refine` fixed-point iterations put ε where it belongs: exact where they converge.

    Returns the code (x_T alone) and, for each step from the image on, what is left of
    ‖step(x_t) - x_t'‖∞.

    Raises ValueError at η > 0, where `encode` is the inverse.
    """
    if sampler.eta != 0:
        raise ValueError(f"DDIM inversion is for eta=0, but eta is {sampler.eta}: use encode.")
    if not whole(refine, 0):
        raise ValueError(f"refine is {refine!r}: give a whole number of iterations, 0 or more.")
    x_to, s, left = checked_images(sampler, x, cond), sampler.schedule, []
    style, cond = _styled(sampler, x_to, 0, cond)
    moves = kappa(s.a, s.a_to, 0.0)  # x_t' = √(ᾱ'/ᾱ) x_t + κ ε
    for i in reversed(range(len(s))):
        t, a, a_to = s.t[i].item(), s.a[i].item(), s.a_to[i].item()
        x_t = x_to
        for _ in range(refine + 1):
            eps = predict(sampler.denoiser, x_t, t, cond)[0]
            x_t = (x_to - moves[i].item() * eps) * (a / a_to) ** 0.5
        back = sampler.step(x_t, i, cond=cond).x_to
        left.append((back - x_to).abs().max().item())
        x_to = x_t
    return Code(checked_answer(x_to), style=style), left


def _styled(
    sampler: Sampler, x: Tensor, seed: Seed, cond: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    """(style, cond) under which images are encoded: of a model that is told more than the time, its own."""
    if cond is not None or getattr(sampler.denoiser, "style_shape", None) is None:
        return None, cond
    style = sampler.denoiser.style(x, seed)
    return style, sampler.denoiser.told(style)


def check_path(path: Path) -> None:
    """Raise ValueError for what draws no chain, such as the name of one that does."""
    if not callable(path):
        raise ValueError(f"path is {path!r}: give the function `posterior` or `independent`.")


def _left(
    sampler: Sampler, x: Tensor, x_to: Tensor, steps: Tensor, cond: Tensor | None
) -> tuple[Tensor, Tensor]:
    """((x_t' - μ(x_t, t)) / σ, σ) of images at these steps, (N, *shape); σ is 1 where the steps' is 0."""
    mu, sigma = sampler.mean_and_sigma(x, steps, cond)
    sigma = torch.where(sigma > 0, sigma, 1.0)
    return (x_to - mu) / sigma, sigma
