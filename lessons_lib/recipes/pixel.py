"""Train a pixel-space diffusion network on a world.

v-prediction (Salimans & Ho 2022, Appendix D) on `pixel_unshuffle`d images: the unshuffle only
permutes pixels, so the noise stays white and no equation changes, while the network works at half
the resolution with four times the channels. ε-prediction needs far longer: at t=999 an error in ε
is multiplied by sqrt(1-ᾱ)/sqrt(ᾱ) = 157 in the predicted image.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from .. import _torchvision  # noqa: F401
from ..worlds import TRAIN_SEEDS, WORLDS, World

CHUNK = 8192  # pictures rendered, cached and added to the pool at a time


@dataclass(frozen=True)
class Recipe:
    """One training run; everything here goes into the checkpoint's card."""

    name: str
    world: str
    size: int = 32
    unshuffle: int = 2
    channels: tuple[int, ...] = (64, 128, 192)
    attention: tuple[int, ...] = (1, 2)  # levels, counted from the finest
    images: int = 1_000_000  # pictures seen, with repetition
    pool: int = 98_304  # distinct pictures
    batch: int = 64
    learning_rate: float = 4e-4
    warmup: int = 300  # steps
    cooldown: float = 0.3  # share of the run in which the rate falls linearly to zero
    ema: float = 0.999
    label: str = "glasses"  # factor whose two halves are the network's conditions 1 and 2; 0 is none
    unlabelled: float = 0.5  # share of the batch trained without a condition
    seed: int = 0


def network(recipe: Recipe):
    """diffusers' UNet2DModel on (B, 3u², size/u, size/u)."""
    from diffusers.models.unets.unet_2d import UNet2DModel

    levels = range(len(recipe.channels))
    down = ["AttnDownBlock2D" if i in recipe.attention else "DownBlock2D" for i in levels]
    up = ["AttnUpBlock2D" if i in recipe.attention else "UpBlock2D" for i in reversed(levels)]
    torch.manual_seed(recipe.seed)
    return UNet2DModel(
        sample_size=recipe.size // recipe.unshuffle,
        in_channels=3 * recipe.unshuffle**2,
        out_channels=3 * recipe.unshuffle**2,
        layers_per_block=1,
        block_out_channels=recipe.channels,
        down_block_types=down,
        up_block_types=up,
        attention_head_dim=32,
        num_class_embeds=3,
    )


def scheduler():
    """The schedule that is trained on and saved: linear β 1e-4…0.02 over 1,000 steps."""
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    return DDIMScheduler(1000, prediction_type="v_prediction", clip_sample=False)


def learning_rate(recipe: Recipe, step: int) -> float:
    """Warm-up, constant, then linearly down to zero at the last step."""
    last = recipe.images // recipe.batch
    up, down = (step + 1) / recipe.warmup, (last - step) / (recipe.cooldown * last)
    return recipe.learning_rate * max(0.0, min(1.0, up, down))


def chunk(world: World, size: int, index: int, folder: Path) -> Tensor:
    """The pool's chunk `index`, (CHUNK, 3, size, size) uint8, rendered once and cached."""
    path = folder / f"{world.name}-{size}-{index}.pt"
    if not path.exists():
        parts = [
            world.sample(512, TRAIN_SEEDS + index * CHUNK + i, size).image
            for i in range(0, CHUNK, 512)
        ]
        pixels = ((torch.cat(parts) + 1) * 127.5).round().byte()
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(pixels, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").rename(path)
    return torch.load(path, weights_only=True)


def labels(recipe: Recipe, index: int) -> Tensor:
    """Conditions of the chunk's pictures, (CHUNK,): 1 below the middle of the factor, 2 above."""
    world = WORLDS[recipe.world]
    factor = next(f for f in world.factors if f.name == recipe.label)
    seeds = range(TRAIN_SEEDS + index * CHUNK, TRAIN_SEEDS + (index + 1) * CHUNK, 512)
    values = torch.cat([world.sample_factors(512, s)[factor.name] for s in seeds])
    return 1 + (values > (factor.low + factor.high) / 2).long()


def noisy_pair(recipe: Recipe, x: Tensor, alpha_bar: Tensor, gen: torch.Generator):
    """A noised batch x_t, its t, and the target v = √ᾱ ε - √(1-ᾱ) x."""
    t = torch.randint(0, len(alpha_bar), (len(x),), generator=gen)
    eps = torch.randn(x.shape, generator=gen)
    a = alpha_bar[t].view(-1, 1, 1, 1)
    return a.sqrt() * x + (1 - a).sqrt() * eps, t, a.sqrt() * eps - (1 - a).sqrt() * x


def train(recipe: Recipe, folder: Path, device: str = "cpu", save_every: float = 180.0):
    """Train, or go on where `folder` left off; returns (EMA network, loss curve, images seen).

    The state is saved every `save_every` seconds. Another `images` on resuming moves the cool-down.
    """
    from diffusers.training_utils import EMAModel

    world, net, alpha_bar = WORLDS[recipe.world], network(recipe).to(device), scheduler().alphas_cumprod
    ema = EMAModel(net.parameters(), decay=recipe.ema, use_ema_warmup=True, power=0.75)
    optimizer = torch.optim.AdamW(net.parameters(), recipe.learning_rate, weight_decay=0.0)
    step, curve, state = 0, [], folder / "state.pt"
    if state.exists():
        saved = torch.load(state, map_location=device, weights_only=True)
        net.load_state_dict(saved["net"])
        ema.load_state_dict(saved["ema"])
        optimizer.load_state_dict(saved["optimizer"])
        step, curve = saved["step"], saved["curve"]
    compiled, pool, kinds, last = torch.compile(net), [], [], recipe.images // recipe.batch
    saved_at, running = time.monotonic(), []
    for step in tqdm(range(step, last), initial=step, total=last, desc=recipe.name, mininterval=10):
        wanted = min(recipe.pool, step * recipe.batch + CHUNK) // CHUNK
        while len(pool) < max(1, wanted):
            kinds.append(labels(recipe, len(pool)))
            pool.append(chunk(world, recipe.size, len(pool), folder / "pool"))
        gen = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        pick = torch.randint(0, len(pool) * CHUNK, (recipe.batch,), generator=gen).tolist()
        pixels = torch.stack([pool[i // CHUNK][i % CHUNK] for i in pick]).float() / 127.5 - 1
        kind = torch.stack([kinds[i // CHUNK][i % CHUNK] for i in pick])
        kind = kind * (torch.rand(recipe.batch, generator=gen) >= recipe.unlabelled)
        x = F.pixel_unshuffle(pixels, recipe.unshuffle)
        x_t, t, v = (tensor.to(device) for tensor in noisy_pair(recipe, x, alpha_bar, gen))
        with torch.autocast(device, torch.bfloat16):
            predicted = compiled(x_t, t, kind.to(device)).sample
        loss = F.mse_loss(predicted.float(), v)
        optimizer.param_groups[0]["lr"] = learning_rate(recipe, step)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        ema.step(net.parameters())
        running.append(loss.detach())
        if len(running) == 200:
            curve.append([(step + 1) * recipe.batch, torch.stack(running).mean().item()])
            running = []
        if time.monotonic() - saved_at > save_every or step + 1 == last:
            folder.mkdir(parents=True, exist_ok=True)
            parts = {"net": net, "ema": ema, "optimizer": optimizer}
            content = {name: part.state_dict() for name, part in parts.items()}
            torch.save(content | {"step": step + 1, "curve": curve}, state.with_suffix(".tmp"))
            state.with_suffix(".tmp").rename(state)
            saved_at = time.monotonic()
    ema.copy_to(net.parameters())
    return net.eval(), curve, (step + 1) * recipe.batch


def export(recipe: Recipe, net, curve: list, images: int, target: Path) -> None:
    """Save as diffusers saves: fp16 safetensors, scheduler, and a card with the recipe."""
    net.half().save_pretrained(target / "unet", safe_serialization=True)
    scheduler().save_pretrained(target / "scheduler")
    card = {"recipe": asdict(recipe), "images_seen": images, "loss_curve": curve}
    (target / "card.json").write_text(json.dumps(card, indent=1))
