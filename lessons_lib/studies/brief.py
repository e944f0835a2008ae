"""The short training of lessons 05 and 05b: the same pictures, texts, rounds and losses for every method."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from torch import nn

from ..code import Code
from ..methods.asyrp import Asyrp
from ..methods.training import Round, Sources, source_paths, text_change, trained, training
from ..paths import TRAIN_EDITS
from ..sampler import Sampler
from ..schedule import of_thousand
from ..worlds import WORLDS
from . import inputs
from .attributes import ATTRIBUTES, codes

if TYPE_CHECKING:
    from ..judges.evaluators import Clip

Value = TypeVar("Value")


class Task(NamedTuple):
    """What is to be learnt, and from what.

    called: the attribute, or 'your texts'. texts: (source, target), lists of as many.
    z: codes of the N pictures to learn from; sources: their unedited paths.
    settings: what `training.training` is told, by whatever method.
    """

    called: str
    texts: tuple[list[str], list[str]]
    z: Code
    sources: Sources
    clip: Clip
    settings: dict


class Learnt(NamedTuple):
    """An edit, the rounds of its training, how many seconds it took, and how many numbers it learnt."""

    edit: Asyrp
    rounds: list[Round]
    seconds: float
    count: int


def called(p: SimpleNamespace) -> str:
    """What a lesson's parameters ask to learn: `learn`, or two texts of one's own if both are given."""
    return "your texts" if p.own_source and p.own_target else p.learn


def task(sampler: Sampler, clip: Clip, p: SimpleNamespace, drawn: bool) -> Task:
    """What to learn, by a lesson's parameters.

    drawn: of held-out faces of the world; otherwise of pictures of one's own, or of the model's samples.
    Raises ValueError for an interval without a step and for texts that cannot be learnt from, PictureError
    for pictures that do not open.
    """
    model, name = sampler.denoiser, called(p)
    own = [p.own_source], [p.own_target]
    texts = own if name != p.learn else (ATTRIBUTES[p.learn].source, ATTRIBUTES[p.learn].target)
    text_change(clip, *texts)  # refuses texts that it cannot learn from before pictures are encoded
    if p.images:
        z = codes(sampler, inputs.own_pictures(p.images, model, p.n_train), refine=1)
    elif drawn:
        faces = WORLDS["faces"].sample(p.n_train, TRAIN_EDITS + p.seed, model.shape[-1])
        z = codes(sampler, faces.image)
    else:
        z = sampler.draw(p.n_train, seed=p.seed + 1)
    first, last = (of_thousand(t, len(model.alpha_bar)) for t in (p.first, p.last))
    sources = source_paths(sampler, z, clip, first=first, last=last)
    settings = {
        "rounds": p.rounds, "batch": min(p.batch, len(z)), "seed": p.seed,
        "clip_weight": p.clip_weight, "l1_weight": p.l1_weight, "reach_weight": p.reach_weight,
        "both_ways": False, "scales": (1.0, 1.0),
    }  # fmt: skip
    return Task(name, texts, z, sources, clip, settings)


def learn(asked: Task, form: nn.Module, rate: float) -> Learnt:
    """The edit by a form of Δh, trained."""
    rounds, seconds = timed(
        lambda: list(
            training(form, asked.sources, asked.clip, *asked.texts, rate=rate, **asked.settings)
        )
    )
    return Learnt(trained(form, asked.sources), rounds, seconds, count(form))


def count(form: nn.Module) -> int:
    """How many numbers a module learns."""
    return sum(v.numel() for v in form.parameters())


def timed(call: Callable[[], Value]) -> tuple[Value, float]:
    """(what the call gives, seconds)."""
    start = time.perf_counter()
    return call(), time.perf_counter() - start
