"""CycleDiffusion's Table 2 on worlds that know the right answer: the benchmark of 150 edits by text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from ..checks import whole
from ..judges import metrics
from ..judges.counterfactual import counterfactual_scores
from ..judges.evaluators import Clip, Critic, load_clip, load_critic
from ..judges.tables import Row
from ..methods.editing import cycle_diffusion, ddib, on_images, sdedit, text_edit, text_samplers
from ..models.latent import check_words
from ..models.unet import UNet
from ..sampler import Sampler
from ..schedule import of_thousand
from ..streams import Seed, seeds
from ..worlds.triplets import Triplet
from .unpaired import ETA, ImageEdit

CHOOSER = "S_D-CLIP by the other encoder"
# Guidance of encoder and decoder: none, alike, and the paper's.
PAIRS = ((1.0, 1.0), (2.0, 2.0), (1.0, 3.0))


class Cases(NamedTuple):
    """Edits of the benchmark, their pictures and true edited pictures (N, 3, S, S)."""

    triplets: list[Triplet]
    x: Tensor
    truth: Tensor

    @property
    def texts(self) -> tuple[list[str], list[str]]:
        """The source texts and the target texts."""
        return [c.source for c in self.triplets], [c.target for c in self.triplets]


def readable_cases(model: UNet, cases: list[Triplet]) -> list[Triplet]:
    """Those of the cases whose words the model knows, all of both texts."""

    def known(case: Triplet) -> bool:
        try:
            check_words(model.prompts.tokenizer, [case.source, case.target])
        except ValueError:
            return False
        return True

    return [case for case in cases if known(case)]


def taken_in_turn(cases: list[Triplet], n: int) -> list[Triplet]:
    """`n` of the cases, from each kind of edit and world in turn."""
    groups = {}
    for case in cases:
        groups.setdefault((case.kind, case.world), []).append(case)
    turns = [(i, k) for k, group in enumerate(groups.values()) for i in range(len(group))]
    groups = list(groups.values())
    return [groups[k][i] for i, k in sorted(turns)[:n]]


def pictured(cases: list[Triplet], size: int, device="cpu") -> Cases:
    """The cases with their pictures, drawn."""
    x, truth = (
        torch.cat([draw(case, size) for case in cases]).to(device)
        for draw in (Triplet.image, Triplet.counterfactual)
    )
    return Cases(cases, x, truth)


def reached(images: Tensor, cases: list[Triplet], critic: Critic, distance) -> tuple:
    """(share of the wanted change, drift of the other factors), (N,) each, as the critic reads them.

    A share is NaN where the source had all but the wanted value.
    """
    found = [
        counterfactual_scores(
            image[None].float(), case.factors(), case.change, case.world, critic, distance
        )
        for image, case in zip(images, cases, strict=True)
    ]
    return torch.cat([s.achieved for s in found]), torch.cat([s.drift for s in found])


class Judges(NamedTuple):
    """Who judges: two encoders of pictures and words, of which `clip` chooses and `judge` is reported."""

    clip: Clip
    judge: Clip
    critic: Critic
    distance: metrics.Distance


def judges(device: str = "cpu", clip: str = "clip", judge: str = "clip-judge") -> Judges:
    """The embedded judges, or others by name."""
    critic = load_critic(device=device)
    distance = metrics.perceptual_distance(critic)
    return Judges(load_clip(clip, device), load_clip(judge, device), critic, distance)


def edit_scores(images: Tensor, cases: Cases, by: Judges) -> dict[str, Tensor]:
    """Scores (N,) of edited images (N, 3, S, S); the last chooses between settings, and is never reported."""
    images, texts = images.to(cases.x), cases.texts
    return {
        "S_CLIP": metrics.s_clip(images, texts[1], by.judge),
        "S_D-CLIP": metrics.s_dir(cases.x, images, *texts, by.judge),
        "PSNR to the source (dB)": metrics.psnr(images, cases.x),
        "SSIM to the source": metrics.ssim(images, cases.x),
        "PSNR to the true edit (dB)": metrics.psnr(images, cases.truth),
        "distance to the true edit": by.distance(images, cases.truth),
        "share of the wanted change": reached(images, cases.triplets, by.critic, by.distance)[0],
        CHOOSER: metrics.s_dir(cases.x, images, *texts, by.clip),
    }


def text_edits(model: UNet, steps: int) -> dict[str, dict[str, ImageEdit]]:
    """Each method's settings: name -> setting -> edit(images, seed, source texts, target texts)."""
    last = Sampler(model, steps).schedule.t[0].item()
    middle = [of_thousand(t, len(model.alpha_bar)) for t in (400, 600, 800)]

    def edits(eta: float, way: Callable, scales: tuple[float, float], t: int) -> ImageEdit:
        both = text_samplers(model, steps, eta, *scales, t)

        def edit(x: Tensor, seed: Seed, source: list[str], target: list[str]) -> Tensor:
            conds = model.prompts(source), model.prompts(target)
            return on_images(model, lambda z: way(z, both, conds, seed))(x)

        return edit

    def cycle(z, both, conds, seed):
        return cycle_diffusion(z, *both, seed, cond=conds[0], target_cond=conds[1])

    def noise(z, both, conds, seed):
        return sdedit(z, both[1], seed, conds[1])

    def bridge(z, both, conds, seed):
        return ddib(z, *both, *conds)

    grid = {
        "CycleDiffusion": (ETA, cycle, PAIRS, (last,)),
        "SDEdit": (1.0, noise, PAIRS[::2], middle),
        "DDIB": (0.0, bridge, PAIRS, (last,)),
    }
    return {
        name: {
            f"w = {w[0]:g}, {w[1]:g}; from {t}": edits(eta, way, w, t)
            for w in scales
            for t in starts
        }
        for name, (eta, way, scales, starts) in grid.items()
    }


def searched(
    model: UNet, x: Tensor, texts: tuple[list[str], list[str]], steps: int, eta: float,
    skips: list[int], scales: list[float], trials: int, seed: int,
) -> Iterator[Tensor]:  # fmt: skip
    """The candidates (N, 3, S, S) among which CycleDiffusion's Table 2 takes the best of each image.

    skips: how many of the first steps the encoder leaves out; scales: of the decoder's guidance, where the
    encoder's is 1; trials: of each, by seeds of their own. The paper's are 15, 20, 25, 30, 40 and 50 of 100
    steps, 1 to 5, and 15 trials. Raises ValueError for a skip that leaves no step.
    """
    times = Sampler(model, steps).schedule.t.tolist()
    for skip in skips:
        if not whole(skip, 0, len(times) - 1):
            raise ValueError(f"skip is {skip!r}: give whole numbers from 0 to {len(times) - 1}.")
    for trial, skip, scale in product(range(trials), skips, scales):
        yield text_edit(
            model, x, *texts, seeds(seed, len(x), of=f"trial {trial}"), steps=steps, eta=eta,
            source_scale=1.0, target_scale=scale, t_es=times[skip],
        ).to(x)  # fmt: skip


def best_edit(rows: Mapping[str, Row]) -> str:
    """The setting with the highest mean S_D-CLIP by the encoder that is not reported."""
    return max(rows, key=lambda name: rows[name][CHOOSER].mean())
