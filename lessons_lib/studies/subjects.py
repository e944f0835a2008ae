"""Whom a lesson edits, and what is known of them: `subjects(g, "faces", "smiling, old", n=8, seed=0)`.

With a world of known factors and directions that were trained for the model, edits are judged by
ground truth. Any other model gets its own samples, and principal directions of its h. A latent model
that reads texts has its pictures' captions as condition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ..checkpoints import same
from ..checks import whole
from ..code import Code
from ..judges.counterfactual import Scores, counterfactual_scores
from ..judges.metrics import Distance
from ..methods.asyrp import Asyrp, edit_names, load_edit
from ..methods.hspace import constant, principal
from ..paths import held_out_seed
from ..sampler import Sampler
from ..schedule import of_thousand
from ..worlds import WORLDS
from .attributes import ATTRIBUTES, codes, cond_of
from .inputs import own_pictures

if TYPE_CHECKING:
    from ..judges.evaluators import Critic

Factors = dict[str, Tensor]  # name -> (N,)
WORLD = "faces"  # what ATTRIBUTES are of
LACKING = 0.3  # of a factor's range: who is to be edited has at least so far to go
FIRST, LAST = 736, 315  # of 1,000: the interval of directions that nobody trained, 9 of 20 steps


class Subjects(NamedTuple):
    """Codes to edit, and edits by name.

    z: of N images. edits: made for this sampler's number of steps.
    goals: for each edit that has a ground truth, the factors of the true counterfactuals.
    factors: of the N pictures, (N,) each, or None. said: what is left out, in a sentence, or "".
    captions, cond: of the N pictures, and what a model that reads texts makes of them, or None.
    """

    z: Code
    edits: dict[str, Asyrp]
    goals: dict[str, Factors]
    factors: Factors | None
    said: str
    captions: list[str] | None = None
    cond: Tensor | None = None


@torch.no_grad()
def subjects(
    sampler: Sampler,
    checkpoint: str,
    names: str,
    n: int,
    seed: int,
    prompt: str = "",
    images: str = "",
) -> Subjects:
    """`n` images, and the edits of these names for the model called `checkpoint`.

    names: embedded directions or folders, with commas between; for t2i, 'smiling' is 't2i-smiling'. Of a
    model that they were not trained for, principal directions of h take their place.
    sampler: of that model, at η = 0. prompt: what its own samples are of, if it reads texts.
    images: pictures of one's own, as of `read_pictures`, in place of drawn ones. Nobody knows their factors,
    so no edit of them has a ground truth.
    Raises ValueError for no names, and for a model without h that they were not trained for.
    """
    known = [name.strip() for name in names.split(",") if name.strip()]
    if not known:
        raise ValueError(
            f"attributes is {names!r}: give names of directions, with commas between them."
        )
    model = sampler.denoiser
    embedded, reads = edit_names(), model.prompts is not None
    files = {k: f"{checkpoint}-{k}" if f"{checkpoint}-{k}" in embedded else k for k in known}
    edits = {name: load_edit(file, model.device) for name, file in files.items()}
    made_for = (d.card.get("checkpoint", "") for e in edits.values() for _, d in e.terms)
    if not all(same(name, checkpoint) for name in made_for):
        return _without_truth(sampler, checkpoint, known, n, seed, prompt, images)
    edits = {name: edit.over(sampler.schedule) for name, edit in edits.items()}
    drawn = (model.world == WORLD or reads) and not images
    truths = [k for k in known if k in ATTRIBUTES and ATTRIBUTES[k].wanted and drawn]
    if not truths:
        said = "None of these directions has a true counterfactual: what needs one is left out."
        return _someone(sampler, edits, said, n, seed, prompt, images)
    factors = who_lacks(truths, n, seed)
    captions = WORLDS[WORLD].captions(factors, held_out_seed("edits", seed)) if reads else None
    cond = cond_of(model, captions)
    pictures = WORLDS[WORLD].render(factors, model.picture_shape[-1]).to(model.device)
    goals = {k: ATTRIBUTES[k].wanted(factors) for k in truths}
    rest = ", ".join(k for k in known if k not in truths)
    said = (
        f"{rest}: without a true counterfactual, so left out where one is needed." if rest else ""
    )
    z = codes(sampler, pictures, refine=1, cond=cond)
    return Subjects(z, edits, goals, factors, said, captions, cond)


@torch.no_grad()
def anyone(sampler: Sampler, n: int, seed: int) -> tuple[Code, Factors | None]:
    """Codes of the first `n` held-out pictures of the model's world, chosen for nothing, and their factors.

    Of a model without factors that are known here, codes of its own samples, and None.
    sampler: of a model of pictures, at η = 0. Raises ValueError for an n below 1.
    """
    if not whole(n, 1):
        raise ValueError(f"n is {n!r}: give a whole number of pictures, at least 1.")
    model = sampler.denoiser
    if model.world != WORLD:
        return sampler.draw(n, seed), None
    factors = WORLDS[WORLD].sample_factors(n, held_out_seed("edits", seed))
    pictures = WORLDS[WORLD].render(factors, model.picture_shape[-1]).to(model.device)
    return codes(sampler, pictures, refine=1), factors


def who_lacks(names: list[str], n: int, seed: int) -> Factors:
    """Factors of the first `n` held-out pictures that have some way to go to each of these attributes.

    Attributes that are opposites leave those in between; where too few are found, others follow.
    Raises ValueError for another attribute.
    """
    drawn = WORLDS[WORLD].sample_factors(64 * n, held_out_seed("edits", seed))
    lacking = torch.ones(64 * n, dtype=torch.bool)
    for name in names:
        if name not in ATTRIBUTES:
            raise ValueError(f"There is no attribute {name!r}: they are {', '.join(ATTRIBUTES)}.")
        for factor in WORLDS[WORLD].factors:
            after = ATTRIBUTES[name].wanted(drawn).get(factor.name)
            if after is not None:
                way = (after - drawn[factor.name]).abs() / (factor.high - factor.low)
                lacking &= way >= LACKING
    first = (~lacking).int().argsort(stable=True)[:n]
    return {k: v[first] for k, v in drawn.items()}


def scores(x: Tensor, who: Subjects, name: str, critic: Critic, distance: Distance) -> Scores:
    """The scores of pictures x (…, N, 3, H, W) edited by `name` against the truth, each (…, N) on the CPU."""
    flat = x.flatten(0, -5).float().clamp(-1, 1) if x.ndim > 4 else x.float().clamp(-1, 1)[None]
    found = [
        counterfactual_scores(v, who.factors, who.goals[name], WORLD, critic, distance)
        for v in flat
    ]
    lead = x.shape[:-3]
    return Scores(*(torch.stack(v).view(lead).cpu() for v in zip(*found, strict=True)))


def _someone(
    sampler: Sampler, edits: dict, said: str, n: int, seed: int, prompt: str, images: str
) -> Subjects:
    """Pictures of one's own, or the model's samples, of which no factors are known."""
    captions = [prompt] * n if sampler.denoiser.prompts is not None else None
    cond = cond_of(sampler.denoiser, captions)
    if not images:
        return Subjects(sampler.draw(n, seed), edits, {}, None, said, captions, cond)
    own = own_pictures(images, sampler.denoiser, n)
    said = f"Own pictures, of which nobody knows the truth. {said}"
    return Subjects(codes(sampler, own, refine=1, cond=cond), edits, {}, None, said, captions, cond)


def _without_truth(
    sampler: Sampler, checkpoint: str, names: list[str], n: int, seed: int, prompt: str, images: str
) -> Subjects:
    captions = [prompt] if sampler.denoiser.prompts is not None else None
    one, strangers = cond_of(sampler.denoiser, captions), sampler.draw(len(names) + 5, seed + 1)
    first, last = (of_thousand(t, len(sampler.denoiser.alpha_bar)) for t in (FIRST, LAST))
    h = next(
        step.h for step in sampler.trajectory(strangers, cond=one)
        if step.t <= (first + last) / 2 or step.t_to < 0
    )  # fmt: skip
    if h is None:
        raise ValueError(
            f"The model {checkpoint!r} has no bottleneck, so no h to shift: give a network."
        )
    directions, _ = principal(h, len(names))
    edits = {
        f"PC {k + 1}": constant(v, first, last, visits=9).over(sampler.schedule)
        for k, v in enumerate(directions)
    }
    said = (
        f"{', '.join(names)}: not trained for {checkpoint!r}, so principal directions of its h take "
        f"their place{'' if images else ' on its own samples'}; what needs ground truth is left out."
    )
    return _someone(sampler, edits, said, n, seed, prompt, images)
