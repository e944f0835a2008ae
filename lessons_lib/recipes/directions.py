"""Train and measure edits of faces, and save them: `python -m lessons_lib.recipes.directions NAME...`.

Each goes to data/directions/NAME with a card: its texts, its settings, seconds, and what a critic that
training never saw says of it on held-out pictures. Codes and unedited paths are computed once for all
the names. The preview, build/directions/NAME.png, is drawn anew every few rounds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from .. import plots
from ..asyrp import DIRECTIONS, Asyrp, save_edit
from ..checkpoints import card, find, load
from ..counterfactual import counterfactual_scores, readings
from ..directions import Sources, new_f_t, source_paths, strip, trained, training
from ..encoder import invert
from ..evaluators import KINDS, Clip, Critic, load_clip, load_critic
from ..hspace import r_squared
from ..metrics import identity_similarity, perceptual_distance
from ..sampler import Code, Sampler
from ..worlds import TRAIN_SEEDS, WORLDS

ROOT = Path(__file__).resolve().parents[2]
PICTURES = TRAIN_SEEDS + 500_000  # the seed of the pictures to train on
HELD_OUT = 900_700  # and of those to measure on
SCALES = (-1.0, -0.5, 0.0, 0.5, 1.0)

Factors = dict[str, Tensor]


class Attribute(NamedTuple):
    """What to say for an edit, and what it should change.

    wanted: the factors of the true counterfactual, from the source's; or look, the kind of picture
    that it should become. first, last: the editing interval in training times; l1_weight: of the
    pictures' change, against 2 for the reach. As in the paper, both are found for each attribute.
    """

    source: list[str]
    target: list[str]
    wanted: Callable[[Factors], Factors] | None = None
    look: str = ""
    first: int = 450
    last: int = 50
    l1_weight: float = 5.0


def pairs(source: str, target: str) -> tuple[list[str], list[str]]:
    """The same two phrases in a few sentences."""
    frames = ("{}", "a portrait of {}", "{} on a blue background", "{} with brown hair")
    return [f.format(source) for f in frames], [f.format(target) for f in frames]


def to(name: str, value: float) -> Callable[[Factors], Factors]:
    """The factor at this value, everywhere."""
    return lambda factors: {name: torch.full_like(factors[name], value)}


def tanned(factors: Factors) -> Factors:
    """Skin at least tanned: what is darker stays."""
    return {"skin": factors["skin"].clamp_min(0.6)}


LATE = 350, 0, 5.0  # mouths and brows, which are drawn last
STRONG = 600, 100, 3.0  # what is not there at all before
ATTRIBUTES = {
    "smiling": Attribute(*pairs("a frowning person", "a smiling person"), to("smile", 1.0), "", *LATE),
    "sad": Attribute(*pairs("a happy person", "a sad person"), to("smile", -1.0), "", *LATE),
    "angry": Attribute(
        *pairs("a person with raised brows", "an angry person with angry brows"), to("brows", -1.0),
        "", 500, 50, 2.0,
    ),
    "tanned": Attribute(*pairs("a pale person", "a tanned person"), tanned),
    "old": Attribute(*pairs("a young person", "an old person"), to("age", 1.0)),
    "young": Attribute(*pairs("an old person", "a young person"), to("age", 0.0)),
    "glasses": Attribute(
        *pairs("a person with no glasses", "a person with glasses"), to("glasses", 1.0), "", *STRONG
    ),
    "beard": Attribute(
        *pairs("a person with no beard", "a person with a full beard"), to("beard", 1.0), "", *STRONG
    ),
    "robot": Attribute(*pairs("a person", "a robot"), None, "robots", *STRONG),
    "zombie": Attribute(*pairs("a person", "a zombie"), None, "zombies", *STRONG),
    "clown": Attribute(*pairs("a person", "a clown"), None, "clowns", *STRONG),
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """How every direction is trained; see `lessons_lib.directions.training`.

    The paper's own: 40 steps, 1,000 images once, from T on, 0.8 and 3 cos(texts) for the pictures'
    change, and no reach.
    """

    images: int = 128
    steps: int = 20
    rounds: int = 24
    batch: int = 16
    rate: float = 6e-3
    clip_weight: float = 0.4
    reach_weight: float = 2.0


def codes(sampler: Sampler, images: Tensor, refine: int = 0, at_once: int = 32) -> Code:
    """x_T of pictures, by DDIM inversion."""
    return Code(
        torch.cat([invert(sampler, x, refine=refine)[0].x_T for x in images.split(at_once)])
    )


def learn(
    attribute: Attribute,
    sources: Sources,
    z: Code,
    clip: Clip,
    s: Settings,
    preview: Path,
    seed: int = 0,
) -> tuple[Asyrp, float]:
    """The trained edit, and the seconds that training took. z: codes to draw the preview of."""
    form, seconds = new_f_t(sources.sampler, z, seed=seed), 0.0
    rounds = training(
        form, sources, clip, attribute.source, attribute.target, rounds=s.rounds, batch=s.batch,
        rate=s.rate, clip_weight=s.clip_weight, l1_weight=attribute.l1_weight, reach_weight=s.reach_weight,
        seed=seed,
    )  # fmt: skip
    edit, start = trained(form, sources), time.monotonic()
    for done in rounds:
        seconds += time.monotonic() - start
        if done.number % 5 == 4 or done.number == s.rounds - 1:
            print(f"  round {done.number + 1} of {s.rounds}: loss {done.loss:.3f}, "
                  f"towards {done.towards:.2f}, change {done.change:.3f}", flush=True)  # fmt: skip
            draw(sources.sampler, z, edit, preview)
        start = time.monotonic()
    return edit, seconds


def draw(sampler: Sampler, z: Code, edit: Asyrp, path: Path) -> None:
    """A row of faces for each scale from -1 to 1."""
    x = strip(sampler, z, edit, SCALES).float().clamp(-1, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    plots.save(plots.sheet(x.flatten(0, 1), columns=len(z)), path)


@torch.no_grad()
def figures(
    attribute: Attribute, sampler: Sampler, z: Code, edit: Asyrp, factors: Factors, critic: Critic
) -> dict:
    """What the critic says of the edit at scale 1, and of the scales from -1 to 1."""
    x = torch.stack([strip(sampler, z, edit, [s])[0] for s in SCALES]).float().clamp(-1, 1)
    source, edited = x[SCALES.index(0.0)], x[-1]
    found = {
        "images": len(z),
        "identity similarity": identity_similarity(source, edited, critic).mean(),
    }
    if attribute.look:
        kinds = [critic.world(v)[:, KINDS.index(attribute.look)].mean() for v in (source, edited)]
        found |= {"critic calls it so before": kinds[0], "and after": kinds[1]}
    else:
        found |= against_truth(edited, attribute, factors, critic)
        found["linearity R² on -1…1"] = linearity(x, attribute, factors, critic)
    return {name: round(float(value), 4) for name, value in found.items()}


def against_truth(edited: Tensor, attribute: Attribute, factors: Factors, critic: Critic) -> dict:
    """Achieved and drift, beside what the true counterfactual itself scores: the critic's ceiling."""
    faces, found = WORLDS["faces"], {}
    wanted = attribute.wanted(factors)
    truth = faces.render({**factors, **wanted}, edited.shape[-1])
    for name, images in (("edit", edited), ("true counterfactual", truth)):
        s = counterfactual_scores(
            images, factors, wanted, "faces", critic, perceptual_distance(critic)
        )
        reached = s.achieved[s.achieved.isfinite()]
        found |= {
            f"{name}: achieved, mean": reached.mean(),
            f"{name}: share with 60 % or more": (reached >= 0.6).float().mean(),
            f"{name}: drift": s.drift.mean(),
            f"{name}: PSNR to truth": s.psnr.clamp_max(99).mean(),
        }
    return found


def linearity(x: Tensor, attribute: Attribute, factors: Factors, critic: Critic) -> float:
    """R² of a line through the critic's mean reading of the wanted factor against SCALES."""
    (name,) = attribute.wanted(factors)
    y = torch.stack([readings(v, "faces", critic)[name].mean() for v in x]).double()
    return r_squared(torch.tensor(SCALES), y).item()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m lessons_lib.recipes.directions", description=__doc__
    )
    parser.add_argument("names", nargs="+", choices=sorted(ATTRIBUTES), metavar="NAME",
                        help=", ".join(ATTRIBUTES))  # fmt: skip
    parser.add_argument("--checkpoint", default="faces")
    parser.add_argument("--clip", default="clip")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=DIRECTIONS)
    parser.add_argument("--test-images", type=int, default=64)
    for name, value in asdict(Settings()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    args = parser.parse_args()
    s = Settings(**{name: getattr(args, name) for name in asdict(Settings())})
    model, clip, critic = (
        load(args.checkpoint, args.device),
        load_clip(args.clip, args.device),
        load_critic(),
    )
    network = card(find(args.checkpoint)).get("files")
    sampler, size, start = Sampler(model, s.steps), model.shape[-1], time.monotonic()
    faces = WORLDS["faces"]
    train, paths = codes(sampler, faces.sample(s.images, PICTURES, size).image), {}
    test = faces.sample(args.test_images, HELD_OUT, size)
    z, shared = codes(sampler, test.image, refine=2), time.monotonic() - start
    print(f"Codes of {s.images} + {len(z)} pictures: {shared:.0f} s", flush=True)
    for name in args.names:
        print(name, flush=True)
        attribute, preview = ATTRIBUTES[name], ROOT / "build" / "directions" / f"{name}.png"
        interval = attribute.first, attribute.last
        if interval not in paths:
            paths[interval] = source_paths(sampler, train, clip, *interval)
        edit, seconds = learn(attribute, paths[interval], z[:8], clip, s, preview)
        found = figures(attribute, sampler, z, edit, test.factors, critic)
        print("\n".join(f"  {key}: {value}" for key, value in found.items()), flush=True)
        settings = asdict(s) | {"l1_weight": attribute.l1_weight}
        save_edit(
            edit, args.out / name, name=name, source=attribute.source, target=attribute.target,
            checkpoint=args.checkpoint, clip=args.clip, settings=settings, seconds=round(seconds),
            network=network, figures=found,
        )  # fmt: skip


if __name__ == "__main__":
    main()
