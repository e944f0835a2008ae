"""Measure an embedded network on held-out seeds, print its figures and copy them into its card:
`python -m lessons_lib.recipes.figures NAME [--samples N]`; a generator's sheet is drawn anew too.

Nothing is picked: samples are those of seed 0, pictures those of seeds that no recipe trains on.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from .. import plots
from ..cards import card, carded, kind_of, write_card
from ..checkpoints import fingerprint, load
from ..code import Code
from ..denoisers import Denoiser, Guided
from ..devices import half_is_fast
from ..judges import metrics
from ..judges.counterfactual import manifold_distance, nearest_factors, readings
from ..judges.evaluators import KINDS, Clip, Critic, columns, head_of, load_clip, load_critic
from ..paths import BUILD, EMBEDDED, held_out_seed
from ..sampler import Sampler, usual
from ..studies.guided import told_by
from ..studies.kept import keep, place
from ..worlds import WORLDS, Batch
from ..worlds.animals_words import FUR_WORDS
from ..worlds.scenes_words import COLORS, OBJECTS
from ..worlds.words import article
from .clip import TOLD, across

# The seeds of the pictures that figures are measured on.
held_out = partial(held_out_seed, "networks")
STEPS = 50  # for every generator alike that has so many
AT_ONCE = 64  # samples drawn, and then saved, together
LEAST = 257  # samples: one more than the critic has features
NEAREST = 256  # samples whose nearest drawing is sought, at half a second each
KEPT = BUILD / "figures"  # samples, until all is measured
OF = {"animals": ["cats", "dogs", "wild"]}  # the kinds of picture of a world that has several


def samples(
    name: str, n: int, guidance: float = 3.0, kept: Path = KEPT
) -> tuple[Tensor, list[str]]:
    """`n` uncurated images (n, 3, S, S) of a generator (50 steps of DDIM, but for one with an η or steps of
    its own), and the captions of a
    text-conditioned one, which are of held-out pictures of all its worlds. What a stopped call had drawn
    is in `kept`, and the next one goes on from there."""
    model = load(name)
    captions = held_out_captions(n) if model.prompts else []
    g, parts = usual(model, STEPS), []
    if model.prompts:
        g = Sampler(Guided(model, guidance, model.prompts.empty), STEPS)
    key = {"network": fingerprint(name), "guidance": guidance, "steps": STEPS, "n": n}
    key |= {"captions": captions, "half": half_is_fast(model.device.type)}
    z, file = g.draw(n, seed=0), place(kept / name, key)
    if file.is_file():
        parts.append(torch.load(file, weights_only=True))
    for i in range(sum(map(len, parts)), n, AT_ONCE):
        parts.append(decoded(g, model, z[i : i + AT_ONCE], captions[i : i + AT_ONCE]))
        keep(file, torch.cat(parts))
        print(f"{name}: {min(i + AT_ONCE, n)} of {n} samples", flush=True)
    return torch.cat(parts), captions


def decoded(g: Sampler, model: Denoiser, z: Code, captions: list[str]) -> Tensor:
    """The pictures (B, 3, S, S) in [-1, 1] of codes, of these captions if there are any.

    The network runs under bfloat16 autocast where that is fast; the sampler does not.
    """
    cond = model.prompts(captions) if captions else None
    device = model.device.type
    with torch.autocast(device, torch.bfloat16, enabled=half_is_fast(device)):
        x = g.decode(z, cond=cond).float()
    return model.pictures(x).clamp(-1, 1)


def held_out_captions(n: int) -> list[str]:
    """Captions of held-out pictures of the three worlds that text-to-image learns, in turn."""
    each = -(-n // 3)
    lists = []
    for name in ("animals", "faces", "scenes"):
        world = WORLDS[name]
        lists.append(world.captions(world.sample_factors(each, held_out()), held_out()))
    return [text for row in zip(*lists, strict=True) for text in row][:n]


def pictures(names: list[str], n: int, size: int) -> Tensor:
    """`n` held-out pictures of these worlds, in turn, (n, 3, size, size)."""
    each = -(-n // len(names))
    images = [WORLDS[name].sample(each, held_out(1), size).image for name in names]
    return torch.stack(images, 1).flatten(0, 1)[:n]


def of_pixels(name: str, n: int, critic: Critic) -> dict:
    """A pixel generator: FID against its floor, KID, and the distance from its world's manifold."""
    world = card(EMBEDDED / name)["world"]
    x, _ = samples(name, n)
    data = pictures([world], 2 * n, x.shape[-1])
    draw_sheet(name, x, data)
    found = fidelity(x, data, critic) | manifold(x, data[:1024], world, critic)
    found |= spread(x, data[: len(x)], world, critic)
    if card(EMBEDDED / name).get("family") == "autoencoder":
        model = load(name)
        found["R² of factors from z_sem"] = {
            k: round(v, 3) for k, v in told_by(model, 2000, 0).items()
        }
    return found


def spread(x: Tensor, data: Tensor, world: str, critic: Critic) -> dict:
    """How much the factors read from samples vary, as a share of how much they vary in data (1 is all).

    Below 1, samples lack variety in a factor, or show it too faintly to be read. x, data: (N, 3, S, S).
    """
    of_samples, of_data = (readings(v, world, critic) for v in (x, data))
    varied = {k: v.float().std() for k, v in of_data.items() if v.float().std() > 0.1}
    ratios = {k: (of_samples[k].float().std() / v).item() for k, v in varied.items()}
    least = sorted(ratios, key=ratios.get)[:3]
    return {
        "spread of factors, samples / data: median": round(median(ratios.values()), 3),
        "spread of the least varied factors": {k: round(ratios[k], 3) for k in least},
    }


def fidelity(x: Tensor, data: Tensor, critic: Critic) -> dict:
    """FID and KID of samples (N, 3, S, S) against half of the data (2N, 3, S, S), and between its halves."""
    floor = metrics.fid_floor(data, critic)
    found = metrics.fid(x, data[: len(x)], critic)
    mean, deviation = metrics.kid(x, data[: len(x)], critic)
    return {
        "samples": len(x),
        "FID (critic's features)": round(found, 3),
        "FID floor (two halves of held-out data)": round(floor, 3),
        "FID / floor": round(found / floor, 2),
        "KID (critic's features)": [float(f"{mean:.3g}"), float(f"{deviation:.2g}")],
    }


def manifold(x: Tensor, data: Tensor, world: str, critic: Critic) -> dict:
    """Manifold distance in dB, of samples and of held-out data, (N, 3, S, S) both: to the drawing of what the
    critic reads, and to the nearest drawing that a descent from there finds."""
    of_samples, of_data = (manifold_distance(v, world, critic) for v in (x[:1024], data))
    nearest = manifold_distance(x[:NEAREST], world, critic, nearest_factors)
    nearest_data = manifold_distance(data[: NEAREST // 4], world, critic, nearest_factors)
    return {
        "manifold distance, dB: mean": round(of_samples.mean().item(), 2),
        "manifold distance, dB: 5th percentile": round(of_samples.quantile(0.05).item(), 2),
        "manifold distance of held-out data, dB: mean": round(of_data.mean().item(), 2),
        f"nearest drawing of {NEAREST}, dB: mean": round(nearest.mean().item(), 2),
        f"nearest drawing of {NEAREST}, dB: 5th percentile": round(
            nearest.quantile(0.05).item(), 2
        ),
        f"nearest drawing of held-out data, of {NEAREST // 4}, dB: mean": round(
            nearest_data.mean().item(), 2
        ),
    }


def draw_sheet(name: str, x: Tensor, data: Tensor) -> None:
    """64 samples beside 64 held-out pictures, at 64 pixels each, in 256 colours: a third of the bytes."""
    scale = max(1, 64 // x.shape[-1])
    left, right = (plots.sheet(v[:64].cpu(), scale=scale) for v in (x, data))
    both = torch.cat([left, torch.ones(3, left.shape[1], 12), right], 2)
    plots.save(both, EMBEDDED / name / "sheet.png", colours=256)


def of_text_to_image(name: str, n: int, critic: Critic) -> dict:
    """t2i: whether its pictures are what the captions say, by networks that it was not trained on."""
    names = ["animals", "faces", "scenes"]
    x, captions = samples(name, n)
    data = pictures(names, 2 * n, x.shape[-1])
    draw_sheet(name, x, data)
    judge = load_clip("clip-judge")
    found = fidelity(x, data, critic)
    found["guidance"] = 3.0
    found["clip-judge: right caption among 32"] = round(retrieval(x, captions, judge, 32), 4)
    for i, world in enumerate(names):
        found[f"manifold distance on {world}, dB: mean"] = round(
            manifold_distance(x[i::3], world, critic).mean().item(), 2
        )
    return found | binding(x[2::3], critic) | of_short_prompts(name, critic)


def binding(x: Tensor, critic: Critic) -> dict:
    """Share of the objects that scenes' captions named which the critic reads in their place, and of
    those, share in their own colour; x (N, 3, S, S) are samples of the captions of `held_out_captions`."""
    scenes = WORLDS["scenes"]
    asked = scenes.sample_factors(len(x), held_out())
    read, there, coloured = readings(x, "scenes", critic), [], []
    for slot in ("left", "right", "boat"):
        present = (asked[slot] > 0) & scenes.visible(asked)[f"{slot}_color"]
        right = (read[slot] == asked[slot])[present]
        there.append(right)
        coloured.append((read[f"{slot}_color"] == asked[f"{slot}_color"])[present][right])
    return {
        "scenes: named objects in their place": round(torch.cat(there).float().mean().item(), 4),
        "scenes: their colours right": round(torch.cat(coloured).float().mean().item(), 4),
    }


def of_short_prompts(name: str, critic: Critic, each: int = 8) -> dict:
    """Share of pictures, `each` of a prompt, in which the critic reads what a short prompt names:
    'a red house' (in any place, other things allowed), 'a brown dog', 'a person with glasses'."""
    model, shares = load(name), {}
    g = Sampler(Guided(model, 3.0, model.prompts.empty), STEPS)
    z = g.draw(each, seed=1)
    for world, prompts in short_prompts().items():
        right = []
        for prompt, seen in prompts.items():
            x = decoded(g, model, z, [prompt] * each)
            kind = critic.world(x).argmax(1)
            mine = [KINDS.index(k) for k in OF.get(world, [world])]
            there = torch.isin(kind, torch.tensor(mine)) & seen(readings(x, world, critic))
            right.append(there.float().mean())
        shares[f"short prompts of {world}: named thing there"] = round(
            torch.stack(right).mean().item(), 4
        )
        print(shares, flush=True)
    return shares


def short_prompts() -> dict[str, dict[str, Callable[[dict[str, Tensor]], Tensor]]]:
    """Of each world, prompts of a few words, and whether readings have what they name, (B,)."""
    scenes = {
        f"a {color} {thing}": partial(_stands, k, c)
        for k, thing in enumerate(OBJECTS)
        for c, color in enumerate(COLORS)
        if thing in ("house", "tent", "windmill")
    }
    animals = {
        article(f"{fur} {kind}"): partial(_is_furred, k, f / 4)
        for k, kind in enumerate(("cat", "dog", "fox"))
        for f, fur in enumerate(FUR_WORDS)
    }
    faces = {
        "a smiling person": lambda r: r["smile"] > 0,
        "a sad person": lambda r: r["smile"] < 0,
        "a person with glasses": lambda r: r["glasses"] > 0.5,
        "a person with a beard": lambda r: r["beard"] > 0.5,
        "an old person": lambda r: r["age"] > 0.5,
        "a young person": lambda r: r["age"] < 0.5,
    }
    return {"scenes": scenes, "animals": animals, "faces": faces}


def _stands(kind: int, color: int, read: dict[str, Tensor]) -> Tensor:
    sides = ((read[s] == kind) & (read[f"{s}_color"] == color) for s in ("left", "right"))
    return torch.stack(list(sides)).any(0)


def _is_furred(species: int, fur: float, read: dict[str, Tensor]) -> Tensor:
    return (read["species"] == species) & ((read["fur"] - fur).abs() < 0.125)


def retrieval(x: Tensor, captions: list[str], clip, among: int) -> float:
    """Share of images (N, 3, S, S) whose own caption scores highest among `among`, grouped as they come."""
    image = metrics.in_parts(clip.image, x)
    words = torch.cat([clip.text(captions[i : i + 256]) for i in range(0, len(x), 256)])
    hits = []
    for i in range(0, len(x) - among + 1, among):
        best = (image[i : i + among] @ words[i : i + among].T).argmax(1)
        hits.append(best == torch.arange(among, device=best.device))
    return torch.cat(hits).float().mean().item()


def of_clip(name: str, n: int) -> dict:
    """Retrieval among 64 held-out captions: a quarter of each world, the unseen looks included."""
    clip, images, captions = load_clip(name), [], []
    batches = [
        WORLDS[w].sample(n // 4, held_out(2), 32) for w in ("animals", "faces", "looks", "scenes")
    ]
    for row in zip(*(zip(b.image, b.caption, strict=True) for b in batches), strict=True):
        images += [image for image, _ in row]
        captions += [caption for _, caption in row]
    found = {"images": len(images)}
    found["top-1 among 64 held-out captions"] = round(
        retrieval(torch.stack(images), captions, clip, 64), 4
    )
    for batch, world in zip(batches, ("animals", "faces", "looks", "scenes"), strict=True):
        share = retrieval(batch.image, batch.caption, clip, 64)
        found[f"top-1 among 64 of {world} alone"] = round(share, 4)
    return found | twins_told_apart(clip, n // 8)


def twins_told_apart(clip: Clip, n: int) -> dict[str, float]:
    """Of `n` held-out faces and the same with one factor across its range, the share whose captions
    fit better as they are than exchanged; chance is 0.5."""
    faces, gen, found = WORLDS["faces"], torch.Generator().manual_seed(0), {}
    one = faces.sample_factors(n, held_out(5))
    for f in faces.factors:
        if f.name not in TOLD:
            continue
        pair = one, one | {f.name: across(f, one[f.name], gen)}
        x = [metrics.in_parts(clip.image, faces.render(v, 32)) for v in pair]
        e = [clip.text(faces.captions(v, held_out(i))) for i, v in enumerate(pair)]
        right = ((x[0] - x[1]) * (e[0] - e[1])).sum(1) > 0
        found[f"twins told apart by {f.name}"] = round(right.float().mean().item(), 4)
    return found


def of_critic(name: str, n: int) -> dict:
    """Error of each factor, masks, kinds and identity on held-out pictures."""
    critic, found = load_critic(name), {"images of each world": n}
    batches = {kind: WORLDS[kind].sample(n, held_out(3), 32) for kind in KINDS}
    kinds = [critic.world(b.image).argmax(1) for b in batches.values()]
    right = [(k == i).float().mean().item() for i, k in enumerate(kinds)]
    found["kind of picture right"] = dict(zip(KINDS, (round(r, 4) for r in right), strict=True))
    found["species right"] = round(sum(right[1:4]) / 3, 4)
    faces = batches["faces"]
    read = critic.read(faces.image, "faces")
    for factor, middle in (("smile", 0.0), ("glasses", 0.5), ("beard", 0.5)):
        agree = (read[factor] > middle) == (faces.factors[factor] > middle)
        found[f"{factor} right at mid-threshold"] = round(agree.float().mean().item(), 4)
    for world in ("faces", "animals", "scenes"):
        batch = WORLDS[world].sample(n, held_out(3), 32)
        found[f"mask mIoU on {world}"] = round(
            mean_iou(critic.mask(batch.image, world), batch.mask), 4
        )
        found[f"factors of {world}"] = factor_errors(critic, batch, world)
    found["same person at 1 % false accepts"] = round(verification(critic, n), 4)
    return found


def factor_errors(critic: Critic, batch: Batch, world: str) -> dict[str, float]:
    """Of each factor, where it shows: R² of a continuous one, accuracy of the others."""
    read, shown, out = critic.read(batch.image, world), WORLDS[world].visible(batch.factors), {}
    for f, _ in columns(WORLDS[head_of(WORLDS[world])]):
        x, y = read[f.name][shown[f.name]], batch.factors[f.name][shown[f.name]]
        if f.choices or f.binary is not None:
            score = (x.round() == y).float().mean()
        else:
            score = 1 - (x - y).square().mean() / y.var(correction=0)
        out[f.name] = round(score.item(), 4)
    return out


def mean_iou(one: Tensor, two: Tensor) -> float:
    """Intersection over union of class numbers (B, H, W), averaged over the classes that either has."""
    classes = torch.cat([one.unique(), two.unique()]).unique()
    both = [((one == c) & (two == c)).sum() / ((one == c) | (two == c)).sum() for c in classes]
    return torch.stack(both).mean().item()


def verification(critic: Critic, n: int) -> float:
    """Share of pairs of one person's pictures (all but identity drawn anew) accepted at the
    threshold that accepts 1 % of the pairs of two people."""
    faces = WORLDS["faces"]
    one, other = (faces.sample_factors(n, held_out(seed)) for seed in (3, 4))
    who = {f.name: one[f.name] for f in faces.factors if f.group == "identity"}
    a, b = (critic.identity(faces.render(f, 32)) for f in (one, other | who))
    cosine = a @ b.T
    strangers = cosine[~torch.eye(n, dtype=torch.bool)]
    return (cosine.diagonal() > strangers.quantile(0.99)).float().mean().item()


def measured(name: str, n: int) -> dict:
    """The figures of an embedded checkpoint, by its kind."""
    kind = kind_of(EMBEDDED / name)
    if kind == "critic":
        return of_critic(name, min(n, 2048))
    if kind == "clip":
        return of_clip(name, min(n, 4096))
    of = of_pixels if card(EMBEDDED / name)["world"] else of_text_to_image
    return of(name, n, load_critic())


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m lessons_lib.recipes.figures", description=__doc__
    )
    parser.add_argument("name", choices=carded(EMBEDDED))
    parser.add_argument("--samples", type=int, default=5000, help="how many (default 5,000)")
    args = parser.parse_args()
    if args.samples < LEAST:
        parser.error(f"--samples is {args.samples}: FID, on the critic's features, needs {LEAST}.")
    start = time.monotonic()
    figures = measured(args.name, args.samples)
    figures["measured in seconds"] = round(time.monotonic() - start)
    print(json.dumps(figures, indent=1))
    folder = EMBEDDED / args.name
    write_card(folder, card(folder) | {"figures": figures})
    shutil.rmtree(KEPT / args.name, ignore_errors=True)


if __name__ == "__main__":
    main()
