"""Edit pictures of your own: `python -m lessons_lib.edit me.jpg --direction smiling`.

By directions in h: each picture's code is found by DDIM inversion, and decoded with Δh added (Asyrp).

    python -m lessons_lib.edit photos/ --checkpoint faces --direction smiling,old --scale 1.5

By two texts: CycleDiffusion's Algorithm 1, of a model that reads texts.

    python -m lessons_lib.edit cat.png --checkpoint t2i --source 'a grey cat' --target 'a grey dog'

For each picture it writes into --out: NAME.png, a strip of the picture, what the code alone gives back
and the edits (NAME-strip.png), and NAME.json with the settings and how far each is from the picture.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from . import plots
from .checkpoints import fingerprint, load
from .code import plain
from .denoisers import Denoiser
from .devices import checked_device
from .judges import metrics
from .methods.asyrp import load_edit
from .methods.editing import text_edit
from .paths import BUILD, made, write_whole
from .pictures import Pictures, read_pictures
from .sampler import Sampler
from .schedule import of_thousand
from .studies.attributes import codes, shown
from .studies.inputs import editable

AT_ONCE = 8  # pictures in one batch


class Edited(NamedTuple):
    """What was made of N pictures: name -> (N, 3, H, W) in [-1, 1], the last of which is the edit."""

    images: dict[str, Tensor]
    settings: dict


def by_direction(model: Denoiser, x: Tensor, names: str, scale: float, steps: int) -> Edited:
    """Pictures x (N, 3, H, W), what their codes give back, and the edit at half and whole `scale`.

    model: one that draws by itself, as of `with_prompt`.
    names: directions or folders, with commas between; their sum.
    Raises CheckpointError for one that is missing, and ValueError for one of another model.
    """
    g = Sampler(model, steps)
    edits = [load_edit(name.strip(), model.device).over(g.schedule) for name in names.split(",")]
    whole = sum(edits[1:], edits[0]) * scale
    z = codes(g, x, refine=1)
    forms = {"code alone": plain, f"{scale / 2:g}": whole * 0.5, f"{scale:g}": whole}
    made = {k: shown(g, g.decode(z, edit=edit)) for k, edit in forms.items()}
    return Edited({"picture": x} | made, {"direction": names, "scale": scale})


def by_texts(
    model: Denoiser, x: Tensor, source: str, target: str, t_es: int, guidance: float, steps: int, seed: int
) -> Edited:  # fmt: skip
    """Pictures x (N, 3, H, W), and CycleDiffusion's edits between two texts (Wu & De la Torre, Algorithm 1),
    begun at T_es, in times of 1,000; `guidance` is the decoder's."""
    start = of_thousand(t_es, len(model.alpha_bar))
    ways = {"same text": (source, 1.0), "edit": (target, guidance)}
    made = {
        name: text_edit(
            model, x, [source], [text], seed, steps=steps, eta=0.1, source_scale=1.0,
            target_scale=scale, t_es=start,
        ).float().clamp(-1, 1)
        for name, (text, scale) in ways.items()
    }  # fmt: skip
    told = {"source": source, "target": target, "T_es": t_es, "guidance": guidance, "seed": seed}
    return Edited({"picture": x} | made, told)


def write(edited: Edited, pictures: Pictures, out: Path, told: dict) -> list[Path]:
    """One picture, one strip and one JSON for each; their paths."""
    made(out)
    names, last = _file_names(pictures.names), list(edited.images)[-1]
    for i, name in enumerate(names):
        row = {k: v[i : i + 1].cpu() for k, v in edited.images.items()}
        plots.save(row[last][0], out / f"{name}.png")
        strip = plots.strips([torch.cat(list(row.values()))], [""], list(row))
        write_whole(out / f"{name}-strip.png", plots.png(strip))
        away = {k: _compared(v, row["picture"]) for k, v in row.items() if k != "picture"}
        said = told | edited.settings | {"picture": pictures.names[i], "from the picture": away}
        write_whole(out / f"{name}.json", json.dumps(said, indent=1, ensure_ascii=False))
    return [out / f"{name}.png" for name in names]


def _compared(image: Tensor, picture: Tensor) -> dict[str, float]:
    measures = {"PSNR (dB)": metrics.psnr, "SSIM": metrics.ssim}
    return {name: round(measure(image, picture).item(), 3) for name, measure in measures.items()}


def _file_names(names: list[str]) -> list[str]:
    stems = [Path(name).stem for name in names]
    return [s if stems.count(s) == 1 else name for s, name in zip(stems, names, strict=True)]


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """What the command line says; a way of editing that is not named whole ends it."""
    parser = argparse.ArgumentParser(
        prog="python -m lessons_lib.edit", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("images", help="a picture, a folder, or a glob")
    add("--checkpoint", help="default: faces, or t2i for two texts")
    add("--direction", default="", help="embedded directions or folders, with commas between")
    add("--scale", type=float, default=1.0, help="of the direction")
    add("--source", default="", help="a text that is true of the picture")
    add("--target", default="", help="the text that should become true")
    add("--t-es", type=int, default=600, help="where the encoder stops, in times of 1,000")
    add("--guidance", type=float, default=2.0, help="of the decoder, between two texts")
    add(
        "--prompt",
        default="",
        help="with --direction: the text or label that the model must be told",
    )
    add("--steps", type=int, default=50)
    add("--seed", type=int, default=0)
    add("--device", default="cpu")
    add(
        "--fit", action="store_true", help="the whole picture with white beside it; else its middle"
    )
    add("--out", type=Path, default=BUILD / "edits", help="default: build/edits")
    args = parser.parse_args(argv)
    texts = bool(args.source) + bool(args.target)
    if (texts == 2) == bool(args.direction) or texts == 1:
        parser.error(
            "name one way to edit: --direction NAME, or both --source TEXT and --target TEXT."
        )
    args.checkpoint = args.checkpoint or ("t2i" if texts else "faces")
    return args


@torch.no_grad()
def main(argv: list[str] | None = None) -> int:
    """Edit and write: 0, or 2 with a sentence for what cannot be done."""
    args = arguments(argv)
    try:
        checked_device(args.device)
        name = args.checkpoint, args.device
        model = editable(*name, args.prompt) if args.direction else load(*name)
        pictures = read_pictures(args.images, model.picture_shape, crop=not args.fit)
        for sentence in pictures.refused:
            print(f"Left out: {sentence}", file=sys.stderr)
        told = {
            "checkpoint": args.checkpoint,
            "weights": fingerprint(args.checkpoint),
            "steps": args.steps,
            "prompt": args.prompt,
        }
        for i in range(0, len(pictures.names), AT_ONCE):
            part = Pictures(pictures.x[i : i + AT_ONCE], pictures.names[i : i + AT_ONCE], [])
            for path in write(
                _edited(model, part.x.float().to(model.device), args), part, args.out, told
            ):
                print(path)
    except ValueError as error:
        print(f"lessons_lib.edit: {error}", file=sys.stderr)
        return 2
    return 0


def _edited(model: Denoiser, x: Tensor, args: argparse.Namespace) -> Edited:
    if args.direction:
        return by_direction(model, x, args.direction, args.scale, args.steps)
    texts = args.source, args.target
    return by_texts(model, x, *texts, args.t_es, args.guidance, args.steps, args.seed)


if __name__ == "__main__":
    sys.exit(main())
