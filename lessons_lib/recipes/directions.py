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
from dataclasses import asdict
from pathlib import Path

import torch

from ..cards import card
from ..checkpoints import find, load
from ..judges.evaluators import load_clip, load_critic
from ..methods.asyrp import DIRECTIONS, load_edit, save_edit
from ..methods.training import source_paths
from ..paths import BUILD, TRAIN_EDITS, held_out_seed
from ..sampler import Sampler
from ..studies.attributes import (
    ATTRIBUTES,
    CHOSEN,
    FORMS_OF,
    LATENT,
    Settings,
    codes,
    cond_of,
    settings_of,
)
from ..studies.edits import (
    at_equal_success,
    by_scale,
    card_table,
    ceiling,
    figures,
    fine_tuned,
    taught,
)
from ..studies.learning import learn
from ..worlds import WORLDS


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
    args = parser.parse_args()
    for name in ("test_images", *asdict(Settings())):
        value = getattr(args, name)
        if value is not None and not 0 < value < float("inf"):
            parser.error(f"--{name.replace('_', '-')} is {value}: give a number above 0.")
    return args


def main() -> None:
    args = arguments()
    model, clip, critic = (
        load(args.checkpoint, args.device),
        load_clip(args.clip, args.device),
        load_critic(),
    )
    latent, form = model.codec is not None, FORMS_OF[args.form]
    size = model.picture_shape[-1]
    given = {k: v for k, v in vars(args).items() if k in asdict(Settings()) and v is not None}
    s = settings_of(model, form, given)
    network = card(find(args.checkpoint)).get("files")
    named = {n: f"{args.checkpoint}-{n}{form.end}" if latent else n + form.end for n in args.names}
    there = {n: load_edit(args.out / named[n], args.device) for n in args.names if args.measure}
    sampler, start, paths = Sampler(model, s.steps), time.monotonic(), {}
    pupils = WORLDS["faces"].sample(s.images, TRAIN_EDITS, size)
    test = WORLDS["faces"].sample(args.test_images, held_out_seed("edits"), size)
    of_pupils, cond = cond_of(model, pupils.caption), cond_of(model, test.caption)
    unused = args.measure and not args.ceiling and not args.rival
    train = None if unused else codes(sampler, pupils.image, cond=of_pupils)
    z, shared = codes(sampler, test.image, refine=2, cond=cond), time.monotonic() - start
    print(f"Codes of {s.images} + {len(z)} pictures: {shared:.0f} s", flush=True)
    for name, called in named.items():
        print(called, flush=True)
        attribute = LATENT[name] if latent else ATTRIBUTES[name]
        preview = BUILD / "directions" / f"{called}.png"
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
                attribute, paths[interval], z[:8], clip, s, preview, 0, form.kind, some
            )
            said = {
                "name": name, "source": attribute.source, "target": attribute.target,
                "checkpoint": args.checkpoint, "clip": args.clip,
                "settings": asdict(s) | {k: getattr(attribute, k) for k in CHOSEN},
                "seconds": round(seconds), "network": network,
            }  # fmt: skip
        found = figures(attribute, sampler, z, edit, test.factors, critic, cond)
        if attribute.wanted and not latent:
            found["scales"] = by_scale(attribute, sampler, z, edit, test.factors, critic)
        if rival:
            tuned = fine_tuned(attribute, paths[interval], clip, s)
            found["DiffusionCLIP"] = at_equal_success(
                attribute, sampler, tuned, z, found["scales"], test.factors, critic
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
            found["table"] = card_table(
                attribute, sampler, z, edit, test.factors, critic, judge, cond
            )
        kept = edit.terms[0][1].card.get("figures", {}) if args.measure else {}
        save_edit(edit, args.out / called, **said, figures=kept | found)


if __name__ == "__main__":
    main()
