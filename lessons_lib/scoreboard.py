"""CycleDiffusion's two tables, on worlds that know the right answer: `python -m lessons_lib.scoreboard`.

`unpaired` is Table 1 (cats and wild animals to dogs), `text` is Table 2 (the benchmark of 150 edits).
The full size takes a while: what is computed is written after each method, and found again by the next
call. `data/scoreboard.json` is what the command wrote; lesson 12 reads it.

The first part is for lessons: means with intervals, verdicts over pairs, and their figures. `rows` are
{method: {metric: values (N,) of the images}} everywhere.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from . import lesson, metrics, plots
from .checkpoints import CheckpointError, fingerprint, load
from .counterfactual import counterfactual_scores, manifold_distance, readings
from .denoisers import UNet, half_is_fast
from .editing import (
    cycle_diffusion,
    ddib,
    ilvr,
    low_pass,
    on_images,
    sdedit,
    start_at,
    text_samplers,
)
from .energies import egsde
from .evaluators import KINDS, Clip, Critic, load_clip, load_critic
from .latent import check_words
from .sampler import Sampler
from .translators import load_domains, load_translator
from .worlds import WORLDS, animals, triplets
from .worlds.triplets import Triplet

FILE = Path(__file__).resolve().parents[1] / "data" / "scoreboard.json"
CACHE = FILE.parents[1] / "build" / "scoreboard"
AT_ONCE = 32  # images in one batch
CHOOSING = 40  # images on which each method's setting is chosen
HELD_OUT = 2000  # pictures of the target that FID and KID compare with
CLEANED = "… with clean-up"
CHOOSER = "S_D-CLIP by the other encoder"
PAIRS = ((1.0, 1.0), (2.0, 2.0), (1.0, 3.0))  # guidance of encoder and decoder

# ---------------------------------------------------------------- reading a table

Row = Mapping[str, Tensor]  # metric -> (N,)

# Where lower is better.
SIGN = {
    "distance to the true dog": -1,
    "distance to the true edit": -1,
    "FID": -1,
    "KID": -1,
    "seconds": -1,
}


def interval(values: Tensor, seed: int = 0) -> metrics.Interval:
    """Mean and 95 % bootstrap interval of the finite values; a share is NaN where it is not defined."""
    values = torch.as_tensor(values)
    return metrics.bootstrap(values[values.isfinite()], seed)


def report(rows: Mapping[str, Row], seed: int = 0) -> None:
    """Record the mean of each score with its 95 % bootstrap interval over the images."""
    for metric in metrics_of(rows):
        for name, row in rows.items():
            if metric in row:
                mean, low, high = interval(row[metric], seed)
                lesson.record(f"{metric}, {name}", mean, f"[{low:.3g}, {high:.3g}]")


def verdict(metric: str, one: Row, other: Row, seed: int = 0) -> str:
    """Whether the first is 'better' or 'worse' by this score over the same images, or 'undecided'.

    Decided is what the 95 % bootstrap interval of the images' differences leaves: one without 0.
    """
    _, low, high = interval(SIGN.get(metric, 1) * (one[metric] - other[metric]), seed)
    return "better" if low > 0 else "worse" if high < 0 else "undecided"


def table(rows: Mapping[str, Row], seed: int = 0) -> str:
    """Markdown: a method a row, a score a column, each a mean and its interval."""
    columns = metrics_of(rows)

    def cell(row: Row, metric: str) -> str:
        if metric not in row:
            return ""
        mean, low, high = interval(row[metric], seed)
        return f"{mean:.2f} [{low:.2f}, {high:.2f}]"

    return markdown(columns, {n: [cell(r, m) for m in columns] for n, r in rows.items()})


def markdown(columns: list[str], lines: Mapping[str, list[str]]) -> str:
    """A Markdown table: the columns' heads, and each line by its name."""
    head = ["| |" + "|".join(columns) + "|", "|---|" + "---|" * len(columns)]
    return "\n".join(head + [f"|{name}|" + "|".join(cells) + "|" for name, cells in lines.items()])


def forest(rows: Mapping[str, Row], edits: list[str], seed: int = 0, columns: int = 5):
    """A figure of every score's mean and interval, a row a method; `edits` are in colour."""
    shown, height = metrics_of(rows), 0.45 * len(rows) + 1.2
    lines = -(-len(shown) // columns)
    fig, axes = plots.figure(
        lines, min(columns, len(shown)), width=16, height=height * lines, sharey=True, squeeze=False
    )
    for ax in axes.flat[len(shown) :]:
        ax.axis("off")
    for ax, metric in zip(axes.flat, shown, strict=False):
        for i, (name, row) in enumerate(rows.items()):
            if metric in row:
                mean, low, high = interval(row[metric], seed)
                colour = plots.EDITED if name in edits else plots.SOURCE
                ax.plot([low, high], [i, i], color=colour), ax.plot(mean, i, "o", color=colour)
        ax.set(yticks=range(len(rows)), yticklabels=list(rows))
        ax.set_title(metric, fontsize=12), ax.locator_params(axis="x", nbins=3)
    axes[0, 0].invert_yaxis()
    return fig


def metrics_of(rows: Mapping[str, Row]) -> list[str]:
    """Every metric that a row has, in the order in which they come."""
    return list(dict.fromkeys(metric for row in rows.values() for metric in row))


# ---------------------------------------------------------------- Table 1: unpaired translation

SHARED = [f.name for f in animals.factors if f.group == "shared" and not f.choices]
GROUPS = {
    "pose": ["yaw", "tilt", "zoom"],
    "colours": ["fur", "second", "eye_color"],
    "scene": ["light", "background"],
}
SEEDS = {"reported": 920_000, "choosing": 921_000, "held out": 922_000}  # no recipe trains on these
ENOUGH = 0.95  # of the images judged dogs: what a setting must reach to be chosen
ETA = 0.1  # CycleDiffusion's, in both of the paper's tables


class Pair(NamedTuple):
    """Pictures of a source world (N, 3, S, S), and the same animals as the target world draws them."""

    target: str
    x: Tensor
    factors: dict[str, Tensor]
    truth: Tensor


def drawn(source: str, target: str, n: int, seed: int, size: int, device="cpu") -> Pair:
    """`n` pictures of the source world, by seed, with their factors and true translations."""
    batch = WORLDS[source].sample(n, seed, size, device)
    return Pair(target, batch.image, batch.factors, WORLDS[target].render(batch.factors, size))


def judged(images: Tensor, world: str, critic: Critic) -> Tensor:
    """1.0 for each image that the critic takes for one of this world, among all it knows, (B,)."""
    kinds = metrics.in_parts(critic.world, images)
    return (kinds.argmax(1) == KINDS.index(world)).double()


def correlation(a: Tensor, b: Tensor) -> float:
    """Of two lists of numbers, in [-1, 1]; 0 where one is constant."""
    a, b = (v.double() - v.double().mean() for v in (a, b))
    return ((a * b).sum() / (a.norm() * b.norm()).clamp_min(1e-12)).item()


def kept(images: Tensor, factors: Mapping[str, Tensor], world: str, critic: Critic) -> dict:
    """How each shared factor, as it is read from the images, correlates with the given ones."""
    read = readings(images, world, critic)
    return {name: correlation(read[name], factors[name]) for name in SHARED}


def translation_scores(images: Tensor, pair: Pair, critic: Critic, distance) -> dict[str, Tensor]:
    """Each image's scores; a PSNR to the source that is infinite (no edit) is left out."""
    scores = {
        "judged a dog": judged(images, pair.target, critic),
        "PSNR to the source (dB)": metrics.psnr(images, pair.x),
        "SSIM to the source": metrics.ssim(images, pair.x),
        "PSNR to the true dog (dB)": metrics.psnr(images, pair.truth),
        "distance to the true dog": distance(images, pair.truth),
        "like a drawing (dB)": manifold_distance(images, pair.target, critic),
    }
    return {name: v for name, v in scores.items() if v.isfinite().all()}


def translation_figures(images: Tensor, pair: Pair, held_out: Tensor, critic: Critic) -> dict:
    """Figures of the whole set: FID (for sets that are large enough), KID, and what is kept of the
    factors.

    held_out: (M, 3, S, S) pictures of the target; FID is compared only between sets of one size N.
    """
    found = {}
    if len(images) > critic.feature_size:
        found["FID"] = metrics.fid(images, held_out, critic)
    found["KID"] = metrics.kid(images, held_out, critic, subset_size=min(100, len(images)))[0]
    found["kept"] = kept(images, pair.factors, pair.target, critic)
    return found


Edit = Callable[..., Tensor]  # images (B, 3, S, S), seed, further lists of B -> images


def translations(
    first: Sampler, target: Sampler, domains, cut, cycled: str | None
) -> dict[str, dict[str, Edit]]:
    """Each method's settings, from which one is chosen: name -> setting -> edit(images, seed).

    first, target: the two worlds' samplers, at CycleDiffusion's η; the others take its model and steps.
    domains, cut: EGSDE's features and CUT's generator; None leaves their methods out.
    cycled: the setting of CycleDiffusion whose results are cleaned up; None leaves that out.
    """
    fresh, ode = target.with_eta(1.0), (first.with_eta(0.0), target.with_eta(0.0))

    def cycle(t: int) -> Edit:
        ends = start_at(first, t), start_at(target, t)
        return lambda x, seed: cycle_diffusion(x, *ends, seed)

    def clean(edit: Edit, t: int) -> Edit:
        return lambda x, seed: sdedit(edit(x, seed), start_at(fresh, t), seed + 1)

    def bridge(t: int) -> Edit:
        return lambda x, seed: ddib(x, *(start_at(g, t) for g in ode))

    def noise(t: int) -> Edit:
        return lambda x, seed: sdedit(x, start_at(fresh, t), seed)

    def refine(pixels: int) -> Edit:
        return lambda x, seed: ilvr(x, fresh, low_pass(pixels), seed)

    def pull(t: int) -> Edit:
        return lambda x, seed: egsde(x, start_at(fresh, t), domains, low_pass(8), 8.0, 2.0, seed)

    last, middle = first.schedule.t[0].item(), (400, 500, 600, 700)
    found = {"CycleDiffusion": {f"T_es {t}": cycle(t) for t in (600, 800, last)}}
    if cycled is not None:
        whole = found["CycleDiffusion"][cycled]
        found[CLEANED] = {f"clean-up from {t}": clean(whole, t) for t in (50, 100, 150)}
    found["SDEdit"] = {f"start {t}": noise(t) for t in middle}
    found["DDIB"] = {f"start {t}": bridge(t) for t in (600, 800, last)}
    found["ILVR"] = {f"areas of {k} pixels": refine(k) for k in (4, 8, 16)}
    if domains is not None:
        found["EGSDE"] = {f"start {t}": pull(t) for t in middle}
    if cut is not None:
        found["CUT"] = {"one for each pair": lambda x, seed: cut(x.float())}
    return found


def best_translation(tried: Mapping[str, Mapping[str, float]]) -> str:
    """The setting, of those whose images are judged dogs often `ENOUGH`, that comes nearest to the true
    dogs; if none is, the one judged so most often. From means over images that are not reported.
    """
    sure = {k: v for k, v in tried.items() if v["judged a dog"] >= ENOUGH}
    if sure:
        return min(sure, key=lambda k: sure[k]["distance to the true dog"])
    return max(tried, key=lambda k: tried[k]["judged a dog"])


# ---------------------------------------------------------------- Table 2: text editing


class Cases(NamedTuple):
    """Edits of the benchmark, their pictures and true edited pictures (N, 3, S, S)."""

    triplets: list[Triplet]
    x: Tensor
    truth: Tensor

    @property
    def texts(self) -> tuple[list[str], list[str]]:
        """The source texts and the target texts."""
        return [c.source for c in self.triplets], [c.target for c in self.triplets]


def readable(model: UNet, cases: list[Triplet]) -> list[Triplet]:
    """Those of the cases whose words the model knows, all of both texts."""

    def known(case: Triplet) -> bool:
        try:
            check_words(model.prompts.tokenizer, [case.source, case.target])
        except ValueError:
            return False
        return True

    return [case for case in cases if known(case)]


def taken_in_turn(cases: list[Triplet], n: int) -> list[Triplet]:
    """`n` of the cases, from each kind of edit and world in turn."""
    groups = {}
    for case in cases:
        groups.setdefault((case.kind, case.world), []).append(case)
    turns = [(i, k) for k, group in enumerate(groups.values()) for i in range(len(group))]
    groups = list(groups.values())
    return [groups[k][i] for i, k in sorted(turns)[:n]]


def pictured(cases: list[Triplet], size: int, device="cpu") -> Cases:
    """The cases with their pictures, drawn."""
    x, truth = (
        torch.cat([draw(case, size) for case in cases]).to(device)
        for draw in (Triplet.image, Triplet.counterfactual)
    )
    return Cases(cases, x, truth)


def reached(images: Tensor, cases: list[Triplet], critic: Critic, distance) -> tuple:
    """(share of the wanted change, drift of the other factors), (N,) each, as the critic reads them.

    A share is NaN where the source had all but the wanted value.
    """
    found = [
        counterfactual_scores(
            image[None].float(), case.factors(), case.change, case.world, critic, distance
        )
        for image, case in zip(images, cases, strict=True)
    ]
    return torch.cat([s.achieved for s in found]), torch.cat([s.drift for s in found])


class Judges(NamedTuple):
    """Who judges: two encoders of pictures and words, of which `clip` chooses and `judge` is reported."""

    clip: Clip
    judge: Clip
    critic: Critic
    distance: metrics.Distance


def judges(device: str = "cpu", clip: str = "clip", judge: str = "clip-judge") -> Judges:
    """The embedded judges, or others by name."""
    critic = load_critic(device=device)
    distance = metrics.perceptual_distance(critic)
    return Judges(load_clip(clip, device), load_clip(judge, device), critic, distance)


def edit_scores(images: Tensor, cases: Cases, by: Judges) -> dict[str, Tensor]:
    """Each image's scores; the last chooses between settings, and is never reported as a result."""
    images, texts = images.to(cases.x), cases.texts
    return {
        "S_CLIP": metrics.s_clip(images, texts[1], by.judge),
        "S_D-CLIP": metrics.s_dir(cases.x, images, *texts, by.judge),
        "PSNR to the source (dB)": metrics.psnr(images, cases.x),
        "SSIM to the source": metrics.ssim(images, cases.x),
        "PSNR to the true edit (dB)": metrics.psnr(images, cases.truth),
        "distance to the true edit": by.distance(images, cases.truth),
        "share of the wanted change": reached(images, cases.triplets, by.critic, by.distance)[0],
        CHOOSER: metrics.s_dir(cases.x, images, *texts, by.clip),
    }


def text_edits(model: UNet, steps: int) -> dict[str, dict[str, Edit]]:
    """Each method's settings: name -> setting -> edit(images, seed, source texts, target texts)."""
    last = Sampler(model, steps).schedule.t[0].item()

    def edits(eta: float, way: Callable, scales: tuple[float, float], t: int) -> Edit:
        both = text_samplers(model, steps, eta, *scales, t)

        def edit(x: Tensor, seed: int, source: list[str], target: list[str]) -> Tensor:
            conds = model.prompts(source), model.prompts(target)
            return on_images(model, lambda z: way(z, both, conds, seed))(x)

        return edit

    def cycle(z, both, conds, seed):
        return cycle_diffusion(z, *both, seed, cond=conds[0], target_cond=conds[1])

    def noise(z, both, conds, seed):
        return sdedit(z, both[1], seed, conds[1])

    def bridge(z, both, conds, seed):
        return ddib(z, *both, *conds)

    grid = {
        "CycleDiffusion": (ETA, cycle, PAIRS, (last,)),
        "SDEdit": (1.0, noise, PAIRS[::2], (400, 600, 800)),
        "DDIB": (0.0, bridge, PAIRS, (last,)),
    }
    return {
        name: {
            f"w = {w[0]:g}, {w[1]:g}; from {t}": edits(eta, way, w, t)
            for w in scales
            for t in starts
        }
        for name, (eta, way, scales, starts) in grid.items()
    }


def best_edit(rows: Mapping[str, Row]) -> str:
    """The setting with the highest mean S_D-CLIP by the encoder that is not reported."""
    return max(rows, key=lambda name: rows[name][CHOOSER].mean())


# ---------------------------------------------------------------- the command


class Made(NamedTuple):
    """Edited images (N, 3, S, S), and the processor's seconds for each."""

    images: Tensor
    seconds: float


@torch.no_grad()
def in_batches(
    edit: Edit, x: Tensor, *lists: list, seed: int = 0, half: bool | None = None
) -> Made:
    """The edit of all images, `AT_ONCE` at a time, each batch by its own seed.

    half: run the networks under bfloat16 autocast; None where that is fast. The sampler's state stays
        in its own precision.
    """
    half = half_is_fast(x.device.type) if half is None else half
    parts, start = [], time.process_time()
    for i in range(0, len(x), AT_ONCE):
        part = slice(i, i + AT_ONCE)
        with torch.autocast(x.device.type, torch.bfloat16) if half else nullcontext():
            done = edit(x[part], seed + i, *(v[part] for v in lists))
        parts.append(done.float())
    return Made(torch.cat(parts), (time.process_time() - start) / len(x))


def remembered(folder: Path | None, key: Mapping, make: Callable[[], Made]) -> Made:
    """What `make` makes, or what it made in an earlier call of the same key (in half precision)."""
    if folder is None:
        return make()
    name = sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / f"{name}.pt"
    if path.is_file():
        images, seconds = torch.load(path, weights_only=True)
        return Made(images.float(), seconds)
    made = make()
    folder.mkdir(parents=True, exist_ok=True)
    torch.save((made.images.half().cpu(), made.seconds), path)
    return Made(made.images.half().float(), made.seconds)


def optional(load_it: Callable, name: str, device: str):
    """A network that may not be here: None, and a sentence, where it is not."""
    try:
        return load_it(name, device)
    except CheckpointError:
        print(f"There is no checkpoint {name!r} here, so its method's row is left out.")
        return None


def unpaired_board(
    source: str, n: int, steps: int, device: str, cache: Path | None, wrote: Callable[[dict], None]
) -> dict:
    """Table 1 for one source world and dogs, as it is written; `wrote` gets it after each method."""
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
    held_out = WORLDS["dogs"].sample(HELD_OUT, SEEDS["held out"], size, device).image
    same = {"steps": steps, "precision": precision(device)}
    used = {"source": fingerprint(source), "dogs": fingerprint("dogs")} | same
    board = {"images": n, "chosen on": CHOOSING, "tried": {}, "rows": {}} | same
    board["networks"] = {name: fingerprint(name) for name in (source, "dogs", "critic")}

    def row(name: str, made: Made, setting: str = "") -> None:
        board["rows"][name] = {
            "setting": setting, "seconds": rounded(made.seconds),
            "figures": rounded(translation_figures(made.images, pair, held_out, critic)),
            "scores": rounded(translation_scores(made.images, pair, critic, distance)),
        }  # fmt: skip
        wrote(board)

    row("no edit", Made(pair.x, 0.0))
    row("true dogs", Made(pair.truth, 0.0))
    cycled, done = None, set()
    while left := [m for m in translations(first, target, features, cut, cycled) if m not in done]:
        name = left[0]
        settings = translations(first, target, features, cut, cycled)[name]
        own = {"EGSDE": "domains", "CUT": f"cut-{source}-dogs"}.get(name)
        key = used | {"method": name, "own": own and fingerprint(own), "after": cycled}
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


def text_board(
    n: int, steps: int, device: str, cache: Path | None, wrote: Callable[[dict], None]
) -> dict:
    """Table 2, every setting of every method, as it is written; `wrote` gets it after each setting."""
    model, by = load("t2i", device), judges(device)
    known = readable(model, triplets())
    cases = pictured(taken_in_turn(known, n), model.picture_shape[-1], device)
    board = {"images": len(cases.x), "refused": len(triplets()) - len(known), "steps": steps}
    board["precision"] = precision(device)
    board["networks"] = {k: fingerprint(k) for k in ("t2i", "clip", "clip-judge", "critic")}
    board["rows"] = {}

    def row(name: str, made: Made, method: str = "", setting: str = "") -> None:
        board["rows"][name] = {
            "method": method, "setting": setting, "seconds": rounded(made.seconds),
            "scores": rounded(edit_scores(made.images, cases, by)),
        }  # fmt: skip
        wrote(board)

    codec = on_images(model, lambda z: z)
    row("no edit, codec", Made(codec(cases.x), 0.0))
    row("true edit, codec", Made(codec(cases.truth), 0.0))
    for method, settings in text_edits(model, steps).items():
        for setting, edit in tqdm(settings.items(), f"text, {method}"):
            key = {"t2i": fingerprint("t2i"), "method": method, "setting": setting}
            make = partial(in_batches, edit, cases.x, *cases.texts)
            key |= {"steps": steps, "images": len(cases.x), "precision": board["precision"]}
            made = remembered(cache, key, make)
            row(f"{method}, {setting}", made, method, setting)
    return board


def precision(device: str) -> str:
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


def rounded(value):
    """Numbers with four digits behind the point, for a small file; NaN as null."""
    if isinstance(value, Mapping):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, Tensor) and value.ndim:
        return [None if v != v else round(v, 4) for v in value.tolist()]
    return round(float(value), 4 if abs(value) < 100 else 2)


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
    for group, members in GROUPS.items() if read_off else ():
        figures[f"{group} kept"] = sum(read_off[m] for m in members) / len(members)
    return figures | {"seconds": row["seconds"]}


def beside(text: str, columns: list[str], lines: Mapping[str, list[str]]) -> str:
    """A Markdown table with further columns at its right."""
    more = [columns, ["---"] * len(columns), *lines.values()]
    rows = zip(text.splitlines(), more, strict=True)
    return "\n".join(row + "|".join(cells) + "|" for row, cells in rows)


def setting_of(board: Mapping, method: str, settings: Mapping[str, Edit]) -> str:
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

    def wrote(table: str) -> Callable[[dict], None]:
        return partial(write, args.out, table)

    if "unpaired" in (args.tables or ["unpaired"]):
        write(args.out, "bfloat16", autocast_change(args.steps, args.device))
        for source in ("cats", "wild"):
            name = f"{source} to dogs"
            unpaired_board(source, args.images, args.steps, args.device, args.cache, wrote(name))
            print(standings(read(args.out)[name]))
    if "text" in (args.tables or ["text"]):
        text_board(args.images, args.steps, args.device, args.cache, wrote("text"))
        print(standings(read(args.out)["text"]))


def write(path: Path, table: str, board: dict) -> None:
    """Put one table into the file, beside the others."""
    boards = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    boards |= {table: board, "torch": torch.__version__, "threads": torch.get_num_threads()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(boards, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
