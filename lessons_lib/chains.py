"""Plug-and-play guidance in figures: `python -m lessons_lib.chains [families|weights|parts|rivals|long]`.

`families` asks each family of generators for each wish, on samples that nobody picked; `weights` tries λ;
`parts` guides a part of the code alone; `rivals` gives others as many network calls; `long` runs chains until
they agree. What is computed is kept after
each run, and found again by the next call. `data/guidance.json` and `data/guidance/` are what the command
wrote with its defaults; lesson 10 reads them.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from .checkpoints import fingerprint
from .judges.counterfactual import readings
from .judges.evaluators import Clip, Critic, load_clip, load_critic
from .judges.tables import rounded
from .methods.energies import by_text
from .methods.guidance import Chains, mixing
from .methods.moves import Part
from .methods.training_free import Guide, dps, freedom, mpgd
from .paths import BUILD, DATA, held_out_seed, write_whole
from .studies.exact import low_frequencies, only
from .studies.guided import (
    FAMILIES,
    WISHES,
    by_classifier,
    calls,
    chain,
    drawn,
    family,
    norm,
    rivals,
    scores,
    unguided,
    without_classifier,
)

FILE, FOLDER = DATA / "guidance.json", DATA / "guidance"
CACHE = BUILD / "chains"
WEIGHT = 1000.0  # λ, wherever it is not tried
WEIGHTS = (100.0, 300.0, 1000.0)
FIRST = "faces-sn"  # the family of all that is not about families
TRIED = ("smile", "glasses")  # under every λ
LONG, LONG_WISHES = "faces-gan", ("glasses",)
FACTORS = ("smile", "glasses", "beard", "age", "hair_color")  # whose mixing is reported
SHOWN = 6  # rounds between two pictures of a chain
GUIDES = {"DPS": dps, "MPGD": mpgd, "FreeDoM": freedom}
AGAINST_GUIDES = ("glasses",)  # they cost as much as all chains together
SCALE, SCALE_FREE = 2.0, 3.0  # of guidance by a classifier, and without one
STRENGTHS = (0.1, 0.5, 2.0)  # of a rival's guide, of which it is given its own best


class Judges(NamedTuple):
    """Who guides, who reads the factors, and who judges the text."""

    clip: Clip
    critic: Critic
    judge: Clip


class Run(NamedTuple):
    """What is kept of chains: their last pictures (B, 3, H, W), frames (K, B, 3, H, W) of every `SHOWN`-th
    round, ‖z‖²/d (B,), energy and acceptance of each round (R, B)."""

    images: Tensor
    frames: Tensor
    norm: Tensor
    energy: Tensor
    accepted: Tensor


def run(
    name: str, wish: str, weight: float, n: int, rounds: int, seed: int, by: Judges, part: Part | None = None
) -> Run:  # fmt: skip
    """Chains on a family under a wish, as `Run`."""
    g = family(name)
    found = chain(
        g, by.clip, WISHES[wish].text, weight, n, rounds,
        burn_in=2 * rounds // 3, seed=held_out_seed("guidance", seed), thin=rounds, part=part,
    )  # fmt: skip
    return _kept(found)


def _kept(found: Chains) -> Run:
    frames = torch.stack(found.pictures[SHOWN - 1 :: SHOWN])
    return Run(drawn(found).half(), frames, norm(found), found.of("energy"), found.of("accepted"))


def remembered(folder: Path, key: dict, make: Callable[[], tuple]) -> list:
    """What `make` makes, or what it made in an earlier call of the same key."""
    name = sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / f"{name}.pt"
    if not path.is_file():
        made = list(make())
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(made, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").rename(path)
    return torch.load(path, weights_only=True)


def row(images: Tensor, wish: str, free: Tensor, by: Judges) -> dict:
    """What is reported of pictures: the share that meets the wish with its 95 % interval, and the rest."""
    found = scores(images.float(), WISHES[wish], free, by.critic, by.judge)
    met = found["met"]
    return {
        "n": len(met), "met": rounded(met.mean()), "interval": rounded_pair(share_interval(met)),
        "judged": rounded(found["judged"].mean()), "diversity": rounded(found["diversity"]),
    }  # fmt: skip


def share_interval(met: Tensor) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of yes and no, (B,)."""
    from scipy.stats import binomtest

    found = binomtest(int(met.sum()), len(met)).proportion_ci(method="wilson")
    return found.low, found.high


def rounded_pair(pair: tuple[float, float]) -> list[float]:
    return [rounded(v) for v in pair]


def families(n: int, rounds: int, seed: int, cache: Path, by: Judges) -> dict:
    """Every wish on every family, unguided and guided, and a sheet of each family's pictures."""
    table = {}
    for name in FAMILIES:
        free = unguided(family(name), 2 * n, held_out_seed("guidance", seed + 1))
        rows, sheet = {}, [free[:n]]
        for wish in WISHES:
            made = Run(*remembered(cache, _key(name, wish, WEIGHT, n, rounds, seed), partial(
                run, name, wish, WEIGHT, n, rounds, seed, by)))  # fmt: skip
            rows[wish] = row(made.images, wish, free, by) | {
                "norm": rounded(made.norm.mean()),
                "accepted": rounded(made.accepted[2 * rounds // 3 :].mean()),
                "before": row(free, wish, free, by),
            }  # fmt: skip
            sheet.append(made.images.float())
            print(f"{name}, {wish}: {rows[wish]}", flush=True)
        table[name] = rows
        save_pictures(FOLDER / f"{name}.webp", torch.stack(sheet))
    return table


def weights(n: int, rounds: int, seed: int, cache: Path, by: Judges) -> dict:
    """λ against what is met, diversity and norm, on one family; frames of every run for the widget."""
    free = unguided(family(FIRST), 2 * n, held_out_seed("guidance", seed + 1))
    table: dict[str, dict] = {}
    for wish in TRIED:
        table[wish] = {"0": row(free, wish, free, by) | {"norm": 1.0}}
        for weight in WEIGHTS:
            made = Run(*remembered(cache, _key(FIRST, wish, weight, n, rounds, seed), partial(
                run, FIRST, wish, weight, n, rounds, seed, by)))  # fmt: skip
            found = row(made.images, wish, free, by) | {"norm": rounded(made.norm.mean())}
            table[wish][f"{weight:g}"] = found
            print(f"λ = {weight:g}, {wish}: {found}", flush=True)
            save_pictures(FOLDER / f"{wish}-{weight:g}.webp", made.frames[:, :6].float())
    return table


def long(n: int, rounds: int, seed: int, cache: Path, by: Judges) -> dict:
    """Chains until they agree: rank-R̂ and ESS of the energy and of five factors."""
    table = {}
    for wish in LONG_WISHES:
        key = _key(LONG, wish, WEIGHT, n, rounds, seed) | {"long": True}

        def make(wish=wish) -> tuple:
            found = chain(
                family(LONG), by.clip, WISHES[wish].text, WEIGHT, n, rounds,
                burn_in=rounds // 4, seed=held_out_seed("guidance", seed), thin=rounds,
            )  # fmt: skip
            after = torch.stack(found.pictures[rounds // 4 :])  # (draws, B, 3, H, W)
            read = readings(after.flatten(0, 1).float(), "faces", by.critic)
            factors = {k: read[k].view(after.shape[:2]) for k in FACTORS}
            return found.of("energy")[rounds // 4 :], factors, after[:: max(1, len(after) // 16)]

        energy, factors, frames = remembered(cache, key, make)
        table[wish] = {
            name: {k: rounded(v) for k, v in mixing(values).items()}
            for name, values in {"energy": energy, **factors}.items()
        } | {"draws": len(energy), "chains": n}
        print(f"{wish}: {table[wish]}", flush=True)
        save_pictures(FOLDER / f"long-{wish}.webp", frames.float())
    return table


def rivals_at(n: int, rounds: int, seed: int, cache: Path, by: Judges) -> dict:
    """Best-of-N at as many network calls as the chains of `families` took; each guide at a quarter of them,
    for it looks at the energy in each step, which costs more than its calls."""
    g, budget = family(FIRST), calls(FAMILIES[FIRST], rounds)
    free = unguided(g, 2 * n, held_out_seed("guidance", seed + 1))

    def made(wish: str, how: dict[str, Guide], budget: int, n: int, seed: int, best: bool) -> dict:
        key = _key(FIRST, wish, WEIGHT, n, budget, seed) | {"rivals": repr(how), "best": best}
        energy, drawn_by = by_text(by.clip, WISHES[wish].text), held_out_seed("guidance", seed)
        return remembered(
            cache, key, lambda: (rivals(g, energy, WEIGHT, how, budget, n, drawn_by, best),)
        )[0]

    def by_name(wish: str, budget: int, n: int, seed: int) -> dict:
        text, drawn_by = WISHES[wish].text, held_out_seed("guidance", seed)
        key = _key(FIRST, wish, SCALE, n, budget, seed) | {
            "classifier": True,
            "t2i": fingerprint("t2i"),
        }
        return remembered(cache, key, lambda: ({
            "classifier guidance": by_classifier(g, by.clip, text, SCALE, budget, n, drawn_by),
            "classifier-free guidance, t2i": without_classifier(text, SCALE_FREE, budget, n, drawn_by),
        },))[0]  # fmt: skip

    table: dict[str, dict] = {"calls": budget}
    for wish in WISHES:
        found = made(wish, {}, budget, n, seed, True)
        if wish in AGAINST_GUIDES:
            how = {}
            for name, kind in GUIDES.items():  # each one's own best strength, on other pictures
                met = {}
                for s in STRENGTHS:
                    images = made(wish, {name: kind(s)}, budget // 8, 8, seed + 2, False)[name]
                    met[s] = row(images, wish, free, by)["met"]
                how[name] = kind(max(met, key=met.get))
            few = made(wish, how, budget // 4, n // 2, seed, False)
            few |= by_name(wish, budget // 4, n // 2, seed)
            found |= {f"{name}, {budget // 4} calls": images for name, images in few.items()}
        table[wish] = {name: row(images, wish, free, by) for name, images in found.items()}
        print(f"{wish}: {table[wish]}", flush=True)
        shown = torch.stack([images[: n // 2].float() for images in found.values()])
        save_pictures(FOLDER / f"rivals-{wish}.webp", shown)
    return table


def parts(n: int, rounds: int, seed: int, cache: Path, by: Judges) -> dict:
    """What is reached with a part of the code alone: glasses, on one family."""
    g, wish = family(FIRST), "glasses"
    free = unguided(g, 2 * n, held_out_seed("guidance", seed + 1))
    z, late = g.sampler.draw(1, 0), len(g.sampler.schedule) // 2
    which = {
        "nothing": None, "all of z": None, "x_T alone": only(z, slice(0, 1)),
        "early noises": only(z, slice(1, late)), "late noises": only(z, slice(late, None)),
        "what is slow in each noise": low_frequencies(z),
    }  # fmt: skip
    table, sheet = {}, []
    for name, part in which.items():
        key = _key(FIRST, wish, WEIGHT, n, rounds, seed) | ({} if part is None else {"part": name})
        make = partial(run, FIRST, wish, WEIGHT, n, rounds, seed, by, part)
        images = (
            free[:n] if name == "nothing" else Run(*remembered(cache, key, make)).images.float()
        )
        table[name] = row(images, wish, free, by)
        print(f"{name}: {table[name]}", flush=True)
        sheet.append(images)
    save_pictures(FOLDER / "parts.webp", torch.stack(sheet)[:, :12])
    return table


def _key(name: str, wish: str, weight: float, n: int, rounds: int, seed: int) -> dict:
    return {
        "network": fingerprint(name), "clip": fingerprint("clip"), "text": WISHES[wish].text,
        "weight": weight, "n": n, "rounds": rounds, "seed": seed,
    }  # fmt: skip


def save_pictures(path: Path, pictures: Tensor) -> None:
    """Rows of pictures (R, C, 3, H, W) in [-1, 1] as one file, for `pictures`."""
    from PIL import Image

    tiles = pictures.clamp(-1, 1).permute(0, 3, 1, 4, 2)  # (R, H, C, W, 3)
    rows, height, columns, width, _ = tiles.shape
    levels = ((tiles + 1) * 127.5).round().byte().reshape(rows * height, columns * width, 3)
    out = io.BytesIO()
    Image.fromarray(levels.numpy()).save(out, format="WEBP", quality=90, method=6)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, out.getvalue())


def pictures(name: str, folder: Path = FOLDER, side: int = 64) -> Tensor:
    """Rows of pictures (R, C, 3, side, side) in [-1, 1] that the command wrote under a name.

    Raises FileNotFoundError, in one sentence, where there are none.
    """
    import numpy as np
    from PIL import Image

    path = folder / f"{name}.webp"
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no {path}: write it with `python -m lessons_lib.chains`."
        )
    levels = np.asarray(Image.open(path).convert("RGB"))  # (R·S, C·S, 3)
    tiles = torch.from_numpy(levels / 127.5 - 1).float().unflatten(0, (-1, side))
    return tiles.unflatten(2, (-1, side)).permute(0, 2, 4, 1, 3)


def read(path: Path = FILE) -> dict[str, dict]:
    """What the command wrote. Raises FileNotFoundError, in one sentence, where there is none."""
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no {path}: write it with `python -m lessons_lib.chains`."
        )
    return json.loads(path.read_text(encoding="utf-8"))


TABLES = {
    "families": families,
    "weights": weights,
    "parts": parts,
    "rivals": rivals_at,
    "long": long,
}


def main() -> None:
    """Compute, write and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m lessons_lib.chains", description=__doc__)
    parser.add_argument("tables", nargs="*", help=f"{', '.join(TABLES)}; by default all")
    parser.add_argument("--chains", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=60, help="of every chain but the long ones")
    parser.add_argument("--long-rounds", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=CACHE)
    args = parser.parse_args()
    if strange := set(args.tables) - set(TABLES):
        parser.error(f"there is no table {strange.pop()!r}: give some of {', '.join(TABLES)}.")
    if args.chains < 4 or args.rounds < 4 or args.long_rounds < 16:
        parser.error("give at least 4 chains, 4 rounds and 16 long rounds.")
    by = Judges(load_clip("clip"), load_critic(), load_clip("clip-judge"))
    for name in args.tables or TABLES:
        rounds, n = (args.long_rounds, 8) if name == "long" else (args.rounds, args.chains)
        table = TABLES[name](n, rounds, args.seed, args.cache, by)
        boards = read() if FILE.is_file() else {}
        write_whole(FILE, json.dumps(boards | {name: table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
