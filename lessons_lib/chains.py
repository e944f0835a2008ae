"""Plug-and-play guidance in figures: `python -m lessons_lib.chains [families|weights|parts|rivals|long]`.

`families` asks each family of generators for each wish, on samples that nobody picked; `weights` tries λ;
`parts` guides a part of the code alone; `rivals` gives others as many network calls; `long` runs chains until
they agree. What is computed is kept after each run, and found again by the next call. `data/guidance.json`
and `data/guidance/` are what the command wrote with its defaults; lesson 10 reads them.
"""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from . import plots
from .checkpoints import fingerprint
from .judges.counterfactual import manifold_distance, readings
from .judges.tables import rounded
from .methods.energies import by_text
from .methods.guidance import mixing
from .methods.moves import Part
from .methods.training_free import Guide, dps, freedom, mpgd
from .paths import BUILD, DATA, held_out_seed, write_whole
from .streams import VERSION
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
from .studies.kept import once
from .studies.text import Judges, judges

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
STRENGTHS = (0.005, 0.02, 0.1, 0.5, 2.0)  # of a rival's guide, of which it is given its own best


class Run(NamedTuple):
    """What is kept of chains: their last pictures (B, 3, H, W), frames (K, B, 3, H, W) of every `SHOWN`-th
    round, ‖z‖²/d (B,), energy and acceptance of each round (R, B)."""

    images: Tensor
    frames: Tensor
    norm: Tensor
    energy: Tensor
    accepted: Tensor


def chains_of(
    name: str, wish: str, weight: float, n: int, rounds: int, seed: int, cache: Path, by: Judges,
    part: Part | None = None, called: str = "",
) -> Run:  # fmt: skip
    """Chains on a family under a wish, or on a part of their codes, which is then called something."""
    key = _key(name, wish, weight, n, rounds, seed) | ({"part": called} if part else {})

    def make() -> list[Tensor]:
        found = chain(
            family(name), by.clip, WISHES[wish].text, weight, n, rounds,
            burn_in=2 * rounds // 3, seed=held_out_seed("guidance", seed), thin=rounds, part=part,
        )  # fmt: skip
        frames = torch.stack(found.pictures[SHOWN - 1 :: SHOWN])
        images, energy, accepted = drawn(found).half(), found.of("energy"), found.of("accepted")
        return [images, frames, norm(found), energy, accepted]

    return Run(*once(cache, key, make))


def row(images: Tensor, wish: str, free: Tensor, by: Judges) -> dict:
    """What is reported of pictures: the share that meets the wish with its 95 % interval, and the rest."""
    found = scores(images.float(), WISHES[wish], free, by.critic, by.judge)
    met = found["met"]
    return {
        "n": len(met), "met": rounded(met.mean()), "interval": rounded(share_interval(met)),
        "judged": rounded(found["judged"].mean()), "diversity": rounded(found["diversity"]),
    }  # fmt: skip


def share_interval(met: Tensor) -> Tensor:
    """Wilson's 95 % interval of a share of yes and no, met (B,): its two ends, (2,)."""
    from scipy.stats import binomtest

    found = binomtest(int(met.sum()), len(met)).proportion_ci(method="wilson")
    return torch.tensor([found.low, found.high])


def families(n: int, rounds: int, seed: int, cache: Path, by: Judges) -> dict:
    """Every wish on every family, unguided and guided, and a sheet of each family's pictures."""
    table = {}
    for name in FAMILIES:
        free = unguided(family(name), 2 * n, held_out_seed("guidance", seed + 1))
        rows, sheet = {}, [free[:n]]
        for wish in WISHES:
            made = chains_of(name, wish, WEIGHT, n, rounds, seed, cache, by)
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
            made = chains_of(FIRST, wish, weight, n, rounds, seed, cache, by)
            found = row(made.images, wish, free, by) | {"norm": rounded(made.norm.mean())}
            table[wish][f"{weight:g}"] = found
            print(f"λ = {weight:g}, {wish}: {found}", flush=True)
            save_pictures(FOLDER / f"{wish}-{weight:g}.webp", made.frames[:, :6].float())
    return table


def long(n: int, rounds: int, seed: int, cache: Path, by: Judges) -> dict:
    """Chains until they agree: rank-R̂ and ESS of the energy and of five factors."""
    table = {}
    for wish in LONG_WISHES:
        key = _key(LONG, wish, WEIGHT, n, rounds, seed) | {"long": fingerprint("critic")}

        def make(wish=wish) -> tuple:
            found = chain(
                family(LONG), by.clip, WISHES[wish].text, WEIGHT, n, rounds,
                burn_in=rounds // 4, seed=held_out_seed("guidance", seed), thin=rounds,
            )  # fmt: skip
            after = torch.stack(found.pictures[rounds // 4 :])  # (draws, B, 3, H, W)
            read = readings(after.flatten(0, 1).float(), "faces", by.critic)
            factors = {k: read[k].view(after.shape[:2]) for k in FACTORS}
            return found.of("energy")[rounds // 4 :], factors, after[:: max(1, len(after) // 16)]

        energy, factors, frames = once(cache, key, make)
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
        return once(
            cache, key, lambda: (rivals(g, energy, WEIGHT, how, budget, n, drawn_by, best),)
        )[0]

    def by_name(wish: str, budget: int, n: int, seed: int) -> dict:
        text, drawn_by = WISHES[wish].text, held_out_seed("guidance", seed)
        key = _key(FIRST, wish, SCALE, n, budget, seed) | {
            "classifier": True,
            "t2i": fingerprint("t2i"),
        }
        return once(cache, key, lambda: ({
            "classifier guidance": by_classifier(g, by.clip, text, SCALE, budget, n, drawn_by),
            "classifier-free guidance, t2i": without_classifier(text, SCALE_FREE, budget, n, drawn_by),
        },))[0]  # fmt: skip

    table: dict[str, dict] = {"calls": budget}
    for wish in WISHES:
        found = made(wish, {}, budget, n, seed, True)
        if wish in AGAINST_GUIDES:
            how = {}
            for name, kind in GUIDES.items():  # each one's own best strength, on other pictures
                good = {}
                for s in STRENGTHS:
                    images = made(wish, {name: kind(s)}, budget // 4, n // 2, seed + 2, False)[name]
                    good[s] = met_by_faces(images, wish, free, by)
                print(f"{name}, met by faces at each strength: {good}", flush=True)
                how[name] = kind(max(good, key=good.get))
            few = made(wish, how, budget // 4, n // 2, seed, False)
            few |= by_name(wish, budget // 4, n // 2, seed)
            found |= {f"{name}, {budget // 4} calls": images for name, images in few.items()}
        table[wish] = {name: row(images, wish, free, by) for name, images in found.items()}
        print(f"{wish}: {table[wish]}", flush=True)
        if wish in AGAINST_GUIDES:
            shown = torch.stack([images[: n // 2].float() for images in found.values()])
            save_pictures(FOLDER / f"rivals-{wish}.webp", shown)
    return table


def met_by_faces(images: Tensor, wish: str, free: Tensor, by: Judges) -> float:
    """The share that meets the wish and is as like a drawn face as 95 % of unguided pictures.

    A broken picture can please a critic: by the share met alone, noise was chosen.
    """
    like, usual = (manifold_distance(v.float(), "faces", by.critic) for v in (images, free))
    met = WISHES[wish].met(readings(images.float(), "faces", by.critic))
    return rounded((met & (like >= usual.quantile(0.05))).float().mean())


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
        images = free[:n]
        if name != "nothing":
            asked = FIRST, wish, WEIGHT, n, rounds, seed, cache, by, part, name
            images = chains_of(*asked).images.float()
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

    tiled = plots.sheet(pictures.flatten(0, 1), pictures.shape[1], scale=1, gap=0)
    levels = (plots.pixels(tiled) * 255).round().astype("uint8")
    out = io.BytesIO()
    Image.fromarray(levels).save(out, format="WEBP", quality=90, method=6)
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
    by = judges()
    for name in args.tables or TABLES:
        rounds, n = (args.long_rounds, 8) if name == "long" else (args.rounds, args.chains)
        table = TABLES[name](n, rounds, args.seed, args.cache, by)
        boards = read() if FILE.is_file() else {}
        boards["streams"] = boards.get("streams", {}) | {name: VERSION}
        write_whole(FILE, json.dumps(boards | {name: table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
