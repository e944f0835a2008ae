"""How good an edit of faces is: what a critic that training never saw says of it and of its baselines."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..code import Code, plain
from ..judges.counterfactual import counterfactual_scores, readings
from ..judges.evaluators import KINDS, Clip, Critic
from ..judges.metrics import (
    Interval,
    bootstrap,
    identity_similarity,
    kid,
    perceptual_distance,
    psnr,
    s_dir,
    segmentation_consistency,
)
from ..judges.tables import rounded
from ..methods.asyrp import Asyrp
from ..methods.hspace import r_squared
from ..methods.rivals import best_delta_h, by_copy, diffusion_clip, random_instead, taught_f_t
from ..methods.training import Sources, from_first, new_f_t, strip, text_change, text_losses
from ..models.unet import UNet
from ..paths import held_out_seed
from ..sampler import Sampler
from ..worlds import WORLDS
from .attributes import SCALES, Attribute, Factors, Settings, cond_of, goal, shown

TUNING = 1e-4  # DiffusionCLIP's learning rate
THROUGH = {"batch": 8, "rate": 2e-3, "through": True}  # of a second training, whoever teaches
TOLD_ROUNDS = 48  # of it, for an f_t told the truth
TOLD, TOLD_THROUGH = "f_t told the truth", "f_t told the truth, through the interval"
ANY, ANY_BY_TEXTS = "any Δh", "any Δh, by the texts"


def asked(attribute: Attribute, s: Settings) -> dict:
    """What `training.training` is told, whatever form it trains."""
    return {
        "rounds": s.rounds, "batch": s.batch, "clip_weight": s.clip_weight,
        "l1_weight": attribute.l1_weight, "reach_weight": s.reach_weight,
    }  # fmt: skip


@torch.no_grad()
def figures(
    attribute: Attribute, sampler: Sampler, z: Code, edit: Asyrp, factors: Factors, critic: Critic,
    cond: Tensor | None = None,
) -> dict:  # fmt: skip
    """What the critic says of the edit at scale 1, and of the scales from -1 to 1."""
    sampler, z = from_first(sampler, z, edit.terms[0][1].first, cond)
    x = torch.stack([shown(sampler, strip(sampler, z, edit, [s], cond)[0]) for s in SCALES])
    source, edited = x[SCALES.index(0.0)], x[-1]
    found = {
        "images": len(z),
        "identity similarity": identity_similarity(source, edited, critic).mean(),
    }
    found |= against_truth(edited, attribute, factors, critic)
    if attribute.look:
        unedited = scored(source, attribute, factors, critic)
        found |= {f"no edit: {what}": value for what, value in unedited.items()}
    else:
        found["linearity R² on -1…1"] = linearity(x, attribute, factors, critic)
    return rounded(found)


def against_truth(edited: Tensor, attribute: Attribute, factors: Factors, critic: Critic) -> dict:
    """`scored` of the edit (N, 3, S, S), beside what the true counterfactual scores: the critic's ceiling."""
    truth = goal(attribute, factors, edited.shape[-1])
    return {
        f"{name}: {what}": value
        for name, images in (("edit", edited), ("true counterfactual", truth))
        for what, value in scored(images, attribute, factors, critic).items()
    }


def scored(images: Tensor, attribute: Attribute, factors: Factors, critic: Critic) -> dict:
    """Achieved and drift of edited pictures (N, 3, S, S), and how near they come to the truth; means over
    them. Of a look, which has no factor, how sure the critic is of its kind stands for the first two."""
    if attribute.look:
        kind = critic.world(images)[:, KINDS.index(attribute.look)]
        near = psnr(images, goal(attribute, factors, images.shape[-1]).to(images))
        return {"critic calls it so": kind.mean(), "PSNR to truth": near.clamp_max(99).mean()}
    s = counterfactual_scores(
        images, factors, attribute.wanted(factors), "faces", critic, perceptual_distance(critic)
    )
    reached = s.achieved[s.achieved.isfinite()]
    return {
        "achieved, mean": reached.mean(),
        "share with 60 % or more": (reached >= 0.6).float().mean(),
        "drift": s.drift.mean(),
        "PSNR to truth": s.psnr.clamp_max(99).mean(),
    }


def ceiling(
    attribute: Attribute, sampler: Sampler, z: Code, factors: Factors, critic: Critic, clip: Clip,
    s: Settings,
) -> dict[str, dict[str, float]]:  # fmt: skip
    """`of_edit` of a Δh_t of each image's own: the best, fitted to its true counterfactual, and that by the
    attribute's texts, with the loss of the last training."""
    truth = goal(attribute, factors, sampler.denoiser.shape[-1]).to(sampler.denoiser.device)
    losses = {
        ANY: lambda x: (x - truth).square().sum(),
        ANY_BY_TEXTS: by_texts(attribute, sampler, z, clip, s),
    }
    found = {}
    for name, missed in losses.items():
        edit = best_delta_h(sampler, z, missed, attribute.first, attribute.last)
        found[name] = of_edit(attribute, sampler, z, edit, factors, critic)
    return found


@torch.no_grad()
def by_texts(
    attribute: Attribute, sampler: Sampler, z: Code, clip: Clip, s: Settings
) -> Callable[[Tensor], Tensor]:
    """The loss of edited pictures (B, 3, H, W) that f_t was last trained by, against the unedited ones."""
    x = sampler.decode(z).float()
    seen, (towards, _) = clip.image(x), text_change(clip, attribute.source, attribute.target)
    weights = s.clip_weight, s.reach_weight, attribute.l1_through or attribute.l1_weight
    return lambda edited: text_losses(clip, x, seen, edited, towards[None], weights)[0]


def taught(
    attribute: Attribute, sources: Sources, theirs: Factors, s: Settings, sampler: Sampler, z: Code,
    factors: Factors, critic: Critic,
) -> dict[str, dict[str, float]]:  # fmt: skip
    """`of_edit` of an f_t that was trained as long on the same pictures, but told what they should become;
    and of the same trained on through the whole interval."""
    truth = goal(attribute, theirs, sampler.denoiser.shape[-1])
    form, found = new_f_t(sampler, z), {}
    edit = taught_f_t(form, sources, truth, s.rounds, s.batch, s.rate)
    found[TOLD] = of_edit(attribute, sampler, z, edit, factors, critic)
    edit = taught_f_t(form, sources, truth, TOLD_ROUNDS, **THROUGH)
    found[TOLD_THROUGH] = of_edit(attribute, sampler, z, edit, factors, critic)
    return found


def fine_tuned(attribute: Attribute, sources: Sources, clip: Clip, s: Settings) -> UNet:
    """DiffusionCLIP's copy of the network: by the same texts, pictures and rounds, each step by itself."""
    texts = attribute.source, attribute.target
    return diffusion_clip(sources, clip, *texts, rate=TUNING, **asked(attribute, s))


@torch.no_grad()
def kept_too(
    attribute: Attribute, sampler: Sampler, before: Tensor, x: Tensor, factors: Factors, critic: Critic
) -> dict[str, float]:  # fmt: skip
    """`scored` of edited codes' states x, and the identity that they keep of `before`, (N, 3, S, S)."""
    x = shown(sampler, x)
    alike = identity_similarity(before, x, critic).mean()
    return rounded(scored(x, attribute, factors, critic) | {"identity": alike})


@torch.no_grad()
def by_scale(
    attribute: Attribute, sampler: Sampler, z: Code, edit: Asyrp, factors: Factors, critic: Critic
) -> dict[str, list[float]]:
    """What Asyrp's edit reaches and keeps at each of nine scales from 0 to 2: measure -> a number a scale."""
    sampler, z = from_first(sampler, z, edit.terms[0][1].first)
    before, scales = shown(sampler, sampler.decode(z)), np.linspace(0, 2, 9).tolist()
    rows = [
        kept_too(attribute, sampler, before, strip(sampler, z, edit, [scale])[0], factors, critic)
        for scale in scales
    ]
    return {"scale": scales} | {what: [row[what] for row in rows] for what in rows[0]}


@torch.no_grad()
def at_equal_success(
    attribute: Attribute, sampler: Sampler, tuned: UNet, z: Code, curve: dict[str, list[float]],
    factors: Factors, critic: Critic,
) -> dict[str, float]:  # fmt: skip
    """`kept_too` of DiffusionCLIP, beside Asyrp's identity and drift at the scale where it achieves as much;
    without the last three if it never does. curve: Asyrp's `by_scale`, of the same codes."""
    sampler, z = from_first(sampler, z, attribute.first)
    before, x = (
        shown(sampler, sampler.decode(z)),
        sampler.decode(z, by_copy(tuned, attribute.first)),
    )
    found = {"images": len(z)} | kept_too(attribute, sampler, before, x, factors, critic)
    reached, scales = curve["achieved, mean"], curve["scale"]
    rising = int(np.argmax(reached)) + 1  # beyond it a larger scale achieves less
    if found["achieved, mean"] > max(reached):
        return found
    scale = np.interp(found["achieved, mean"], reached[:rising], scales[:rising])
    return found | rounded(
        {
            "Asyrp's scale there": scale,
            "Asyrp's identity there": np.interp(scale, scales, curve["identity"]),
            "Asyrp's drift there": np.interp(scale, scales, curve["drift"]),
        }
    )


@torch.no_grad()
def of_edit(
    attribute: Attribute, sampler: Sampler, z: Code, edit, factors: Factors, critic: Critic
) -> dict[str, float]:
    """`scored` of one edit of the codes."""
    x = shown(sampler, sampler.decode(z, edit))
    return {"images": len(z)} | rounded(scored(x, attribute, factors, critic))


@torch.no_grad()
def judgements(
    edited: Tensor,
    source: Tensor,
    attribute: Attribute,
    factors: Factors,
    critic: Critic,
    judge: Clip,
    seed: int = 0,
) -> dict[str, Interval]:
    """What papers print of edits (N, 3, S, S), and what only a drawn world knows, with 95 % intervals.

    S_dir: the cosine. ID, SC: likeness to the source (`metrics.identity_similarity`,
    `segmentation_consistency`). KID: to as many pictures of other people, as they are and as they should
    become; of at least 4 images. achieved, drift: `counterfactual.Scores`; of a look, achieved is the
    critic's probability of its kind. to truth: the critic's perceptual distance to the counterfactual.
    judge: an encoder that training never saw.
    """
    n, size, distance = len(edited), edited.shape[-1], perceptual_distance(critic)
    each = {
        "S_dir": s_dir(source, edited, attribute.source[0], attribute.target[0], judge),
        "ID": identity_similarity(source, edited, critic),
        "SC": segmentation_consistency(source, edited, critic, "faces"),
    }
    if attribute.look:
        each["achieved"] = critic.world(edited)[:, KINDS.index(attribute.look)]
        each["to truth"] = distance(edited, goal(attribute, factors, size).to(edited))
    else:
        wanted = attribute.wanted(factors)
        scores = counterfactual_scores(edited, factors, wanted, "faces", critic, distance)
        each |= {"achieved": scores.achieved, "to truth": scores.distance, "drift": scores.drift}
    found = {k: bootstrap(v[v.isfinite()], seed) for k, v in each.items() if v.isfinite().sum() > 1}
    if n >= 4:
        others = WORLDS["faces"].sample_factors(n, held_out_seed("other people", seed))
        found["KID, people"] = kernel_distance(
            edited, WORLDS["faces"].render(others, size), critic, seed
        )
        found["KID, goal"] = kernel_distance(edited, goal(attribute, others, size), critic, seed)
    return found


@torch.no_grad()
def compared(
    attribute: Attribute,
    sampler: Sampler,
    z: Code,
    edit: Asyrp,
    factors: Factors,
    cond: Tensor | None = None,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Pictures (N, 3, S, S) of the edit and of what it must be read against, by name.

    No edit, a random Δh as long, and the true counterfactual, through the codec if there is one; where
    the model reads texts that can say the change, the same code under the counterfactual's caption.
    seed: of the random Δh, and, as a held-out one, of the captions' words, as of those of `cond`.
    """
    model = sampler.denoiser
    late, z_late = from_first(sampler, z, max(d.first for _, d in edit.terms), cond)
    ways = {"no edit": plain, "random Δh": random_instead(edit, seed), "Asyrp": edit}
    made = {k: shown(late, late.decode(z_late, e, cond)) for k, e in ways.items()}
    if cond is not None and attribute.wanted:
        changed = {**factors, **attribute.wanted(factors)}
        text = cond_of(model, WORLDS["faces"].captions(changed, held_out_seed("edits", seed)))
        made["another text"] = shown(sampler, sampler.decode(z, cond=text))
    truth = goal(attribute, factors, made["Asyrp"].shape[-1]).to(made["Asyrp"])
    truth = model.pictures(model.latents(truth)).clamp(-1, 1)
    return made | {"true edit": truth}


def card_table(
    attribute: Attribute,
    sampler: Sampler,
    z: Code,
    edit: Asyrp,
    factors: Factors,
    critic: Critic,
    judge: Clip,
    cond: Tensor | None = None,
) -> dict[str, dict[str, list[float]]]:
    """`judgements` of each row of `compared`: [mean, low, high] by row and measure, for a card."""
    rows = compared(attribute, sampler, z, edit, factors, cond)
    found = {
        k: judgements(x, rows["no edit"], attribute, factors, critic, judge)
        for k, x in rows.items()
    }
    return {
        row: {what: [round(v, 4) for v in interval] for what, interval in values.items()}
        for row, values in found.items()
    }


def kernel_distance(x: Tensor, y: Tensor, critic: Critic, seed: int) -> Interval:
    """`metrics.kid` with a 95 % interval: the spread over random halves is its standard error.

    A half of N images (N, 3, S, S), drawn without replacement, varies about the whole as that does about the
    truth (the delete-half jackknife, Shao & Wu 1989).
    """
    whole, _ = kid(x, y, critic, subsets=1, subset_size=min(len(x), len(y)), seed=seed)
    _, spread = kid(x, y, critic, subset_size=min(len(x), len(y)) // 2, seed=seed)
    return Interval(whole, whole - 1.96 * spread, whole + 1.96 * spread)


def linearity(x: Tensor, attribute: Attribute, factors: Factors, critic: Critic) -> float:
    """R² of a line through the critic's mean reading of the wanted factor against SCALES.

    x: the pictures at each scale, (scales, N, 3, S, S).
    """
    (name,) = attribute.wanted(factors)
    y = torch.stack([readings(v, "faces", critic)[name].mean() for v in x]).double()
    return r_squared(torch.tensor(SCALES), y).item()
