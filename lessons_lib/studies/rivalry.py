"""Lesson 05b's comparisons: what an edit asks of the network, how edited pictures score, what cards hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from numpy import interp
from torch import Tensor

from ..code import Code, Edit
from ..denoisers import Denoiser
from ..judges import metrics
from ..judges.counterfactual import manifold_distance, texture
from ..lesson import record
from ..methods.asyrp import Asyrp
from ..methods.training import directional, text_change
from ..sampler import Sampler
from ..worlds import WORLDS
from . import edits as judging
from .attributes import Attribute, Factors, goal
from .subjects import Subjects, scores

if TYPE_CHECKING:
    from ..judges.evaluators import Clip, Critic

AS_MUCH = "drift of f_t by texts, scaled to achieve as much"
Rows = dict[str, dict[str, float]]  # name -> score -> number


class Counted:
    """A model, and how often each half of it was called, in images."""

    def __init__(self, model):
        self.model, self.encoder, self.decoder = model, 0, 0

    def __getattr__(self, name):
        return getattr(self.model, name)

    def encode(self, x, t, cond=None):
        self.encoder += len(x)
        return self.model.encode(x, t, cond)

    def decode(self, b, delta_h=None):
        self.decoder += len(b.h)
        return self.model.decode(b, delta_h)


def passes(sampler: Sampler, z: Code, edit: Edit) -> Tensor:
    """(encoder, decoder) passes of each step of an edited path, for all images of z together, (S, 2)."""
    counted = Counted(sampler.denoiser)
    found = [(0, 0)]
    for _ in Sampler(counted, schedule=sampler.schedule).trajectory(z, edit):
        found.append((counted.encoder, counted.decoder))
    return torch.tensor(found).diff(dim=0)


def judge_of(
    who: Subjects, name: str, before: Tensor, texts: tuple, critic: Critic, judge: Clip
) -> Callable[[Tensor], dict[str, float]]:
    """A function from edited pictures (N, 3, H, W) to their scores, means over images.

    before: no edit, G(x_T). Without a true counterfactual of `name` the scores are S_dir and the change.
    texture: of a corner that no edit of a face should touch, see `judges.counterfactual.texture`.
    """
    distance = metrics.perceptual_distance(critic)

    def judged(x: Tensor) -> dict[str, float]:
        x = x.float().clamp(-1, 1)
        moved = {"S_dir": metrics.s_dir(before, x, texts[0][0], texts[1][0], judge).mean().item()}
        if name not in who.goals:
            return moved | {"change": metrics.rms(x, before).mean().item()}
        s = scores(x, who, name, critic, distance)
        means = {
            "achieved": s.achieved.nanmean(), "drift": s.drift.mean(),
            "PSNR to truth": s.psnr.clamp_max(99).mean(), "distance to truth": s.distance.mean(),
            "identity": metrics.identity_similarity(before, x, critic).mean(),
            "quality, dB": manifold_distance(x, "faces", critic).mean(),
            "texture": texture(x).mean(),
        }  # fmt: skip
        return {k: v.item() for k, v in means.items()} | moved

    return judged


def pointing(attribute: Attribute, factors: Factors, clip: Clip, model: Denoiser) -> float:
    """cos(ΔT, ΔI of the true change): how well an attribute's texts point; the mean over faces."""
    size = model.shape[-1]
    pair = WORLDS["faces"].render(factors, size), goal(attribute, factors, size)
    delta, _ = text_change(clip, attribute.source, attribute.target)
    seen = (clip.image(x.to(model.device)) for x in pair)
    return directional(*seen, delta).mean().item()


def told(said: Mapping) -> Rows:
    """Rows of a card's figures: of the edit by its texts, and of those that were told the truth."""
    rows = {}
    keys = {"no edit": "no edit: ", "the truth itself": "true counterfactual: "}
    for label, key in (keys | {"f_t, by two texts": "edit: "}).items():
        rows[label] = {k.removeprefix(key): v for k, v in said.items() if k.startswith(key)}
    rows["the truth itself"].pop("PSNR to truth", None)
    rows |= {
        "f_t, told the truth": said.get(judging.TOLD),
        "f_t, told through all steps": said.get(judging.TOLD_THROUGH),
        "its own Δh, by two texts": said.get(judging.ANY_BY_TEXTS),
        "its own Δh, told the truth": said.get(judging.ANY),
    }
    return {label: row for label, row in rows.items() if row}


def levels(edits: Mapping[str, Asyrp], measures: tuple[str, ...]) -> Rows:
    """The rows of `told` for each edit, of these measures, by its card; recorded, and not printed.

    Where the card has a curve over scales, each row also has the drift of the shipped edit, scaled to
    achieve as much.
    """
    rows = {}
    for name, edit in edits.items():
        figures = edit.terms[0][1].card.get("figures", {})
        for label, row in told(figures).items():
            kept = {k: row[k] for k in measures if k in row}
            rows[f"{name}: {label}"] = kept | as_much(figures.get("scales"), row)
            for what, value in rows[f"{name}: {label}"].items():
                record(f"{name}, {label}: {what}", value, show=False)
    return rows


def as_much(curve: Mapping | None, row: Mapping[str, float]) -> dict[str, float]:
    """{AS_MUCH: …} beside a row, by a card's curve over scales; {} where the edit never achieves as much."""
    if not curve or "achieved, mean" not in row:
        return {}
    drift = at_success(row["achieved, mean"], curve["achieved, mean"], curve["drift"])
    return {} if math.isnan(drift) else {AS_MUCH: drift}


def beside_diffusion_clip(edits: Mapping[str, Asyrp]) -> Rows:
    """By their cards: DiffusionCLIP, and Asyrp at the scale at which it achieves as much."""
    rows = {}
    for name, edit in edits.items():
        said = edit.terms[0][1].card.get("figures", {}).get("DiffusionCLIP", {})
        if "Asyrp's scale there" not in said:
            continue
        achieved = {"achieved": said["achieved, mean"]}
        theirs = {what: said[what] for what in ("drift", "identity")}
        ours = {what: said[f"Asyrp's {what} there"] for what in theirs}
        rows[f"{name}: DiffusionCLIP"] = achieved | theirs
        scale = said["Asyrp's scale there"]
        rows[f"{name}: Asyrp × {scale:.2f}"] = achieved | ours
        for what in theirs:
            value = ours[what] - theirs[what]
            record(f"{name}: {what}, Asyrp's less DiffusionCLIP's", value, show=False)
    return rows


def at_success(achieved: float, reached: Sequence[float], drift: Sequence[float]) -> float:
    """The drift of an edit at the strength at which it has achieved so much; NaN if it never has.

    reached, drift: at growing strengths, lines are drawn between neighbours. A strength that is too high may
    achieve less again, so several may achieve as much: the cleanest of them counts.
    """
    found = [
        float(interp(achieved, *zip(*sorted(pair), strict=True)))
        for pair in pairwise(zip(reached, drift, strict=True))
        if min(pair)[0] <= achieved <= max(pair)[0]
    ]
    return min(found, default=math.nan)


def grainier(images: Mapping[str, Tensor], before: Tensor, least: float = 1.1) -> dict[str, float]:
    """How many times as grainy as without the edit, by name, the grainiest first.

    Only of edits under which the texture (see `judges.counterfactual.texture`) grows in every picture, and by
    the factor `least` on average. images: (N, 3, H, W) by name; before: the same, without an edit.
    """
    plainly = texture(before)
    found = {k: texture(x) for k, x in images.items()}
    times = {k: (v.mean() / plainly.mean()).item() for k, v in found.items() if (v > plainly).all()}
    return dict(sorted(((k, v) for k, v in times.items() if v > least), key=lambda kv: -kv[1]))
