"""Train a direction of your own from two texts.

    python -m lessons_lib.direction --source 'a calm person' --target 'an angry person' --out mine/angry

It learns on a model's own samples, or on your pictures (--images). `load_edit("mine/angry")` is the edit,
and lessons 05 to 07 take the folder among their `attributes`. A file that Asyrp's authors published becomes
such a folder, too; their files do not hold the interval:

    python -m lessons_lib.direction --public smiling.pth --first 999 --last 513 --checkpoint ID --out NEW
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path

import torch

from .checkpoints import fingerprint
from .code import Code
from .denoisers import Denoiser
from .devices import checked_device
from .judges.evaluators import load_clip
from .methods.asyrp import Asyrp, has_card, save_edit
from .methods.public_edits import read_public_edit
from .methods.training import source_paths
from .paths import made
from .press.runner import absolute
from .sampler import Sampler
from .schedule import of_thousand
from .studies.attributes import (
    CHOSEN,
    FORMS_OF,
    Attribute,
    Settings,
    codes,
    settings_of,
)
from .studies.inputs import editable, own_pictures
from .studies.learning import learn

SHOWN = 4  # images in the strip


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m lessons_lib.direction", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("--source", default="", help="what is true of the pictures; several texts with | between")
    add("--target", default="", help="what should become true; as many texts")
    add("--public", type=Path, help="in place of texts: a .pth file of Asyrp's public code")
    add("--out", type=Path, required=True, help="the folder to write")
    add("--checkpoint", default="faces", help="an embedded model, a folder, or a hub id")
    add("--clip", default="clip", help="the encoder that reads both texts")
    add("--images", default="", help="pictures to learn on: a folder or a glob (default: samples)")
    add(
        "--prompt",
        default="",
        help="the text (default: 'a person') or label that a model must be told",
    )
    add("--first", type=int, default=500, help="the interval begins, in times of 1,000")
    add("--last", type=int, default=200, help="and ends")
    add("--form", choices=FORMS_OF, default="conv")
    add("--l1-weight", type=float, default=5.0, help="of the pictures' change")
    add("--decay", type=float, default=1.0, help="of f_t's weights")
    add(
        "--l1-through",
        type=float,
        default=5.0,
        help="the same, in the training through the interval; 0: none",
    )
    add("--strength", type=float, default=1.0, help="what Δh is multiplied by at the end")
    add("--seed", type=int, default=0)
    add("--device", default="cpu")
    for name, value in asdict(Settings()).items():
        flag = "--learn-on" if name == "images" else f"--{name.replace('_', '-')}"
        add(
            flag,
            type=type(value),
            dest=f"setting_{name}",
            help=f"default: {value}, other for a latent model",
        )
    args = parser.parse_args(argv)
    texts = bool(args.source) + bool(args.target)
    if texts == 1 or (texts == 2) == bool(args.public):
        parser.error("say what to learn: both --source TEXT and --target TEXT, or --public FILE.")
    if args.source.count("|") != args.target.count("|"):
        parser.error("--source and --target must hold as many texts, with | between.")
    if not 999 >= args.first >= args.last >= 0:
        parser.error(
            f"--first is {args.first} and --last {args.last}: give 999 ≥ first ≥ last ≥ 0."
        )
    if has_card(args.out):
        parser.error(f"{args.out} holds a direction already: name another folder, or delete it.")
    for name, value in vars(args).items():
        if name.startswith("setting_") and value is not None and not 0 < value < float("inf"):
            parser.error(f"--{name[8:].replace('_', '-')} is {value}: give a number above 0.")
    return args


def trained_on_texts(model: Denoiser, args: argparse.Namespace) -> tuple[Asyrp, dict]:
    """The edit that the texts ask for, and what its card says. Writes a strip beside it."""
    form = FORMS_OF[args.form]
    given = {k[8:]: v for k, v in vars(args).items() if k.startswith("setting_") and v is not None}
    s = settings_of(model, form, given)
    first, last = (of_thousand(t, len(model.alpha_bar)) for t in (args.first, args.last))
    chosen = {k: getattr(args, k) for k in CHOSEN} | {"first": first, "last": last}
    texts = [[t.strip() for t in text.split("|")] for text in (args.source, args.target)]
    attribute, clip = Attribute(*texts, **chosen), load_clip(args.clip, args.device)
    g = Sampler(model, s.steps)
    z, n = learnt_on(g, args, s.images)
    sources = source_paths(g, z, clip, first, last)
    made(args.out)
    settings = replace(s, batch=min(s.batch, n))
    edit, seconds = learn(
        attribute,
        sources,
        z[:SHOWN],
        clip,
        settings,
        args.out / "strip.png",
        args.seed,
        form.kind,
    )
    said = {"source": texts[0], "target": texts[1], "clip": args.clip, "seconds": round(seconds)}
    said |= {"prompt": args.prompt}
    said |= {
        "settings": asdict(settings) | chosen | {"images": n},
        "pictures": args.images or "samples",
    }
    return edit, said


@torch.no_grad()
def learnt_on(g: Sampler, args: argparse.Namespace, n: int) -> tuple[Code, int]:
    """Codes of pictures of one's own, at most n, or of n samples; and how many there are."""
    if not args.images:
        return g.draw(n, args.seed), n
    x = own_pictures(args.images, g.denoiser, n)
    return codes(g, x, refine=1), len(x)


def main(argv: list[str] | None = None) -> int:
    """Train, or read, and write: 0, or 2 with a sentence for what cannot be done."""
    args = arguments(argv)
    try:
        checked_device(args.device)
        model = editable(args.checkpoint, args.device, args.prompt)
        said = {"name": args.out.name, "checkpoint": absolute(args.checkpoint)}
        said["network"] = fingerprint(args.checkpoint)
        if args.public:
            edit, more = read_public_edit(args.public, args.first, args.last), {}
        else:
            edit, more = trained_on_texts(model, args)
        save_edit(edit, args.out, **said, **more)
    except ValueError as error:
        print(f"lessons_lib.direction: {error}", file=sys.stderr)
        return 2
    print(
        f"{args.out}: load_edit({str(args.out)!r}), or `-p attributes {args.out}` for lessons 05 to 07"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
