"""What Asyrp is compared with: the papers' other ways to turn the same texts into an edit.

Those that are trained take the sources, the loss and the settings of `training.training`. Two more are
told the answer, and say what it is that an edit falls short by: `taught_f_t` and `best_delta_h`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ..checks import whole
from ..code import Code, Edit, Eps, plain, predicted_image, shift
from ..denoisers import predict
from ..models.unet import UNet
from ..sampler import Sampler, final
from .asyrp import Asyrp, PerTime, asymmetric
from .training import (
    Sources,
    Texts,
    batches,
    descent,
    directional,
    from_first,
    path,
    text_change,
    text_means,
    trained,
    training,
    with_gradient,
)

if TYPE_CHECKING:
    from ..judges.evaluators import Clip


def in_both(edit: Asyrp) -> Edit:
    """The edit with the shifted ε in P and in D: what the cancellation theorem is about."""

    def step(denoiser, x, t, cond=None):
        b = denoiser.encode(x, t, cond)
        eps = denoiser.decode(b, edit.shift(b, t))
        return Eps(eps, eps, b.h)

    return step


def random_instead(edit: Asyrp, seed: int = 0) -> Edit:
    """One random direction of h for all images and times, each image's Δh_t as long as the edit's."""

    def step(denoiser, x, t, cond=None):
        b = denoiser.encode(x, t, cond)
        delta_h = edit.shift(b, t)
        if delta_h is not None:
            gen = torch.Generator().manual_seed(seed)
            noise = torch.randn(delta_h.shape[1:], generator=gen).to(delta_h)
            delta_h = noise / noise.norm() * delta_h.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        return asymmetric(denoiser, b, delta_h)

    return step


def classifier_guidance(
    clip: Clip, source: Texts, target: Texts, scale: float, first: int, last: int = 0,
    sharpness: float = 100.0,
) -> Edit:  # fmt: skip
    """ε - scale √(1-ᾱ_t) ∇ log p(target | x_t) in both terms (Dhariwal & Nichol 2021, Algorithm 2).

    p is the encoder's choice between the two texts for the picture P_t(x_t), in the place of a
    classifier that was trained on noisy images: softmax of `sharpness` times the cosines (100 is the most
    that CLIP itself learns: Radford et al. 2021, §2.5). Nothing is trained, but each step within
    first ≥ t ≥ last goes backwards through the encoder and the network.
    For models of pictures.
    """
    texts = torch.stack(text_means(clip, source, target))

    def step(denoiser, x, t, cond=None):
        if not first >= t >= last:
            return plain(denoiser, x, t, cond)
        a = denoiser.alpha_bar[t].item()
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            eps, h, sigma = predict(denoiser, x, t, cond)
            cosines = clip.image(predicted_image(x, eps, a).float()) @ texts.T
            likely = (sharpness * cosines).log_softmax(1)[:, 1].sum()
            (upwards,) = torch.autograd.grad(likely, x)
        eps = eps.detach() - scale * (1 - a) ** 0.5 * upwards
        return Eps(eps, eps, None if h is None else h.detach(), sigma)

    return step


def eps_shift(
    sources: Sources,
    clip: Clip,
    source: Texts,
    target: Texts,
    in_D: bool,
    rounds: int = 30,
    **settings,
) -> PerTime:
    """A trained Δε_t, the same for all images: added to ε in P, and with `in_D` in D too.

    `of_eps` makes the edit of it.
    """
    g = sources.sampler
    shape = (len(sources.steps), *g.denoiser.shape)
    form = PerTime(g.schedule.t[sources.steps], torch.zeros(shape)).to(sources.x.device)
    asked = {"edited": lambda scale: of_eps(form, scale, in_D), "rounds": rounds} | settings
    for _ in training(form, sources, clip, source, target, **asked):
        pass
    return form


def of_eps(form: PerTime, scale: float | Tensor, in_D: bool) -> Edit:
    """The edit by a Δε_t within its times; `scale` is a number or (B,)."""
    first, last = max(form.config["times"]), min(form.config["times"])
    added = shift(lambda t: form(None, t, None), scale, scale if in_D else False)

    def step(denoiser, x, t, cond=None):
        return (added if first >= t >= last else plain)(denoiser, x, t, cond)

    return step


def diffusion_clip(
    sources: Sources, clip: Clip, source: Texts, target: Texts, rounds: int = 30, rate: float = 1e-5,
    **settings,
) -> UNet:  # fmt: skip
    """DiffusionCLIP (Kim et al. 2022): a copy of the whole network, fine-tuned for one pair of texts.

    With the same losses as Asyrp, step by step (their 'GPU-efficient' form), and one way only: it has
    no scale. `by_copy` makes the edit of it.
    """
    g = sources.sampler
    model = copy.deepcopy(g.denoiser)
    tuned = sources._replace(sampler=g.replace(denoiser=model))
    asked = {
        "edited": lambda scale: plain, "both_ways": False, "scales": (1.0, 1.0),
        "rounds": rounds, "rate": rate,
    }  # fmt: skip
    for _ in training(model.net, tuned, clip, source, target, **asked | settings):
        pass
    return model


def by_copy(tuned: UNet, first: int) -> Edit:
    """The edit by a fine-tuned copy of the network: its ε, in P and in D, at t ≤ first."""

    def step(denoiser, x, t, cond=None):
        return plain(tuned if t <= first else denoiser, x, t, cond)

    return step


def moved_start(
    sampler: Sampler, z: Code, clip: Clip, source: Texts, target: Texts, rounds: int = 20,
    rate: float = 0.02, l1_weight: float = 3.0, cond: Tensor | None = None,
) -> Code:  # fmt: skip
    """x_T moved down the gradient of the directional loss of the images it leads to, each for itself.

    Distorts (Kwon et al. 2023, Figure 2). The gradient goes through every step: use a short schedule.
    Raises ValueError for rounds below 1.
    """
    if not whole(rounds, 1):
        raise ValueError(f"rounds is {rounds!r}: give a whole number, at least 1.")
    towards, _ = text_change(clip, source, target)
    x_T = z.x_T.to(sampler.denoiser.device, sampler.dtype)
    with torch.no_grad():
        image = final(sampler.walk(x_T, cond=cond)).x_to.float()
        seen = clip.image(image)
    move = torch.zeros_like(x_T, requires_grad=True)
    optimizer = torch.optim.Adam([move], rate)
    for _ in range(rounds):
        x = final(sampler.walk(x_T + move, cond=cond)).x_to.float()
        losses = 1 - directional(seen, clip.image(x), towards)
        losses = losses + l1_weight * (x - image).abs().flatten(1).mean(1)
        optimizer.zero_grad()
        losses.sum().backward()
        optimizer.step()
    return Code(x_T + move.detach())


def best_delta_h(
    sampler: Sampler, z: Code, missed: Callable[[Tensor], Tensor], first: int, last: int = 0,
    rounds: int = 40, rate: float = 0.3, cond: Tensor | None = None,
) -> Edit:  # fmt: skip
    """A free Δh_t of each image and step of an interval, by which the final images miss least.

    missed: the loss of x (B, *shape), through every step of the interval at η = 0. With the squared error
    from the true counterfactuals it is told the answer, and no rival: about the most that an edit in h can do
    in this interval (about, for that is not what is scored). With a loss of two texts it is what they ask
    for, where no f_t has to serve other images as well.
    """
    late, z = from_first(sampler, z, first, cond)
    with torch.no_grad():
        h = next(late.trajectory(z, cond=cond)).h
    times = [t for t in late.schedule.t.tolist() if t >= last]
    free = {t: torch.zeros_like(h).requires_grad_() for t in times}

    def edit(denoiser, x, t, cond=None):
        return asymmetric(denoiser, denoiser.encode(x, t, cond), free.get(int(t)))

    optimizer = torch.optim.Adam(free.values(), rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, rounds)
    for _ in range(rounds):
        optimizer.zero_grad()
        missed(final(late.walk(z.x_T.to(h), edit=edit, cond=cond)).x_to).backward()
        optimizer.step()
        schedule.step()
    for delta_h in free.values():
        delta_h.requires_grad_(False)
    return edit


def taught_f_t(
    form: nn.Module, sources: Sources, goal: Tensor, rounds: int = 24, batch: int = 16,
    rate: float = 6e-3, through: bool = False, seed: int = 0,
) -> Asyrp:  # fmt: skip
    """The edit by Asyrp's f_t, trained as by two texts (`training.training`), but told the answer: P's mean
    squared error from the goal. Between it and `best_delta_h` lies what one f_t for all images cannot
    do, and between it and f_t what the texts do not say; but pixels hardly count what is small, as a
    smile is, and there it may learn less than from texts. goal: (N, 3, H, W), of the images of the sources.
    """
    edit, gen = Asyrp.of(form, 10**9), torch.Generator().manual_seed(seed)
    edit = edit if through else with_gradient(edit)

    def walks():
        for rows in batches(len(sources.x), batch, rounds, gen):
            wanted = goal[rows].to(sources.x.device)
            pictures = (
                sources.pictures(step).float() for step in path(sources, rows, edit, through)
            )
            yield (((P - wanted).square().mean(),) for P in pictures)

    for _ in descent(form, walks(), rate, rounds * (1 if through else len(sources.steps))):
        pass
    return trained(form, sources)
