"""CycleDiffusion's two tables, on worlds that know the right answer: `python -m lessons_lib.scoreboard`.

`unpaired` is Table 1 (cats and wild animals to dogs), `text` is Table 2 (the benchmark of 150 edits).
The full size takes a while: edited images are kept after each method, and found again by the next call. A
table is written once it is whole. `data/scoreboard.json` is what the command wrote; lesson 12 reads it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from .cards import CheckpointError
from .checkpoints import fingerprint, load
from .devices import half_is_fast
from .judges import metrics
from .judges.evaluators import load_critic
from .judges.tables import Row, beside, rounded, table
from .methods.editing import cycle_diffusion, on_images
from .methods.translators import load_domains, load_translator
from .paths import BUILD, DATA, write_whole
from .sampler import Sampler
from .streams import VERSION, seeds
from .studies.kept import once
from .studies.text import (
    best_edit,
    edit_scores,
    judges,
    pictured,
    readable_cases,
    taken_in_turn,
    text_edits,
)
from .studies.unpaired import (
    ETA,
    REFINED,
    SEEDS,
    ImageEdit,
    best_translation,
    by_group,
    drawn,
    translation_figures,
    translation_scores,
    translations,
)
from .worlds import WORLDS, triplets

FILE = DATA / "scoreboard.json"
CACHE = BUILD / "scoreboard"
AT_ONCE = 32  # images in one batch
CHOOSING = 40  # images on which each method's setting is chosen
COMPARED_WITH = 2000  # pictures of the target that FID and KID compare with


class Made(NamedTuple):
    """Edited images (N, 3, S, S), and the processor's seconds for each."""

    images: Tensor
    seconds: float


@torch.no_grad()
def in_batches(
    edit: ImageEdit, x: Tensor, *lists: list, seed: int = 0, half: bool | None = None
) -> Made:
    """The edit of all images (N, 3, S, S), `AT_ONCE` at a time, each image by its own seed.

    half: run the networks under bfloat16 autocast; None where that is fast. The sampler's state stays
        in its own precision.
    """
    half = half_is_fast(x.device.type) if half is None else half
    parts, each, start = [], seeds(seed, len(x)), time.process_time()
    for i in range(0, len(x), AT_ONCE):
        part = slice(i, i + AT_ONCE)
        with torch.autocast(x.device.type, torch.bfloat16) if half else nullcontext():
            done = edit(x[part], each[part], *(v[part] for v in lists))
        parts.append(done.float())
    return Made(torch.cat(parts), (time.process_time() - start) / len(x))


def remembered(folder: Path | None, key: Mapping, make: Callable[[], Made]) -> Made:
    """What `make` makes, or what it made in an earlier call of the same key (in half precision)."""
    if folder is None:
        return make()

    def halved() -> tuple[Tensor, float]:
        images, seconds = make()
        return images.half().cpu(), seconds

    images, seconds = once(folder, key, halved)
    return Made(images.float(), seconds)


def optional(load_it: Callable, name: str, device: str):
    """A network that may not be here: None, and a sentence, where it is not."""
    try:
        return load_it(name, device)
    except CheckpointError:
        print(f"There is no checkpoint {name!r} here, so its method's row is left out.")
        return None


def unpaired_board(source: str, n: int, steps: int, device: str, cache: Path | None) -> dict:
    """Table 1 for one source world and dogs, as it is written."""
    critic = load_critic(device=device)
    distance = metrics.perceptual_distance(critic)
    first, target = (Sampler(load(name, device), steps, ETA) for name in (source, "dogs"))
    domains = optional(load_domains, "domains", device)
    cut = optional(load_translator, f"cut-{source}-dogs", device)
    features, size = None if domains is None else domains.features, target.denoiser.shape[-1]
    choosing, pair = (
        drawn(source, "dogs", count, SEEDS[what], size, device)
        for count, what in ((CHOOSING, "choosing"), (n, "reported"))
    )
    held_out = WORLDS["dogs"].sample(COMPARED_WITH, SEEDS["held out"], size, device).image
    same = {"steps": steps, "precision": computed_in(device)}
    used = {"source": fingerprint(source), "dogs": fingerprint("dogs")} | same
    used["worlds"] = [WORLDS[name].version for name in (source, "dogs")]
    board = {"images": n, "chosen on": CHOOSING, "tried": {}, "rows": {}, "streams": VERSION} | same
    board["networks"] = {name: fingerprint(name) for name in (source, "dogs", "critic")}

    def row(name: str, made: Made, setting: str = "") -> None:
        board["rows"][name] = {
            "setting": setting, "seconds": rounded(made.seconds),
            "figures": rounded(translation_figures(made.images, pair, held_out, critic)),
            "scores": rounded(translation_scores(made.images, pair, critic, distance)),
        }  # fmt: skip

    row("no edit", Made(pair.x, 0.0))
    row("true dogs", Made(pair.truth, 0.0))
    cycled, done = None, set()
    while left := [m for m in translations(first, target, features, cut, cycled) if m not in done]:
        name = left[0]
        settings = translations(first, target, features, cut, cycled)[name]
        own = {"EGSDE": "domains", "CUT": f"cut-{source}-dogs"}.get(name)
        key = used | {
            "method": name,
            "refined": REFINED,
            "own": own and fingerprint(own),
            "after": cycled,
        }
        board["tried"][name] = {}
        for setting, edit in tqdm(settings.items(), f"{source}, {name}: choosing"):
            made = remembered(
                cache, key | {"setting": setting, "choosing": CHOOSING},
                partial(in_batches, edit, choosing.x),
            )  # fmt: skip
            scores = translation_scores(made.images, choosing, critic, distance)
            board["tried"][name][setting] = {k: rounded(v.mean()) for k, v in scores.items()}
        best = best_translation(board["tried"][name])
        print(f"{source}, {name}: {best}", flush=True)
        edit = partial(in_batches, settings[best], pair.x, seed=1000)
        row(name, remembered(cache, key | {"setting": best, "images": n}, edit), best)
        cycled = best if name == "CycleDiffusion" else cycled
        done.add(name)
    return board


def text_board(n: int, steps: int, device: str, cache: Path | None) -> dict:
    """Table 2, every setting of every method, as it is written."""
    model, by = load("t2i", device), judges(device)
    known = readable_cases(model, triplets())
    cases = pictured(taken_in_turn(known, n), model.picture_shape[-1], device)
    board = {"images": len(cases.x), "refused": len(triplets()) - len(known), "steps": steps}
    board["streams"] = VERSION
    board["precision"] = computed_in(device)
    board["networks"] = {k: fingerprint(k) for k in ("t2i", "clip", "clip-judge", "critic")}
    board["rows"] = {}
    used = {"t2i": fingerprint("t2i"), "steps": steps, "precision": board["precision"]}
    used["cases"] = [case._asdict() for case in cases.triplets]
    used["worlds"] = {case.world: WORLDS[case.world].version for case in cases.triplets}

    def row(name: str, made: Made, method: str = "", setting: str = "") -> None:
        board["rows"][name] = {
            "method": method, "setting": setting, "seconds": rounded(made.seconds),
            "scores": rounded(edit_scores(made.images, cases, by)),
        }  # fmt: skip

    codec = on_images(model, lambda z: z)
    row("no edit, codec", Made(codec(cases.x), 0.0))
    row("true edit, codec", Made(codec(cases.truth), 0.0))
    for method, settings in text_edits(model, steps).items():
        for setting, edit in tqdm(settings.items(), f"text, {method}"):
            make = partial(in_batches, edit, cases.x, *cases.texts)
            made = remembered(cache, used | {"method": method, "setting": setting}, make)
            row(f"{method}, {setting}", made, method, setting)
    return board


def computed_in(device: str) -> str:
    """What the networks of a table run in."""
    return "bfloat16" if half_is_fast(torch.device(device).type) else "float32"


def autocast_change(steps: int, device: str) -> dict[str, float]:
    """What bfloat16 changes: PSNR of CycleDiffusion's dogs with those of float32, and both SSIMs."""
    first, target = (Sampler(load(name, device), steps, ETA) for name in ("cats", "dogs"))
    pair = drawn("cats", "dogs", AT_ONCE, SEEDS["choosing"], target.denoiser.shape[-1], device)
    edit = lambda x, seed: cycle_diffusion(x, first, target, seed)  # noqa: E731
    whole, half = (in_batches(edit, pair.x, half=half).images for half in (False, True))
    return {
        "PSNR with float32's (dB)": rounded(metrics.psnr(half, whole).mean()),
        "SSIM to the source, float32": rounded(metrics.ssim(whole, pair.x).mean()),
        "SSIM to the source, bfloat16": rounded(metrics.ssim(half, pair.x).mean()),
    }


def read(path: Path = FILE) -> dict[str, dict]:
    """What the command wrote, by table: scores as tensors again, null as NaN.

    Raises FileNotFoundError, in one sentence, where there is none.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no {path}: write it with `python -m lessons_lib.scoreboard`."
        )
    boards = json.loads(path.read_text(encoding="utf-8"))
    for board in tables_of(boards).values():
        for row in board["rows"].values():
            row["scores"] = {
                k: torch.tensor([torch.nan if x is None else x for x in v], dtype=torch.float64)
                for k, v in row["scores"].items()
            }
    return boards


def tables_of(boards: Mapping[str, object]) -> dict[str, dict]:
    """The tables among what a file holds, by name."""
    return {k: v for k, v in boards.items() if isinstance(v, Mapping) and "rows" in v}


def scores_of(board: Mapping) -> dict[str, Row]:
    """The scores of a table's rows, {method: {metric: (N,)}}."""
    return {name: row["scores"] for name, row in board["rows"].items()}


def standings(board: Mapping, seed: int = 0) -> str:
    """A table of the file in Markdown: each method with its setting, the means with their intervals, the
    figures of the whole set (which have none), and the processor's seconds for each image."""
    lines, seen = {}, {}
    for name, row in board["rows"].items():
        figures = of_the_set(row)
        title = f"{name} ({row['setting']})" if row["setting"] and "figures" in row else name
        seen[title] = row["scores"]
        lines[title] = [f"{v:.3g}" for v in figures.values()]
    return beside(table(seen, seed), list(figures), lines)


def of_the_set(row: Mapping) -> dict[str, float]:
    """The figures of a row that belong to the set of images, not to one: FID, KID, what is kept, time."""
    figures = {k: v for k, v in row.get("figures", {}).items() if k != "kept"}
    read_off = row.get("figures", {}).get("kept")
    for group, mean in by_group(read_off).items() if read_off else ():
        figures[f"{group} kept"] = mean
    return figures | {"seconds": row["seconds"]}


def setting_of(board: Mapping, method: str, settings: Mapping[str, ImageEdit]) -> str:
    """The setting that a table of the file has chosen for a method; the last one where it has none."""
    kept_setting = board.get("rows", {}).get(method, {}).get("setting")
    return kept_setting if kept_setting in settings else list(settings)[-1]


def chosen_edits(board: Mapping) -> dict[str, str]:
    """Of Table 2: each method's row with the highest mean score by the encoder that is not reported."""
    methods = {}
    for name, row in board["rows"].items():
        if row["method"]:
            methods.setdefault(row["method"], {})[name] = row["scores"]
    return {method: best_edit(rows) for method, rows in methods.items()}


def main() -> None:
    """Compute, write and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m lessons_lib.scoreboard", description=__doc__)
    parser.add_argument("tables", nargs="*", help="unpaired, text; by default both")
    parser.add_argument("--images", type=int, default=320, help="of each source world, at least 2")
    parser.add_argument("--steps", type=int, default=20, help="of every method")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=FILE)
    parser.add_argument("--cache", type=Path, default=CACHE, help="where edited images are kept")
    args = parser.parse_args()
    if strange := set(args.tables) - {"unpaired", "text"}:
        parser.error(f"there is no table {strange.pop()!r}: give unpaired, text or neither.")
    if args.images < 2 or not 1 <= args.steps <= 1000:
        parser.error("give at least 2 images, and 1 to 1000 steps.")
    how = args.images, args.steps, args.device, args.cache
    if "unpaired" in (args.tables or ["unpaired"]):
        write(args.out, "bfloat16", autocast_change(args.steps, args.device))
        for source in ("cats", "wild"):
            name = f"{source} to dogs"
            write(args.out, name, unpaired_board(source, *how))
            print(standings(read(args.out)[name]))
    if "text" in (args.tables or ["text"]):
        write(args.out, "text", text_board(*how))
        print(standings(read(args.out)["text"]))


def write(path: Path, table: str, board: dict) -> None:
    """Put one table into the file, beside the others."""
    boards = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    boards |= {table: board, "torch": torch.__version__, "threads": torch.get_num_threads()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(boards, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
