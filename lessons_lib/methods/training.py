"""Training a direction in h from two texts (Kwon et al. 2023, §3 and appendix).

    sources = source_paths(g, z, clip, first=800, last=400)     # once, for all attributes
    smile = train(new_f_t(g, z), sources, clip, "a person", "a smiling person")
    g.decode(z, edit=smile)

Each step of the editing interval is trained by itself: the edited path takes its asymmetric step, the
pictures of P with and without Δh are compared, and the path goes on from there, detached. So only
the decoder's pass for P is differentiated. With `through`, the path is differentiated whole, and
the pictures are compared where the interval ends: what a step does is then judged by what becomes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checks import for_each, repeated, whole
from ..code import Code, Edit, Eps, Step
from ..devices import check_slopes
from ..sampler import Sampler
from ..schedule import Schedule
from .asyrp import Asyrp, Attention, Conv, PerTime

if TYPE_CHECKING:
    from ..judges.evaluators import Clip

# Of unit vectors, which differ by at most 2. A cosine's gradient goes as one over the length of a move.
LEAST_MOVE = 1e-3
Texts = str | list[str]


class Sources(NamedTuple):
    """What training needs of the unedited paths of N images, the same for every attribute.

    steps: the sampler's steps in the editing interval, (S,) of them.
    x: (N, *shape), x_t where the interval begins.
    P: (S, N, 3, H, W), the pictures of P_t; seen: (S, N, E), the encoder's vectors of them.
    cond: None, or (N, …).
    """

    sampler: Sampler
    steps: list[int]
    x: Tensor
    P: Tensor
    seen: Tensor
    cond: Tensor | None

    def pictures(self, step: Step) -> Tensor:
        """The pictures (B, 3, H, W) of a step's P."""
        return self.sampler.denoiser.pictures(step.P)


@torch.no_grad()
def source_paths(
    sampler: Sampler,
    z: Code,
    clip: Clip,
    first: int,
    last: int,
    cond: Tensor | None = None,
    at_once: int = 32,
) -> Sources:
    """The unedited paths from z through the interval first ≥ t ≥ last, by the deterministic sampler.

    z: what `encoder.invert` or `draw` gives, at η = 0.
    at_once: images in one batch.
    Raises ValueError for a sampler at η > 0, or without a step in the interval.
    """
    if sampler.eta != 0:
        raise ValueError(
            f"eta is {sampler.eta}: a direction is trained on deterministic paths, eta=0."
        )
    steps = sampler.schedule.within(first, last)
    rows, cond = [], for_each(cond, len(z))
    for i in range(0, len(z), at_once):
        part = None if cond is None else cond[i : i + at_once]
        path = [s for s in _until(sampler, z[i : i + at_once], part, steps[-1]) if s.i in steps]
        P = torch.stack([sampler.denoiser.pictures(s.P).float() for s in path])
        rows.append((path[0].x, P, torch.stack([clip.image(p) for p in P])))
    x, P, seen = zip(*rows, strict=True)
    return Sources(sampler, steps, torch.cat(x), torch.cat(P, 1), torch.cat(seen, 1), cond)


def _until(sampler: Sampler, z: Code, cond: Tensor | None, last: int) -> Iterator:
    for step in sampler.trajectory(z, cond=cond):
        yield step
        if step.i == last:
            return


def directional(before: Tensor, after: Tensor, along: Tensor) -> Tensor:
    """cos(after - before, along) of vectors (B, E), (B,): 1 is straight along it.

    0 for an image that has not moved: a move below `LEAST_MOVE` counts by its length, so that its
    gradient is finite.
    """
    moved = after - before
    lengths = moved.norm(dim=1).clamp_min(LEAST_MOVE) * along.norm(dim=-1)
    return (moved * along).sum(1) / lengths


def text_change(clip: Clip, source: Texts, target: Texts) -> tuple[Tensor, float]:
    """(E_T(target) - E_T(source) (E,), the cosine of the two); the means of lists of as many texts.

    Raises ValueError for lists of different length, and for texts that are the same to the encoder.
    """
    a, b = _text_vectors(clip, source, target)
    if (b - a).mean(0).norm() < 1e-5:
        raise ValueError(
            f"Source text {source!r} and target text {target!r} are the same to the encoder."
        )
    return (b - a).mean(0), (a * b).sum(1).mean().item()


def text_means(clip: Clip, source: Texts, target: Texts) -> tuple[Tensor, Tensor]:
    """(E_T(source), E_T(target)), (E,) unit vectors: the directions of the means of as many texts.

    Raises ValueError for lists of different length.
    """
    a, b = (F.normalize(v.mean(0), dim=0) for v in _text_vectors(clip, source, target))
    return a, b


@torch.no_grad()
def _text_vectors(clip: Clip, source: Texts, target: Texts) -> tuple[Tensor, Tensor]:
    lists = [[texts] if isinstance(texts, str) else list(texts) for texts in (source, target)]
    if len(lists[0]) != len(lists[1]) or not lists[0]:
        raise ValueError(
            f"There are {len(lists[0])} source and {len(lists[1])} target texts: give pairs."
        )
    a, b = (clip.text(texts) for texts in lists)
    return a, b


def new_f_t(
    sampler: Sampler, z: Code, form: type[Conv | Attention] = Conv, cond=None, seed: int = 0
) -> Conv | Attention:
    """An untrained f_t of the size of this model's h."""
    b = _bottleneck(sampler, z, cond)
    torch.manual_seed(seed)
    return form(b.h.shape[1], b.temb.shape[1]).to(b.h.device, b.h.dtype)


def new_delta_h(sampler: Sampler, z: Code, times: Sequence[int], cond=None) -> PerTime:
    """A free Δh_t for each of these times, or one Δh for all if there is but one time; 0 to begin with.

    The steps of the sources: `sampler.schedule.t[sources.steps]`.
    """
    h = _bottleneck(sampler, z, cond).h
    return PerTime(times, torch.zeros(len(times), *h.shape[1:])).to(h.device)


@torch.no_grad()
def _bottleneck(sampler: Sampler, z: Code, cond: Tensor | None):
    x, t = z.x_T[:1].to(sampler.denoiser.device), sampler.schedule.t[0].item()
    return sampler.denoiser.encode(x, t, None if cond is None else cond[:1])


@dataclass(frozen=True)
class Round:
    """One batch's walk through the interval: means over its steps."""

    number: int
    loss: float
    towards: float  # cosine of the images' change with the texts', 1 at best
    change: float  # mean absolute difference of the pictures of P, in [0, 2]


def training(
    form: nn.Module,
    sources: Sources,
    clip: Clip,
    source: Texts,
    target: Texts,
    rounds: int = 30,
    batch: int = 16,
    rate: float = 2e-3,
    clip_weight: float = 0.8,
    l1_weight: float | None = None,
    reach_weight: float = 0.0,
    scales: tuple[float, float] = (0.5, 1.5),
    both_ways: bool = True,
    seed: int = 0,
    through: bool = False,
    decay: float = 0.0,
    edited: Callable[[Tensor], Edit] | None = None,
) -> Iterator[Round]:
    """Train `form` in place, a round at a time.

    Loss of an image at a step: clip_weight (1 - cos(ΔI, sΔT)) + l1_weight |P^edit - P^source| (Kwon et
    al. 2023, eq. 7), by default with the paper's weights: 0.8, and 3 times the cosine of the two texts,
    or 0 where that is negative, as a small encoder's is for opposites. To these is added
    reach_weight (1 - cos(E(P^edit), E(P^source) + sΔT)): the paper's loss says which way pictures go,
    not how far, so that a small encoder is satisfied by steps that nobody sees.
    s, a random number from `scales` for each image, negative for half of them if `both_ways`, also
    scales its Δh, so that the direction works at other scales too; the paper trains at s = 1.

    through: the loss is that of the interval's last step alone, and its gradient goes back through all of
    them, a round being one step of the optimizer. The paper trains each step by itself.
    decay: AdamW's, by which each step shrinks the weights by decay times the rate: of the Δh that serve the
    texts alike it leaves short ones, which change less else. The paper has none.
    edited: the edit that `form` makes at scales (B,), where it is not Asyrp's (see `rivals`).

    Raises ValueError for rounds below 1, a batch that is not from 1 to N, texts as `text_change`, and a
    network in a half precision.
    """
    if not whole(rounds, 1) or not whole(batch, 1, len(sources.x)):
        raise ValueError(
            f"rounds={rounds!r}, batch={batch!r}: give whole numbers, the batch at most the "
            f"{len(sources.x)} images."
        )
    check_slopes(sources.sampler.denoiser, "Training a direction")
    asyrp = Asyrp.of(form, 10**9)
    edited = edited or (lambda scale: asyrp * scale if through else with_gradient(asyrp * scale))
    towards, alike = text_change(clip, source, target)
    l1_weight = max(0.0, 3 * alike) if l1_weight is None else l1_weight
    weights = clip_weight, reach_weight, l1_weight
    gen = torch.Generator().manual_seed(seed)

    def walks() -> Iterator[Iterator[tuple[Tensor, ...]]]:
        for rows in batches(len(sources.x), batch, rounds, gen):
            scale = scales[0] + (scales[1] - scales[0]) * torch.rand(batch, generator=gen)
            sign = 2 * torch.randint(0, 2, (batch,), generator=gen) - 1
            scale = (scale * sign if both_ways else scale).to(sources.x.device)
            along, walk = scale[:, None] * towards, path(sources, rows, edited(scale), through)
            yield (_losses(sources, clip, rows, along, weights, step) for step in walk)

    total = rounds * (1 if through else len(sources.steps))
    for number, found in enumerate(descent(form, walks(), rate, total, decay)):
        yield Round(number, *found)


def descent(
    form: nn.Module,
    walks: Iterable[Iterable[tuple[Tensor, ...]]],
    rate: float,
    total: int,
    decay: float = 0.0,
) -> Iterator[list[float]]:
    """Train `form` by AdamW, a step down the first of each tuple of losses; each walk's means of them.

    total: the number of steps in all, for the rate's one cycle.
    """
    form.train().requires_grad_(True)
    optimizer = torch.optim.AdamW(form.parameters(), rate, weight_decay=decay)
    rising = 0.1 + 1e-9  # a share that is one step exactly makes OneCycleLR divide by zero
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=total, pct_start=rising
    )
    for walk in walks:
        found = []
        for losses in walk:
            optimizer.zero_grad()
            losses[0].backward()
            optimizer.step()
            schedule.step()
            found.append([value.item() for value in losses])
        yield torch.tensor(found).mean(0).tolist()
    form.eval().requires_grad_(False)


def batches(n: int, size: int, rounds: int, gen: torch.Generator) -> Iterator[Tensor]:
    """The rows (size,) of each round: all `n` in a random order, then all in another one."""
    order = torch.empty(0, dtype=torch.int64)
    for _ in range(rounds):
        if len(order) < size:
            order = torch.cat([order, torch.randperm(n, generator=gen)])
        rows, order = order[:size], order[size:]
        yield rows


def path(sources: Sources, rows: Tensor, edit: Edit, through: bool) -> Iterator[Step]:
    """The interval's steps on the edited paths of the images `rows` (B,), each with a gradient of its own.

    through: the last step alone, with the gradient of all.
    """
    x, cond = sources.x[rows], None if sources.cond is None else sources.cond[rows]
    after = None if through else lambda step: step.x_to.detach()
    walk = sources.sampler.walk(x, None, sources.steps[0], edit, cond, after)
    for step in islice(walk, len(sources.steps)):
        if not through or step.i == sources.steps[-1]:
            yield step


def _losses(
    sources: Sources, clip: Clip, rows: Tensor, along: Tensor, weights, step: Step
) -> tuple[Tensor, Tensor, Tensor]:
    """(loss, cosine, change) of the pictures of an edited step's P, whose rows of the sources these are."""
    k, P = sources.steps.index(step.i), sources.pictures(step).float()
    return text_losses(clip, sources.P[k, rows], sources.seen[k, rows], P, along, weights)


def text_losses(
    clip: Clip, pictures: Tensor, seen: Tensor, edited: Tensor, along: Tensor, weights
) -> tuple[Tensor, Tensor, Tensor]:
    """(loss, cosine, change) of edited pictures (B, 3, H, W): see `training`, means over them.

    seen: the encoder's vectors (B, E) of the pictures; along: (B, E) or (1, E), where their change should
    point and how far; weights: of the cosine, of the reach, and of the change.
    """
    after = clip.image(edited)
    cosine = directional(seen, after, along).mean()
    missed = 1 - F.cosine_similarity(after, seen + along).mean()
    change = (edited - pictures).abs().mean()
    return weights[0] * (1 - cosine) + weights[1] * missed + weights[2] * change, cosine, change


def with_gradient(edit: Asyrp) -> Edit:
    """The edit's step, in which only Δh and the decoder's pass for P are differentiated."""

    def step(denoiser, x, t, cond=None):
        with torch.no_grad():
            b = denoiser.encode(x, t, cond)
            eps_D = denoiser.decode(b)
        return Eps(denoiser.decode(b, edit.shift(b, t)), eps_D, b.h)

    return step


def train(
    form: nn.Module, sources: Sources, clip: Clip, source: Texts, target: Texts, **settings
) -> Asyrp:
    """The edit by `form`, trained; see `training` for the settings, and what raises. A bar shows the loss."""
    from tqdm.auto import tqdm

    rounds = settings.setdefault("rounds", 30)
    bar = tqdm(training(form, sources, clip, source, target, **settings), total=rounds)
    for done in bar:
        bar.set_postfix(loss=f"{done.loss:.3f}", towards=f"{done.towards:.2f}")
    return trained(form, sources, source=source, target=target, **settings)


def trained(form: nn.Module, sources: Sources, **card) -> Asyrp:
    """The edit by a form, in the interval and at the number of steps of the sources."""
    t = sources.sampler.schedule.t[sources.steps]
    return Asyrp.of(form, t[0].item(), t[-1].item(), len(sources.steps), **card)


@torch.no_grad()
def from_first(
    sampler: Sampler, z: Code, first: int, cond: Tensor | None = None
) -> tuple[Sampler, Code]:
    """The sampler's steps at t ≤ first, and the codes of where its unedited paths from z begin them.

    No edit acts before its interval: what all share is walked once.
    Raises ValueError for a sampler at η > 0, or without a step at t ≤ first.
    """
    s = sampler.schedule
    times = [t for t in s.t.tolist() if t <= first]
    if not times or sampler.eta != 0:
        raise ValueError(f"No step at η = 0 is at t ≤ {first}: use more steps, and eta=0.")
    x = next(step.x for step in sampler.trajectory(z, cond=cond) if step.t == times[0])
    schedule = Schedule.of(sampler.denoiser.alpha_bar, times, s.a_to[-1].item())
    return sampler.replace(schedule=schedule), Code(x)


def strip(
    sampler: Sampler, z: Code, edit: Asyrp, scales: Sequence[float], cond: Tensor | None = None
) -> Tensor:
    """x of all codes at each scale, (scales, B, *shape), decoded in one batch."""
    each = torch.tensor(scales, device=sampler.denoiser.device).repeat_interleave(len(z))
    cond = repeated(cond, len(z), len(scales))
    x = sampler.decode(z.repeat(len(scales)), edit * each, cond)
    return x.view(len(scales), len(z), *x.shape[1:])
