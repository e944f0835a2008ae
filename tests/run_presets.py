"""Run presets with small random weights: `python tests/run_presets.py [NAME…]`, by default all.

Papermill runs each preset as it is, in a folder that holds what it names: random checkpoints in the published
layouts, drawn pictures, random directions in the format of Asyrp's authors. Only the numbers in TINY are
others. A preset that fails, or a direction that is not used, makes the command fail.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from string import ascii_lowercase

sys.path.insert(0, str(Path(__file__).parent))

import papermill
import torch
import yaml
from PIL import Image
from torch import nn

from lessons_lib import direction, worlds
from lessons_lib.paths import DATA, NOTEBOOKS
from lessons_lib.press.kernels import KernelManager
from lessons_lib.press.site import records
from published import clip, ddpm, learned, stable_diffusion, tame

PRESETS = {path.stem: path for path in sorted((DATA / "presets").glob("*.yaml"))}
FEW = {"steps": 4, "n_images": 2}
# The numbers that are smaller than a preset's own, by the beginning of its name.
TINY = {
    "asyrp": FEW,
    "cyclediffusion-table1": FEW,
    "cyclediffusion-table2": FEW | {"trials": 1, "skips": [1, 2], "scales": [1.0, 2.0]},
    "cyclediffusion-text": FEW | {"starts": [600]},
    "cyclediffusion-guidance": FEW | {"rounds": 4},
    "langevin": {"n_images": 2, "rounds": 4},
}
# What a preset names, and what makes it: the bottleneck of Asyrp's f_t has 32 groups of channels.
CHECKPOINTS = {
    "google/ddpm-ema-celebahq-256": partial(ddpm, block_out_channels=(8, 32)),
    "CompVis/stable-diffusion-v1-4": stable_diffusion,
    "checkpoints/afhq-dog": learned,
    "checkpoints/afhq-cat": learned,
    "checkpoints/afhq-wild": learned,
}
CLIPS = "openai/clip-vit-base-patch32", "openai/clip-vit-large-patch14"


def tiny_of(name: str) -> dict:
    return next(values for start, values in TINY.items() if name.startswith(start))


def furnish(home: Path, preset: dict) -> None:
    """Make in a folder, which is the one that we are in, what a preset names."""
    for value in filter(lambda v: isinstance(v, str), preset.values()):
        if value in CHECKPOINTS:
            CHECKPOINTS[value](home / value)
            tame(home / value)
        if value in CLIPS:
            letters = ascii_lowercase + ",'-"
            clip(home / value, tokens=250, letters=letters, seed=CLIPS.index(value))
        if value.startswith("pictures/"):
            (home / value).mkdir(parents=True)
            for i, picture in enumerate(worlds.faces.sample(3, seed=0, size=48).image):
                levels = (picture * 127.5 + 127.5).byte().permute(1, 2, 0).numpy()
                Image.fromarray(levels).save(home / value / f"{i}.png")
    for folder in re.findall(r"directions/[\w-]+", str(preset.get("attributes", ""))):
        published_direction(home / folder, preset)


def published_direction(folder: Path, preset: dict, channels: int = 32) -> None:
    """A random f_t in the authors' format, made a folder by the command that the preset names."""
    torch.manual_seed(0)
    parts = {"conv1": nn.Conv2d(channels, channels, 1), "temb_proj": nn.Linear(32, channels),
             "norm2": nn.GroupNorm(32, channels), "conv2": nn.Conv2d(channels, channels, 1)}  # fmt: skip
    torch.save({"0": nn.ModuleDict(parts).state_dict()}, "f_t.pth")
    asked = ["--public", "f_t.pth", "--first", "999", "--last", str(preset["t_edit"])]
    asked += ["--checkpoint", preset["checkpoint"], "--out", str(folder)]
    assert direction.main(asked) == 0


def run(name: str, home: Path) -> str:
    """Run a preset by papermill in a folder of its own, and say how many numbers it recorded."""
    preset = yaml.safe_load(PRESETS[name].read_text(encoding="utf-8"))
    lesson = re.match(r"# papermill notebooks/(\w+)\.ipynb", PRESETS[name].read_text("utf-8"))[1]
    home.mkdir()
    os.chdir(home)
    furnish(home, preset)
    notebook = papermill.execute_notebook(
        str(NOTEBOOKS / f"{lesson}.ipynb"), str(home / "out.ipynb"), preset | tiny_of(name), cwd=str(home),
        progress_bar=False, kernel_name="python3", language="python", kernel_manager_class=KernelManager,
    )  # fmt: skip
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", ())]
    if any("take their place" in o.get("text", "") for o in outputs):
        raise ValueError("the direction that it names was not used")
    return f"{len(list(records(notebook)))} numbers"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *PRESETS], metavar="NAME")
    failed = 0
    with tempfile.TemporaryDirectory() as home:
        for name in parser.parse_args().names or PRESETS:
            start = time.perf_counter()
            try:
                said = run(name, Path(home) / name)
            except Exception as error:
                failed, said = failed + 1, f"FAILED, {type(error).__name__}: {error}"
            print(f"{name}: {said} ({time.perf_counter() - start:.0f} s)", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
