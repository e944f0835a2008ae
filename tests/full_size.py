"""Published configurations at their full size: `python tests/full_size.py [NAME…] [--precision bfloat16]`.

Random weights are made of each, saved as they are published, loaded by `load`, and one step is encoded and
decoded; what that took stands beside what `estimate` said. One at a time, each in processes of its own.
"""

import argparse
import shutil
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

import psutil
import torch

from adm import random_adm
from lessons_lib import Sampler, load
from lessons_lib.convert import convert
from lessons_lib.estimate import cost, size
from lessons_lib.schedule import Schedule
from published import ddpm
from small import randn, tiny_pipeline


def celebahq(folder: Path):
    """google/ddpm-celebahq-256: 113,673,219 parameters."""
    plain = ["DownBlock2D"] * 4
    ddpm(
        folder, sample_size=256, block_out_channels=(128, 128, 256, 256, 512, 512), layers_per_block=2,
        down_block_types=(*plain, "AttnDownBlock2D", "DownBlock2D"), norm_num_groups=32,
        up_block_types=("UpBlock2D", "AttnUpBlock2D", *["UpBlock2D"] * 4),
    )  # fmt: skip


def ldm(folder: Path):
    """CompVis/ldm-celebahq-256: latents of 64×64×3, a VQModel of f = 4."""
    import lessons_lib._torchvision  # noqa: F401

    from diffusers import DDIMScheduler, LDMPipeline, UNet2DModel, VQModel

    unet = UNet2DModel(
        sample_size=64, block_out_channels=(224, 448, 672, 896), attention_head_dim=32,
        down_block_types=("DownBlock2D", *["AttnDownBlock2D"] * 3),
        up_block_types=(*["AttnUpBlock2D"] * 3, "UpBlock2D"),
    )  # fmt: skip
    vqvae = VQModel(
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(128, 256, 512), layers_per_block=2, num_vq_embeddings=8192,
    )  # fmt: skip
    said = {"beta_schedule": "scaled_linear", "beta_start": 0.0015, "beta_end": 0.0195}
    LDMPipeline(vqvae, unet, DDIMScheduler(**said, clip_sample=False)).save_pretrained(folder)


def stable_diffusion(folder: Path):
    """CompVis/stable-diffusion-v1-4, but for its tokenizer, which knows a few words."""
    tiny_pipeline(folder, half=False, tokens=77, prediction_type="epsilon")  # for its other files
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    UNet2DConditionModel(cross_attention_dim=768, sample_size=64).save_pretrained(folder / "unet")
    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, sample_size=512,
    ).save_pretrained(folder / "vae")  # fmt: skip
    config = CLIPTextConfig(
        hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12
    )
    CLIPTextModel(config).save_pretrained(folder / "text_encoder")


def authors(folder: Path, **config):
    """A `.pt` of ADM's U-Net, converted."""
    folder.mkdir(parents=True)
    net = random_adm(mult=(1, 1, 2, 2, 4, 4), head=64, **config)
    torch.save(net.state_dict(), folder / "of-authors.pt")
    del net
    convert(folder / "of-authors.pt", folder / "converted", 256)
    (folder / "of-authors.pt").unlink()
    for part in (folder / "converted").iterdir():
        part.rename(folder / part.name)
    (folder / "converted").rmdir()


FULL = {
    "google/ddpm-celebahq-256": celebahq,
    "CompVis/ldm-celebahq-256": ldm,
    "CompVis/stable-diffusion-v1-4": stable_diffusion,
    "P2 weighting, 256 px": partial(authors, width=128, layers=1, attention=(16,)),
    "ADM, ImageNet 256, unconditional": partial(authors, width=256, attention=(8, 16, 32)),
}


class Took(NamedTuple):
    """Seconds, and bytes of memory at most above those before."""

    seconds: float
    memory: int


@contextmanager
def measured(found: list):
    """Appends what the block took."""
    own, done = psutil.Process(), threading.Event()
    before, start = own.memory_info().rss, time.perf_counter()
    most = [before]

    def watch():
        while not done.wait(0.01):
            most[0] = max(most[0], own.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    yield
    done.set()
    thread.join()
    found.append(Took(time.perf_counter() - start, most[0] - before))


def row(name: str, folder: Path, precision: str, threads: int) -> str:
    """Load, estimate, encode and decode: a row of the table."""
    torch.set_num_threads(threads)
    took: list[Took] = []
    reads = "stable-diffusion" in name
    with measured(took):
        model = load(folder, prompt="a red house" if reads else "", precision=precision)
    said = cost(model)
    g = Sampler(model, eta=1.0, schedule=Schedule.of(model.alpha_bar, [500]))
    pictures = randn(1, *model.picture_shape).clamp(-1, 1)
    with torch.no_grad():
        x = model.latents(pictures)
        with measured(took):
            z = g.encode(x)
        with measured(took):
            back = g.decode(z)
        with measured(took):
            model.pictures(back)
    loaded, _, passed, shown = took
    codec = "–" if model.codec is None else f"{size(shown.memory)}, {shown.seconds:.1f} s"
    return " | ".join([
        f"| {name}", f"{loaded.seconds:.0f} s, {size(loaded.memory)}", size(said.weights),
        f"{size(said.image)}, {said.seconds:.1f} s", f"{size(passed.memory)}, {passed.seconds:.1f} s",
        codec, f"{(back - x).abs().max():.0e} |",
    ])  # fmt: skip


HEAD = """| configuration | loading | weights | a pass: estimated | measured | codec | comes back to |
|---|---|---|---|---|---|---|"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names; by default all")
    parser.add_argument("--precision", default="float32", help="or bfloat16")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    print(HEAD, flush=True)
    for name, make in FULL.items():
        if args.names and not any(part in name for part in args.names):
            continue
        home = Path(tempfile.mkdtemp())
        try:
            with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
                pool.submit(make, home / "there").result()
                asked = name, home / "there", args.precision, args.threads
                print(pool.submit(row, *asked).result(), flush=True)
        finally:
            shutil.rmtree(home)


if __name__ == "__main__":
    main()
