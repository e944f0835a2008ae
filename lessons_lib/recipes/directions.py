"""Train and measure edits of faces, and save them: `python -m lessons_lib.recipes.directions NAME...`.

Each goes to data/directions/NAME with a card: its texts, its settings, seconds, and what a critic that
training never saw says of it on held-out pictures. Codes and unedited paths are computed once for all
the names. The preview, build/directions/NAME.png, is drawn anew every few rounds.

With `--checkpoint t2i` they are directions in the h of a latent model, t2i-NAME: the faces' own captions
are its condition, and the losses see P_t(z_t) through its codec.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from .. import plots
from ..asyrp import DIRECTIONS, Asyrp, Attention, Conv, load_edit, save_edit
from ..checkpoints import card, find, load
from ..code import Code, plain
from ..counterfactual import counterfactual_scores, readings
from ..denoisers import Denoiser, UNet
from ..directions import (
    Round,
    Sources,
    from_first,
    new_f_t,
    source_paths,
    strip,
    text_direction,
    text_losses,
    training,
)
from ..encoder import invert
from ..evaluators import KINDS, Clip, Critic, load_clip, load_critic
from ..hspace import r_squared
from ..metrics import (
    Interval,
    bootstrap,
    identity_similarity,
    kid,
    perceptual_distance,
    psnr,
    s_dir,
    segmentation_consistency,
)
from ..rivals import best_delta_h, by_copy, diffusion_clip, random_instead, taught_f_t
from ..sampler import Sampler
from ..worlds import TRAIN_SEEDS, WORLDS

ROOT = Path(__file__).resolve().parents[2]
PICTURES = TRAIN_SEEDS + 500_000  # the seed of the pictures to train on
HELD_OUT = 900_700  # and of those to measure on
OTHERS = 950_000  # and of other people, whom sets of edited pictures are compared with
SCALES = (-1.0, -0.5, 0.0, 0.5, 1.0)

Factors = dict[str, Tensor]


class Attribute(NamedTuple):
    """What to say for an edit, and what it should change.

    wanted: the factors of the true counterfactual, from the source's; or look, the kind of picture
    that it should become. first, last: the editing interval in training times; l1_weight: of the
    pictures' change, against 2 for the reach. As in the paper, both are found for each attribute. decay: of
    f_t's weights. l1_through: the price of change in a second training, THROUGH the interval; 0 for none.
    strength: what Δh is multiplied by at the end. A high price makes an edit clean, and short. used: the
    interval of use, where another one than that of the training serves better (lesson 06 finds it).
    """

    source: list[str]
    target: list[str]
    wanted: Callable[[Factors], Factors] | None = None
    look: str = ""
    first: int = 450
    last: int = 50
    l1_weight: float = 5.0
    decay: float = 0.0
    l1_through: float = 0.0
    strength: float = 1.0
    used: tuple[int, int] | None = None


# Of each attribute, for its card.
CHOSEN = "first", "last", "l1_weight", "decay", "l1_through", "strength"
TUNING = 1e-4  # DiffusionCLIP's learning rate
THROUGH = {"batch": 8, "rate": 2e-3, "through": True}  # of a second training, whoever teaches
TOLD_ROUNDS = 48  # of it, for an f_t told the truth
TOLD, TOLD_THROUGH = "f_t told the truth", "f_t told the truth, through the interval"
ANY, ANY_BY_TEXTS = "any Δh", "any Δh, by the texts"
FORMS_OF = {"conv": (Conv, ""), "attention": (Attention, "-attention")}  # and their names' ends


def pairs(source: str, target: str) -> tuple[list[str], list[str]]:
    """The same two phrases in a few sentences."""
    frames = (
        "{}", "a portrait of {} against a green wall", "{} on a blue background",
        "{} with a red shirt, on a pink background",
    )  # fmt: skip
    return [f.format(source) for f in frames], [f.format(target) for f in frames]


def to(name: str, value: float) -> Callable[[Factors], Factors]:
    """The factor at this value, everywhere."""
    return lambda factors: {name: torch.full_like(factors[name], value)}


def tanned(factors: Factors) -> Factors:
    """Skin at least tanned: what is darker stays."""
    return {"skin": factors["skin"].clamp_min(0.6)}


LATE = 350, 0, 5.0, 1.0, 4.5  # mouths and brows, which are drawn last
LAST = 130, 0, 5.0, 1.0, 7.0  # a smile: in the last three of 20 steps, at a higher price
ADDED = 600, 100, 8.0, 1.0  # what is not there at all before
STRONG = 600, 100, 3.0  # and what is unlike any face
ATTRIBUTES = {
    "smiling": Attribute(
        *pairs("a frowning person", "a smiling person"), to("smile", 1.0), "", *LAST,
        strength=2.5,
    ),
    "sad": Attribute(
        *pairs("a happy person", "a sad person"), to("smile", -1.0), "", *LATE, strength=1.6
    ),
    "angry": Attribute(
        *pairs("a person with raised brows", "an angry person with angry brows"), to("brows", -1.0),
        "", *LATE,
    ),
    "tanned": Attribute(
        *pairs("a person with pale skin", "a person with dark tanned skin"), tanned, l1_weight=6.5,
        decay=1.0, l1_through=6.0, strength=1.75,
    ),
    "old": Attribute(
        *pairs("a young person", "an elderly person with grey hair"), to("age", 1.0), l1_weight=4.3,
        decay=1.0, l1_through=4.0, strength=2.4, used=(600, 200),
    ),
    "young": Attribute(
        *pairs("an old person", "a young person"), to("age", 0.0), decay=1.0, l1_through=4.0, strength=1.75,
    ),
    "glasses": Attribute(
        *pairs("a person with no glasses", "a person with glasses"), to("glasses", 1.0), "", *ADDED
    ),
    "beard": Attribute(
        *pairs("a person with no beard", "a person with a full beard"), to("beard", 1.0), "", *ADDED
    ),
    "robot": Attribute(*pairs("a person", "a robot"), None, "robots", *STRONG),
    "zombie": Attribute(*pairs("a person", "a zombie"), None, "zombies", *STRONG),
    "clown": Attribute(*pairs("a person", "a clown"), None, "clowns", *STRONG),
}  # fmt: skip

# In the h of a latent model, where other intervals serve: what differs.
WIDE = {
    "first": 800, "last": 150, "l1_weight": 2.5, "decay": 0.0, "l1_through": 0.0, "strength": 1.0,
    "used": None,
}  # fmt: skip
LATENT = {name: attribute._replace(**WIDE) for name, attribute in ATTRIBUTES.items()}


@dataclass(frozen=True)
class Settings:
    """How every direction is trained; see `lessons_lib.directions.training`.

    The paper's own: 40 steps, 1,000 images once, from T on, 0.8 and 3 cos(texts) for the pictures'
    change, no reach, and no second training. rounds_through: of that, where an attribute asks for it.
    """

    images: int = 384
    steps: int = 20
    rounds: int = 24
    batch: int = 16
    rate: float = 6e-3
    clip_weight: float = 0.4
    reach_weight: float = 2.0
    rounds_through: int = 200


# For a latent model: each step's loss goes through the codec's decoder, which costs more than the rest.
LATENT_SETTINGS = Settings(images=32, steps=10, rounds=16, batch=4, rate=2.5e-2, reach_weight=4.0)


def told(model: Denoiser, captions: list[str] | None) -> Tensor | None:
    """The condition of a model that reads texts: what is true of the pictures; None for any other."""
    return model.prompts(captions) if model.prompts and captions else None


def codes(
    sampler: Sampler, images: Tensor, refine: int = 0, at_once: int = 32, cond: Tensor | None = None
) -> Code:
    """x_T of pictures, by DDIM inversion; of a latent model, of its codec's latents of them."""
    parts = []
    for i in range(0, len(images), at_once):
        x = images[i : i + at_once]
        part = None if cond is None else cond[i : i + at_once]
        z, _ = invert(sampler, sampler.denoiser.latents(x), part, refine=refine)
        parts.append(z.x_T)
    return Code(torch.cat(parts))


def asked(attribute: Attribute, s: Settings) -> dict:
    """What `directions.training` is told, whatever form it trains."""
    return {
        "rounds": s.rounds, "batch": s.batch, "clip_weight": s.clip_weight,
        "l1_weight": attribute.l1_weight, "reach_weight": s.reach_weight,
    }  # fmt: skip


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
    first, last = attribute.used or (attribute.first, attribute.last)
    visits = len(sources.sampler.schedule.within(first, last))
    edit, start = Asyrp.of(form, first, last, visits), time.monotonic()
    for n, done in enumerate(rounds, start=1):
        seconds += time.monotonic() - start
        if n % 5 == 0 or n == total:
            print(f"  round {n} of {total}: loss {done.loss:.3f}, towards {done.towards:.2f}, "
                  f"change {done.change:.3f}", flush=True)  # fmt: skip
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
        yield from training(form, sources, clip, *texts, **asks)


def draw(sampler: Sampler, z: Code, edit: Asyrp, path: Path, cond: Tensor | None = None) -> None:
    """A row of faces for each scale from -1 to 1."""
    x = shown(sampler, strip(sampler, z, edit, SCALES, cond))
    path.parent.mkdir(parents=True, exist_ok=True)
    plots.save(plots.sheet(x.flatten(0, 1), columns=len(z)), path)


@torch.no_grad()
def shown(sampler: Sampler, x: Tensor) -> Tensor:
    """The pictures (…, 3, H, W) of a model's x (…, *shape), in [-1, 1]."""
    flat = sampler.denoiser.pictures(x.flatten(0, -4)).float().clamp(-1, 1)
    return flat.view(*x.shape[:-3], *flat.shape[1:])


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
    """`scored` of the edit, beside what the true counterfactual itself scores: the critic's ceiling."""
    truth = goal(attribute, factors, edited.shape[-1])
    return {
        f"{name}: {what}": value
        for name, images in (("edit", edited), ("true counterfactual", truth))
        for what, value in scored(images, attribute, factors, critic).items()
    }


def scored(images: Tensor, attribute: Attribute, factors: Factors, critic: Critic) -> dict:
    """Achieved and drift of edited pictures, and how near they come to the truth; means over them. Of a look,
    which has no factor, how sure the critic is of its kind stands for the first two."""
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


def rounded(found: dict) -> dict[str, float]:
    """Figures for a card."""
    return {name: round(float(value), 4) for name, value in found.items()}


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
    seen, (towards, _) = clip.image(x), text_direction(clip, attribute.source, attribute.target)
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
def at_equal_success(
    attribute: Attribute, sampler: Sampler, tuned: UNet, z: Code, edit: Asyrp, factors: Factors,
    critic: Critic,
) -> dict[str, float]:  # fmt: skip
    """`scored` of DiffusionCLIP and the identity that it keeps, beside the identity that Asyrp keeps and its
    drift at the scale, of 0 to 2, where it achieves as much; without the last three if it never does."""
    sampler, z = from_first(sampler, z, max(attribute.first, edit.terms[0][1].first))
    before = shown(sampler, sampler.decode(z))

    def said(x: Tensor) -> dict[str, float]:
        x = shown(sampler, x)
        alike = identity_similarity(before, x, critic).mean()
        return rounded(scored(x, attribute, factors, critic) | {"identity": alike})

    found, scales = said(sampler.decode(z, by_copy(tuned, attribute.first))), np.linspace(0, 2, 9)
    found = {"images": len(z)} | found
    ours = [said(strip(sampler, z, edit, [scale])[0]) for scale in scales]
    reached, drift, alike = ([o[k] for o in ours] for k in ("achieved, mean", "drift", "identity"))
    rising = int(np.argmax(reached)) + 1  # beyond it a larger scale achieves less
    if found["achieved, mean"] > max(reached):
        return found
    scale = np.interp(found["achieved, mean"], reached[:rising], scales[:rising])
    return found | rounded(
        {
            "Asyrp's scale there": scale,
            "Asyrp's identity there": np.interp(scale, scales, alike),
            "Asyrp's drift there": np.interp(scale, scales, drift),
        }
    )


@torch.no_grad()
def of_edit(
    attribute: Attribute, sampler: Sampler, z: Code, edit, factors: Factors, critic: Critic
) -> dict[str, float]:
    """`scored` of one edit of the codes."""
    x = shown(sampler, sampler.decode(z, edit))
    return {"images": len(z)} | rounded(scored(x, attribute, factors, critic))


def goal(attribute: Attribute, factors: Factors, size: int) -> Tensor:
    """The true counterfactual pictures (N, 3, size, size): the wanted factors changed, or the look."""
    if attribute.wanted is None:
        return WORLDS[attribute.look].render(factors, size)
    return WORLDS["faces"].render({**factors, **attribute.wanted(factors)}, size)


@torch.no_grad()
def judged(
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
        others = WORLDS["faces"].sample_factors(n, OTHERS + seed)
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
    seed: of the random Δh, and, from HELD_OUT on, of the captions' words, as of those of `cond`.
    """
    model = sampler.denoiser
    late, z_late = from_first(sampler, z, max(d.first for _, d in edit.terms), cond)
    ways = {"no edit": plain, "random Δh": random_instead(edit, seed), "Asyrp": edit}
    made = {k: shown(late, late.decode(z_late, e, cond)) for k, e in ways.items()}
    if cond is not None and attribute.wanted:
        changed = {**factors, **attribute.wanted(factors)}
        text = told(model, WORLDS["faces"].captions(changed, HELD_OUT + seed))
        made["another text"] = shown(sampler, sampler.decode(z, cond=text))
    truth = goal(attribute, factors, made["Asyrp"].shape[-1]).to(made["Asyrp"])
    truth = model.pictures(model.latents(truth)).clamp(-1, 1)
    return made | {"true edit": truth}


def table(
    attribute: Attribute,
    sampler: Sampler,
    z: Code,
    edit: Asyrp,
    factors: Factors,
    critic: Critic,
    judge: Clip,
    cond: Tensor | None = None,
) -> dict[str, dict[str, list[float]]]:
    """`judged` of each row of `compared`: [mean, low, high] by row and measure, for a card."""
    rows = compared(attribute, sampler, z, edit, factors, cond)
    found = {
        k: judged(x, rows["no edit"], attribute, factors, critic, judge) for k, x in rows.items()
    }
    return {
        row: {what: [round(v, 4) for v in interval] for what, interval in values.items()}
        for row, values in found.items()
    }


def kernel_distance(x: Tensor, y: Tensor, critic: Critic, seed: int) -> Interval:
    """`metrics.kid` with a 95 % interval: the spread over random halves is its standard error.

    A half of N images, drawn without replacement, varies about the whole as the whole does about the
    truth (the delete-half jackknife, Shao & Wu 1989).
    """
    whole, _ = kid(x, y, critic, subsets=1, subset_size=min(len(x), len(y)), seed=seed)
    _, spread = kid(x, y, critic, subset_size=min(len(x), len(y)) // 2, seed=seed)
    return Interval(whole, whole - 1.96 * spread, whole + 1.96 * spread)


def linearity(x: Tensor, attribute: Attribute, factors: Factors, critic: Critic) -> float:
    """R² of a line through the critic's mean reading of the wanted factor against SCALES."""
    (name,) = attribute.wanted(factors)
    y = torch.stack([readings(v, "faces", critic)[name].mean() for v in x]).double()
    return r_squared(torch.tensor(SCALES), y).item()


def arguments() -> argparse.Namespace:
    """What the command line says; a setting that it does not name is the model's own."""
    parser = argparse.ArgumentParser(
        prog="python -m lessons_lib.recipes.directions", description=__doc__
    )
    parser.add_argument("names", nargs="+", choices=sorted(ATTRIBUTES), metavar="NAME",
                        help=", ".join(ATTRIBUTES))  # fmt: skip
    parser.add_argument("--checkpoint", default="faces")
    parser.add_argument("--clip", default="clip")
    parser.add_argument("--judge", default="clip-judge", help="of a latent model's directions")
    parser.add_argument("--form", choices=FORMS_OF, default="conv")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=DIRECTIONS)
    parser.add_argument("--test-images", type=int, default=64)
    parser.add_argument("--measure", action="store_true",
                        help="train nothing: measure what is in --out, by the critic of today")  # fmt: skip
    parser.add_argument("--rival", action="store_true",
                        help="also fine-tune the network by the same texts, to compare with")  # fmt: skip
    parser.add_argument("--ceiling", type=int, default=0, metavar="N",
                        help="also fit a Δh of their own to N pictures, by the texts and by their true "
                        "counterfactuals, and an f_t to those of the pictures to train on")  # fmt: skip
    for name, value in asdict(Settings()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value))
    return parser.parse_args()


def main() -> None:
    args = arguments()
    model, clip, critic = (
        load(args.checkpoint, args.device),
        load_clip(args.clip, args.device),
        load_critic(),
    )
    latent, (form, end) = model.codec is not None, FORMS_OF[args.form]
    size = model.picture_shape[-1]
    given = {k: v for k, v in vars(args).items() if k in asdict(Settings()) and v is not None}
    s = replace(LATENT_SETTINGS if latent else Settings(), **given)
    network = card(find(args.checkpoint)).get("files")
    named = {n: f"{args.checkpoint}-{n}{end}" if latent else n + end for n in args.names}
    there = {n: load_edit(args.out / named[n], args.device) for n in args.names if args.measure}
    sampler, start, paths = Sampler(model, s.steps), time.monotonic(), {}
    pupils = WORLDS["faces"].sample(s.images, PICTURES, size)
    test = WORLDS["faces"].sample(args.test_images, HELD_OUT, size)
    of_pupils, cond = told(model, pupils.caption), told(model, test.caption)
    unused = args.measure and not args.ceiling and not args.rival
    train = None if unused else codes(sampler, pupils.image, cond=of_pupils)
    z, shared = codes(sampler, test.image, refine=2, cond=cond), time.monotonic() - start
    print(f"Codes of {s.images} + {len(z)} pictures: {shared:.0f} s", flush=True)
    for name, called in named.items():
        print(called, flush=True)
        attribute = LATENT[name] if latent else ATTRIBUTES[name]
        preview = ROOT / "build" / "directions" / f"{called}.png"
        interval = attribute.first, attribute.last
        rival = args.rival and attribute.wanted and not latent
        told_too = args.ceiling and not latent
        if interval not in paths and (rival or told_too or not args.measure):
            paths[interval] = source_paths(sampler, train, clip, *interval, of_pupils)
        if args.measure:
            edit, said = there[name], {}
        else:
            some = None if cond is None else cond[:8]
            edit, seconds = learn(
                attribute, paths[interval], z[:8], clip, s, preview, 0, form, some
            )
            said = {
                "name": name, "source": attribute.source, "target": attribute.target,
                "checkpoint": args.checkpoint, "clip": args.clip,
                "settings": asdict(s) | {k: getattr(attribute, k) for k in CHOSEN},
                "seconds": round(seconds), "network": network,
            }  # fmt: skip
        found = figures(attribute, sampler, z, edit, test.factors, critic, cond)
        if rival:
            tuned = fine_tuned(attribute, paths[interval], clip, s)
            found["DiffusionCLIP"] = at_equal_success(
                attribute, sampler, tuned, z, edit, test.factors, critic
            )
        if told_too:
            n = min(args.ceiling, len(z))
            some = {k: v[:n] for k, v in test.factors.items()}
            found |= ceiling(attribute, sampler, z[:n], some, critic, clip, s)
            found |= taught(
                attribute, paths[interval], pupils.factors, s, sampler, z, test.factors, critic
            )
        print("\n".join(f"  {key}: {value}" for key, value in found.items()), flush=True)
        if latent:
            judge = load_clip(args.judge, args.device)
            found["table"] = table(attribute, sampler, z, edit, test.factors, critic, judge, cond)
        kept = edit.terms[0][1].card.get("figures", {}) if args.measure else {}
        save_edit(edit, args.out / called, **said, figures=kept | found)


if __name__ == "__main__":
    main()
