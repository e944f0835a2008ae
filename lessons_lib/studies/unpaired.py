"""CycleDiffusion's Table 1 on worlds that know the right answer: cats and wild animals to dogs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from ..devices import precise
from ..judges import metrics
from ..judges.counterfactual import known_world, manifold_distance, readings
from ..judges.evaluators import KINDS, Critic
from ..methods.editing import cycle_diffusion, ddib, ilvr, low_pass, sdedit, start_at
from ..methods.egsde import egsde
from ..methods.translators import translated
from ..paths import held_out_seed
from ..sampler import Sampler
from ..schedule import of_thousand
from ..streams import seeds
from ..worlds import animals

CLEANED = "… with clean-up"
SHARED = [f.name for f in animals.factors if f.group == "shared" and not f.choices]
GROUPS = {
    "pose": ["yaw", "tilt", "zoom"],
    "colours": ["fur", "second", "eye_color"],
    "scene": ["light", "background"],
}
SEEDS = {
    what: held_out_seed("translations", 1000 * i)
    for i, what in enumerate(("reported", "choosing", "held out"))
}
ENOUGH = 0.95  # of the images judged dogs: what a setting must reach to be chosen
REFINED = 2  # iterations a step of DDIB's inversion: at 20 steps it is broken without
ETA = 0.1  # CycleDiffusion's, in both of the paper's tables


class Pair(NamedTuple):
    """Pictures of a source world (N, 3, S, S), and the same animals as the target world draws them."""

    target: str
    x: Tensor
    factors: dict[str, Tensor]
    truth: Tensor


def drawn(source: str, target: str, n: int, seed: int, size: int, device="cpu") -> Pair:
    """`n` pictures of the source world, by seed, with their factors and true translations.

    Raises ValueError for another world.
    """
    goal, batch = known_world(target), known_world(source).sample(n, seed, size, device)
    return Pair(target, batch.image, batch.factors, goal.render(batch.factors, size))


def judged_as(images: Tensor, world: str, critic: Critic) -> Tensor:
    """1.0 for each image that the critic takes for one of this world, among all it knows, (B,)."""
    kinds = metrics.in_parts(critic.world, images)
    return precise(kinds.argmax(1) == KINDS.index(world))


def correlation(a: Tensor, b: Tensor) -> float:
    """Of two lists of numbers (N,), in [-1, 1]; 0 where one is constant."""
    return metrics.correlations(a[None], b[None]).item()


def kept(images: Tensor, factors: Mapping[str, Tensor], world: str, critic: Critic) -> dict:
    """How each shared factor, as read from images (N, 3, S, S), correlates with the given ones, (N,) each."""
    read = readings(images, world, critic)
    return {name: correlation(read[name], factors[name]) for name in SHARED}


def by_group(values: Mapping[str, float]) -> dict[str, float]:
    """The mean correlation of each group of factors, from one for each factor, as `kept` gives them."""
    return {
        group: sum(values[m] for m in members) / len(members) for group, members in GROUPS.items()
    }


def kept_by_group(
    images: Tensor, factors: Mapping[str, Tensor], world: str, critic: Critic, seed: int = 0
) -> dict[str, metrics.Interval]:
    """`by_group` of `kept`, with 95 % bootstrap intervals over the images (1,000 resamplings, by seed)."""
    read, gen = readings(images, world, critic), torch.Generator().manual_seed(seed)
    rows = torch.randint(len(images), (1000, len(images)), generator=gen)
    draws = {}
    for name in (m for members in GROUPS.values() for m in members):
        draws[name] = metrics.correlations(*(v[name].cpu()[rows] for v in (read, factors)))
    means = by_group({k: correlation(read[k], factors[k]) for k in draws})
    ends = {
        k: v.quantile(v.new_tensor([0.025, 0.975])).tolist() for k, v in by_group(draws).items()
    }
    return {k: metrics.Interval(mean, *ends[k]) for k, mean in means.items()}


def translation_scores(images: Tensor, pair: Pair, critic: Critic, distance) -> dict[str, Tensor]:
    """Scores (N,) of images (N, 3, S, S); a PSNR to the source that is infinite (no edit) is left out."""
    scores = {
        "judged a dog": judged_as(images, pair.target, critic),
        "PSNR to the source (dB)": metrics.psnr(images, pair.x),
        "SSIM to the source": metrics.ssim(images, pair.x),
        "PSNR to the true dog (dB)": metrics.psnr(images, pair.truth),
        "distance to the true dog": distance(images, pair.truth),
        "like a drawing (dB)": manifold_distance(images, pair.target, critic),
    }
    return {name: v for name, v in scores.items() if v.isfinite().all()}


def translation_figures(images: Tensor, pair: Pair, held_out: Tensor, critic: Critic) -> dict:
    """Figures of the whole set: FID (for sets that are large enough), KID, and what is kept of factors.

    held_out: (M, 3, S, S) pictures of the target; FID is compared only between sets of one size N.
    """
    found = {}
    if len(images) > critic.feature_size:
        found["FID"] = metrics.fid(images, held_out, critic)
    found["KID"] = metrics.kid(images, held_out, critic, subset_size=min(100, len(images)))[0]
    found["kept"] = kept(images, pair.factors, pair.target, critic)
    return found


ImageEdit = Callable[
    ..., Tensor
]  # images (B, 3, S, S), a seed for all or each, further lists of B -> images


def translations(
    first: Sampler, target: Sampler, domains, cut, cycled: str | None
) -> dict[str, dict[str, ImageEdit]]:
    """Each method's settings, from which one is chosen: name -> setting -> edit(images, seed).

    first, target: the two worlds' samplers, at CycleDiffusion's η; the others take its model and steps.
    domains, cut: EGSDE's features and CUT's generator; None leaves their methods out.
    cycled: the setting of CycleDiffusion whose results are cleaned up; None leaves that out.
    """
    fresh, ode = target.with_eta(1.0), (first.with_eta(0.0), target.with_eta(0.0))
    size = target.denoiser.shape[-1]

    def cycle(t: int) -> ImageEdit:
        ends = start_at(first, t), start_at(target, t)
        return lambda x, seed: cycle_diffusion(x, *ends, seed)

    def clean(edit: ImageEdit, t: int) -> ImageEdit:
        return lambda x, seed: sdedit(
            edit(x, seed), start_at(fresh, t), seeds(seed, len(x), of="clean-up")
        )

    def bridge(t: int) -> ImageEdit:
        return lambda x, seed: ddib(x, *(start_at(g, t) for g in ode), refine=REFINED)

    def noise(t: int) -> ImageEdit:
        return lambda x, seed: sdedit(x, start_at(fresh, t), seed)

    def refine(pixels: int) -> ImageEdit:
        return lambda x, seed: ilvr(x, fresh, low_pass(pixels), seed)

    def pull(t: int) -> ImageEdit:
        return lambda x, seed: egsde(
            x, start_at(fresh, t), domains, low_pass(size // 4), 8.0, 2.0, seed
        )

    def times(*of: int) -> list[int]:
        return [of_thousand(t, len(target.denoiser.alpha_bar)) for t in of]

    early, middle = [*times(600, 800), first.schedule.t[0].item()], times(400, 500, 600, 700)
    found = {"CycleDiffusion": {f"T_es {t}": cycle(t) for t in early}}
    if cycled is not None:
        whole = found["CycleDiffusion"][cycled]
        found[CLEANED] = {f"clean-up from {t}": clean(whole, t) for t in times(50, 100, 150)}
    found["SDEdit"] = {f"start {t}": noise(t) for t in middle}
    found["DDIB"] = {f"start {t}": bridge(t) for t in early}
    found["ILVR"] = {f"areas of {k} pixels": refine(k) for k in (size // 8, size // 4, size // 2)}
    if domains is not None:
        found["EGSDE"] = {f"start {t}": pull(t) for t in middle}
    if cut is not None:
        found["CUT"] = {"one for each pair": lambda x, seed: translated(cut, x)}
    return found


def best_translation(tried: Mapping[str, Mapping[str, float]]) -> str:
    """The setting, of those whose images are judged dogs often `ENOUGH`, that comes nearest to the true
    dogs; if none is, the one judged so most often. From means over images that are not reported.
    """
    if not tried:
        raise ValueError("There is no setting to choose from: give at least one.")
    sure = {k: v for k, v in tried.items() if v["judged a dog"] >= ENOUGH}
    if sure:
        return min(sure, key=lambda k: sure[k]["distance to the true dog"])
    return max(tried, key=lambda k: tried[k]["judged a dog"])
