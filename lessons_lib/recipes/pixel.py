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

from .. import _torchvision, plots  # noqa: F401
from ..checkpoints import digest, load
from ..sampler import Sampler
from ..schedule import noised
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
    label: str = (
        "glasses"  # factor whose two halves are the network's conditions 1 and 2; 0 is none
    )
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


def noisy_pair(x: Tensor, alpha_bar: Tensor, gen: torch.Generator):
    """A noised batch x_t, its t, and the target v = √ᾱ ε - √(1-ᾱ) x."""
    t = torch.randint(0, len(alpha_bar), (len(x),), generator=gen)
    eps = torch.randn(x.shape, generator=gen)
    a = alpha_bar[t].view(-1, 1, 1, 1)
    return noised(x, eps, a), t, a.sqrt() * eps - (1 - a).sqrt() * x


@dataclass
class Run:
    """A training under way: everything that is saved, and from which it goes on."""

    recipe: Recipe
    net: torch.nn.Module
    ema: object
    optimizer: torch.optim.Optimizer
    step: int
    seconds: float
    curve: list  # [pictures seen, mean loss since the last entry]

    @classmethod
    def resume(cls, recipe: Recipe, folder: Path, device: str = "cpu", warm_start="") -> Run:
        """The run that `folder` holds, or a new one, from another checkpoint's weights if named.

        warm_start: what `load` takes: an embedded name, a folder or a hub id of the same network.
        """
        from diffusers.training_utils import EMAModel

        net = network(recipe).to(device)
        if warm_start:
            net.load_state_dict(load(warm_start).net.state_dict())
        ema = EMAModel(
            net.parameters(), decay=recipe.ema, use_ema_warmup=True, power=0.75, foreach=True
        )
        optimizer = torch.optim.AdamW(
            net.parameters(), recipe.learning_rate, weight_decay=0.0, fused=True
        )
        run = cls(recipe, net, ema, optimizer, 0, 0.0, [])
        if (folder / "state.pt").exists():
            saved = torch.load(folder / "state.pt", map_location=device, weights_only=True)
            for name in ("net", "ema", "optimizer"):
                getattr(run, name).load_state_dict(saved[name])
            run.step, run.seconds, run.curve = saved["step"], saved["seconds"], saved["curve"]
        return run

    def save(self, folder: Path) -> None:
        """Write the state; a kill in the middle leaves the last one whole."""
        folder.mkdir(parents=True, exist_ok=True)
        parts = {name: getattr(self, name).state_dict() for name in ("net", "ema", "optimizer")}
        plain = {"step": self.step, "seconds": self.seconds, "curve": self.curve}
        torch.save(parts | plain, folder / "state.tmp")
        (folder / "state.tmp").rename(folder / "state.pt")


def batch(recipe: Recipe, step: int, pool: list[Tensor], kinds: list[Tensor]):
    """The pictures (B, 3u², H/u, W/u) and labels (B,) of a step, and its random generator."""
    gen = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
    pick = torch.randint(0, len(pool) * CHUNK, (recipe.batch,), generator=gen).tolist()
    pixels = torch.stack([pool[i // CHUNK][i % CHUNK] for i in pick]).float() / 127.5 - 1
    kind = torch.stack([kinds[i // CHUNK][i % CHUNK] for i in pick])
    kind = kind * (torch.rand(recipe.batch, generator=gen) >= recipe.unlabelled)
    return F.pixel_unshuffle(pixels, recipe.unshuffle), kind, gen


def train(run: Run, folder: Path, device: str = "cpu", save_every: float = 180.0) -> None:
    """Train until the recipe's number of pictures; the state is saved every `save_every` seconds.

    A resumed run sees the same batches as one that was never stopped. Another `images` than before
    moves the cool-down.
    """
    recipe, world = run.recipe, WORLDS[run.recipe.world]
    compiled, alpha_bar = torch.compile(run.net), scheduler().alphas_cumprod
    pool, kinds, losses, since = [], [], [], time.monotonic()
    last = recipe.images // recipe.batch
    for step in tqdm(range(run.step, last), recipe.name, last, initial=run.step, mininterval=10):
        while len(pool) * CHUNK < min(recipe.pool, step * recipe.batch + 1):
            kinds.append(labels(recipe, len(pool)))
            pool.append(chunk(world, recipe.size, len(pool), folder / "pool"))
        x, kind, gen = batch(recipe, step, pool, kinds)
        x_t, t, v = (tensor.to(device) for tensor in noisy_pair(x, alpha_bar, gen))
        with torch.autocast(device, torch.bfloat16):
            predicted = compiled(x_t, t, kind.to(device)).sample
        loss = F.mse_loss(predicted.float(), v)
        run.optimizer.param_groups[0]["lr"] = learning_rate(recipe, step)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(run.net.parameters(), 1.0)
        run.optimizer.step()
        run.optimizer.zero_grad()
        run.ema.step(run.net.parameters())
        run.step, losses = step + 1, [*losses, loss.item()]
        if run.step % 200 == 0:
            run.curve.append([run.step * recipe.batch, sum(losses) / len(losses)])
            losses = []
        if time.monotonic() - since > save_every or run.step == last:
            run.seconds, since = run.seconds + time.monotonic() - since, time.monotonic()
            run.save(folder)


def export(run: Run, target: Path) -> None:
    """Save as diffusers saves, fp16 safetensors, with a card and a sheet of uncurated samples.

    The card holds the recipe, the loss curve and each file's SHA-256.
    """
    recipe, net = run.recipe, run.net
    run.ema.copy_to(net.parameters())
    net.cpu().half().save_pretrained(target / "unet", safe_serialization=True)
    scheduler().save_pretrained(target / "scheduler")
    files = sorted(p for p in target.rglob("*") if p.parent != target and p.is_file())
    card = {
        "world": recipe.world,
        "recipe": asdict(recipe) | {"images": run.step * recipe.batch},
        "parameters": sum(p.numel() for p in net.parameters()),
        "training_seconds": round(run.seconds),
        "loss_curve": [[seen, round(loss, 5)] for seen, loss in run.curve],
        "files": {p.relative_to(target).as_posix(): digest(p) for p in files},
    }
    (target / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    g = Sampler(load(target), steps=50)
    samples = g.decode(g.draw(64, seed=0)).float()
    data = WORLDS[recipe.world].sample(64, seed=0, size=recipe.size).image
    sheets = [plots.sheet(part, scale=max(1, 64 // recipe.size)) for part in (samples, data)]
    gap = torch.ones(3, sheets[0].shape[1], 12)
    plots.save(torch.cat([sheets[0], gap, sheets[1]], 2), target / "sheet.png")
