"""Train an embedded network and write its card: `python -m lessons_lib.recipes NAME [--images N]`."""

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from .pixel import Recipe, Run, export, train

RECIPES = {r.name: r for r in (Recipe("faces", world="faces"),)}
ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lessons_lib.recipes", description=__doc__)
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("--images", type=int, help="pictures to see in all (default: the recipe's)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, help="where to save (default: data/checkpoints/NAME)")
    parser.add_argument("--warm-start", default="", help="begin from another checkpoint's weights")
    parser.add_argument("--export", action="store_true", help="save the run as it is, untrained on")
    args = parser.parse_args()
    recipe = RECIPES[args.name]
    recipe = replace(recipe, images=args.images or recipe.images)
    folder = ROOT / "build" / "recipes" / recipe.name
    run = Run.resume(recipe, folder, args.device, args.warm_start)
    if not args.export:
        train(run, folder, args.device)
    export(run, args.out or ROOT / "data" / "checkpoints" / recipe.name)


if __name__ == "__main__":
    main()
