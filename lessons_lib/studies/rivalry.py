"""Lesson 05's comparisons: what an edit asks of the network, how edited pictures score, what cards hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from numpy import interp
from torch import Tensor

from ..code import Code, Edit
from ..judges import metrics
from ..judges.counterfactual import manifold_distance, texture
from ..lesson import record
from ..methods.asyrp import Asyrp
from ..sampler import Sampler
from . import edits as judging
from .subjects import Subjects, scores

if TYPE_CHECKING:
    from ..judges.evaluators import Clip, Critic

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
    """The rows of `told` for each edit, of these measures, by its card; recorded, and not printed."""
    rows = {}
    for name, edit in edits.items():
        for label, row in told(edit.terms[0][1].card.get("figures", {})).items():
            rows[f"{name}: {label}"] = kept = {k: row[k] for k in measures if k in row}
            for what, value in kept.items():
                record(f"{name}, {label}: {what}", value, show=False)
    return rows


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


def cleaner(points: list[dict[str, float]], rows: Rows) -> list[str]:
    """The rows that drift less than an edit at any strength that achieves as much.

    points: the edit's scores at several scales, in their order; lines are drawn between neighbours. A scale
    that is too strong may achieve less again, so several may achieve as much: the cleanest of them counts.
    """
    found = []
    for name, row in rows.items():
        drifts = [
            float(interp(row["achieved"], *zip(*sorted(pair), strict=True)))
            for pair in pairwise([(p["achieved"], p["drift"]) for p in points])
            if min(pair)[0] <= row["achieved"] <= max(pair)[0]
        ]
        if drifts and row["drift"] < min(drifts):
            found.append(name)
    return found
