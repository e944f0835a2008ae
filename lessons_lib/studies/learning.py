"""A direction in h learnt from an attribute's two texts, with a preview drawn as it goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from .. import plots
from ..code import Code
from ..judges.evaluators import Clip
from ..methods.asyrp import Asyrp, Attention, Conv
from ..methods.training import Round, Sources, new_f_t, strip, training
from ..sampler import Sampler
from .attributes import SCALES, Attribute, Settings, shown
from .edits import THROUGH, asked


def learn(
    attribute: Attribute,
    sources: Sources,
    z: Code,
    clip: Clip,
    s: Settings,
    preview: Path,
    seed: int = 0,
    kind: type[Conv | Attention] = Conv,
    cond: Tensor | None = None,
) -> tuple[Asyrp, float]:
    """The trained edit, and the seconds that training took. z, cond: codes to draw the preview of."""
    form, seconds = new_f_t(sources.sampler, z, kind, cond, seed), 0.0
    rounds = both_trainings(form, attribute, sources, clip, s, seed)
    total = s.rounds + (s.rounds_through if attribute.l1_through else 0)
    first, last = attribute.first, attribute.last
    visits = len(sources.sampler.schedule.within(first, last))
    edit, start = Asyrp.of(form, first, last, visits), time.monotonic()
    for n, done in enumerate(rounds, start=1):
        seconds += time.monotonic() - start
        if n % 5 == 0 or n == total:
            print(f"  round {n} of {total}: loss {done.loss:.3f}, towards {done.towards:.2f}, "
                  f"change {done.change:.3f}", flush=True)  # fmt: skip
        if n % 25 == 0 or n == total:
            draw(sources.sampler, z, edit * attribute.strength, preview, cond)
        start = time.monotonic()
    with torch.no_grad():  # the edit's own scale stays 1, as every other's
        for weights in form.output.parameters():
            weights.mul_(attribute.strength)
    return edit, seconds


def both_trainings(
    form: nn.Module, attribute: Attribute, sources: Sources, clip: Clip, s: Settings, seed: int
) -> Iterator[Round]:
    """Train `form` each step of the interval by itself, and then, if the attribute asks, THROUGH it."""
    texts, asks = (attribute.source, attribute.target), asked(attribute, s) | {"seed": seed}
    yield from training(form, sources, clip, *texts, **asks, rate=s.rate, decay=attribute.decay)
    if attribute.l1_through:
        asks |= THROUGH | {"rounds": s.rounds_through, "l1_weight": attribute.l1_through}
        asks["batch"] = min(asks["batch"], len(sources.x))
        yield from training(form, sources, clip, *texts, **asks)


def draw(sampler: Sampler, z: Code, edit: Asyrp, path: Path, cond: Tensor | None = None) -> None:
    """A row of faces for each scale from -1 to 1."""
    x = shown(sampler, strip(sampler, z, edit, SCALES, cond))
    path.parent.mkdir(parents=True, exist_ok=True)
    plots.save(plots.sheet(x.flatten(0, 1), columns=len(z)), path)
