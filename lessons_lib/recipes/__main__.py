"""Train an embedded network and write its card: `python -m lessons_lib.recipes NAME [--images N]`.

Stop it at any moment: started again it goes on from its last save, at most three minutes back. For
several GPUs, `accelerate launch -m lessons_lib.recipes NAME`.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from ..devices import checked_device
from ..paths import BUILD, EMBEDDED
from .cards import export
from .clip import Clips
from .critic import Critics
from .cut import Cut, Domains
from .families import Autoencoders, DenoisingGans, SecondMoments
from .loop import Run, accelerator, train
from .pixel import Pixel
from .text_to_image import Codecs, TextToImage, codec_folder

# A finer level around a network of half the resolution: NAME begins from NAME-half, --warm-start the
# folder that NAME-half was written to.
GROWN = {
    "learning_rate": 3e-4, "held": 300, "unshuffle": 1, "attention": (2, 3), "embedding": 256, "focus": 0.5,
}  # fmt: skip
# 64 pixels at the cost of 32: --warm-start the folder of a network of 32.
HAAR = {
    "pool": 32_768, "size": 64, "attention": (2, 3), "embedding": 256, "focus": 0.5,
    "bands": (0.8, 0.17, 0.17, 0.08),
}  # fmt: skip
FACES = {"world": "faces", "label": "glasses"}
ANIMALS = {"world": "animals", "label": "species", "unlabelled": 0.15}

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Pixel("faces-32-half", images=850_000, **FACES),
        Pixel("faces-32", images=560_000, channels=(32, 64, 128, 192), **FACES, **GROWN),
        Pixel(
            "faces",
            images=300_000,
            channels=(32, 64, 128, 192),
            **FACES,
            **HAAR | {"bands": (0.75, 0.15, 0.15, 0.07)},
        ),
        Pixel("animals-32-half", images=850_000, channels=(64, 96, 128), **ANIMALS),
        Pixel("animals-32", images=350_000, channels=(32, 64, 96, 128), **ANIMALS, **GROWN),
        Pixel(
            "animals",
            images=200_000,
            channels=(32, 64, 96, 128),
            views=("cats", "dogs", "wild"),
            **ANIMALS,
            **HAAR,
        ),
        # Begins from nothing and sees dogs only: it never met the network that draws the cats.
        Pixel(
            "dogs-alone", images=220_000, channels=(32, 64, 96, 128), world="dogs", seed=5, **HAAR
        ),
        Critics(
            "critic", images=400_000, pool=32_768, batch=128, learning_rate=1e-3, weight_decay=0.02
        ),
        Clips(
            "clip",
            images=400_000,
            pool=16_384,
            batch=128,
            learning_rate=1e-3,
            weight_decay=0.1,
            patch=8,
            width=160,
            text_width=96,
            seed=2,
        ),
        Clips(
            "clip-judge",
            images=600_000,
            pool=32_768,
            batch=256,
            learning_rate=1e-3,
            weight_decay=0.1,
            patch=8,
            width=192,
            text_width=96,
            seed=1,
        ),
        Codecs("codec", images=120_000, pool=8_192, batch=24, learning_rate=5e-4, compiled=False),
        TextToImage(
            "t2i", images=600_000, pool=24_576, batch=63, learning_rate=5e-4, compiled=False
        ),
        # Short prompts for a t2i that was trained without: its text encoder is 1.8 of its 17 MB.
        TextToImage(
            "t2i-words",
            images=100_000,
            pool=24_576,
            batch=63,
            compiled=False,
            unet_learns=False,
        ),
        SecondMoments("faces-sn", images=64_000, learning_rate=1e-3),
        Autoencoders("faces-ae", images=86_400, learning_rate=1e-3),
        DenoisingGans("faces-gan", images=40_000, learning_rate=4e-4),
        Cut("cut-cats-dogs", images=240_000),
        Cut("cut-wild-dogs", images=240_000, source="wild"),
        Domains("domains", images=300_000, batch=96, learning_rate=1e-3),
    )
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lessons_lib.recipes", description=__doc__)
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("--images", type=int, help="pictures to see in all (default: the recipe's)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--out", type=Path, help="a folder for NAME and its views, if not data/checkpoints"
    )
    parser.add_argument("--warm-start", default="", help="begin from another checkpoint's weights")
    parser.add_argument("--export", action="store_true", help="save the run as it is, untrained on")
    args = parser.parse_args()
    if args.images is not None and args.images < 1:
        parser.error(f"--images is {args.images}: give a whole number, at least 1.")
    recipe = RECIPES[args.name]
    recipe = replace(recipe, images=args.images or recipe.images)
    folder = BUILD / "recipes" / recipe.name
    try:
        checked_device(args.device)
        run = Run.resume(recipe, folder, args.device, args.warm_start)
    except ValueError as problem:
        parser.error(str(problem))
    if not args.export:
        train(run, folder, accelerator(args.device, recipe.compiled))
    home = codec_folder() if recipe.kind == "codec" else EMBEDDED / recipe.name
    export(run, args.out / recipe.name if args.out else home)


if __name__ == "__main__":
    main()
