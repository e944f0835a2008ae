"""The loop that trains every network: resumable, warm-startable, on any device that accelerate knows."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from tqdm import tqdm

from .. import _torchvision  # noqa: F401
from ..cards import card_if_any
from ..checkpoints import find
from ..devices import half_is_fast
from ..paths import whole
from ..worlds import WORLDS

CURVE = 200  # steps between two entries of the loss curve


@dataclass(frozen=True)
class Recipe:
    """One training run; everything here goes into the checkpoint's card.

    Each kind of network says in a subclass what it is made of (`network`), where its batches come
    from (`data`), what it is trained for (`loss`), how it is saved (`save`), and which weights a
    checkpoint of its kind holds (`weights`). Here all five raise NotImplementedError.
    """

    name: str
    images: int = 1_000_000  # pictures seen, with repetition
    pool: int = 98_304  # distinct pictures of each world
    batch: int = 64
    learning_rate: float = 4e-4
    beta1: float = 0.9  # Adam's memory of the gradient
    warmup: int = 300  # steps
    held: int = 0  # steps in which, if a warm start brings only parts, those do not learn
    cooldown: float = 0.3  # share of the run in which the rate falls linearly to zero
    ema: float = 0.999  # decay of the averaged weights, which are those that are saved
    weight_decay: float = 0.0
    seed: int = 0
    compiled: bool = True  # by torch.compile

    def learns(self) -> tuple[str, ...]:
        """The worlds whose pictures it is shown."""
        return tuple(sorted(WORLDS))

    def network(self) -> nn.Module:
        raise NotImplementedError

    def data(self, pools: Path):
        """A function of (pictures seen, pictures wanted, generator) that gives a batch's tensors."""
        raise NotImplementedError

    def loss(self, net: nn.Module, *batch: Tensor) -> Tensor:
        """A number, for a batch as `data` gives it."""
        raise NotImplementedError

    def save(self, net: nn.Module, target: Path) -> None:
        raise NotImplementedError

    def weights(self, name: str) -> dict[str, Tensor]:
        raise NotImplementedError


def learning_rate(recipe: Recipe, step: int) -> float:
    """Warm-up, constant, then linearly down to zero at the last step."""
    last = recipe.images // recipe.batch
    up, down = (step + 1) / recipe.warmup, (last - step) / (recipe.cooldown * last)
    return recipe.learning_rate * max(0.0, min(1.0, up, down))


def accelerator(device: str = "cpu", compiled: bool = True):
    """Hugging Face's Accelerator: bf16 autocast where that is fast, torch.compile, all launched processes."""
    from accelerate import Accelerator

    backend = "inductor" if compiled else "no"
    return Accelerator(
        cpu=device == "cpu", mixed_precision=mixed_precision(device), dynamo_backend=backend
    )


def mixed_precision(device: str) -> str:
    """accelerate's word for the precision that networks are trained in."""
    return "bf16" if half_is_fast(device) else "no"


def attention(device: torch.device):
    """On CPU, attention without the flash kernel, whose backward pass is slow there."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


def check_gradients(net: nn.Module) -> None:
    """Raises RuntimeError if half of the parameters that learn get no gradient.

    The compiler can lose them silently, as torch 2.13 does on CPU in diffusers' AutoencoderKL and
    UNet2DConditionModel.
    """
    grads = [p.grad for p in net.parameters() if p.requires_grad]
    silent = sum(g is None or not g.any().item() for g in grads)
    if 2 * silent >= len(grads):
        raise RuntimeError(
            f"{silent} of {len(grads)} parameters got no gradient in the first step; "
            "set compiled=False in the recipe, or look for what cuts the graph."
        )


@dataclass
class Run:
    """A training under way: everything that is saved, and from which it goes on."""

    recipe: Recipe
    net: nn.Module
    ema: object
    optimizer: torch.optim.Optimizer
    step: int
    seconds: float
    curve: list  # [pictures seen, mean loss since the last entry]
    began_from: str = ""
    earlier: dict = field(default_factory=dict)  # what `began_from`'s card said of its training
    parts: list = field(default_factory=list)  # names of what it brought, if that was not all
    losses: list = field(default_factory=list)  # since the curve's last entry

    @classmethod
    def resume(cls, recipe: Recipe, folder: Path, device="cpu", warm_start: str = "") -> Run:
        """The run that `folder` holds, or a new one, from another checkpoint's weights if named.

        warm_start: a checkpoint of the same kind of network: an embedded name, a folder or a hub id. A
        recipe that holds parts needs one, or ValueError; and so for a `folder` that holds a run of a recipe
        that differs in more than `images`, or one that began from another checkpoint.
        """
        from diffusers.training_utils import EMAModel

        torch.manual_seed(recipe.seed)
        net = recipe.network().to(device)
        fresh = not (folder / "state.pt").exists()
        if recipe.held and fresh and not warm_start:
            raise ValueError(
                f"{recipe.name} is grown around a smaller network: train that first, by the recipe "
                f"{recipe.name}-half with --out FOLDER, then give --warm-start FOLDER/{recipe.name}-half."
            )
        parts = []
        if warm_start and fresh:
            brought, own = recipe.weights(warm_start), net.state_dict()
            net.load_state_dict(own | brought if recipe.held else brought)
            parts = list(brought) if len(brought) < len(own) else []
        ema = EMAModel(
            net.parameters(), decay=recipe.ema, use_ema_warmup=True, power=0.75, foreach=True
        )
        optimizer = torch.optim.AdamW(
            net.parameters(),
            recipe.learning_rate,
            betas=(recipe.beta1, 0.999),
            weight_decay=recipe.weight_decay,
            fused=True,
        )
        run = cls(
            recipe, net, ema, optimizer, 0, 0.0, [], str(warm_start), training_of(warm_start), parts
        )
        if not fresh:
            saved = torch.load(folder / "state.pt", map_location=device, weights_only=True)
            check_same(saved, recipe, warm_start, folder)
            for name in ("net", "ema", "optimizer"):
                getattr(run, name).load_state_dict(saved[name])
            run.step, run.seconds, run.curve = saved["step"], saved["seconds"], saved["curve"]
            for name in ("began_from", "earlier", "parts", "losses"):
                setattr(run, name, saved.get(name, getattr(run, name)))
        return run

    def save(self, folder: Path) -> None:
        """Write the state; a kill in the middle leaves the last one whole."""
        folder.mkdir(parents=True, exist_ok=True)
        states = {name: getattr(self, name).state_dict() for name in ("net", "ema", "optimizer")}
        names = ("step", "seconds", "curve", "began_from", "earlier", "parts", "losses")
        plain = {name: getattr(self, name) for name in names} | {"of": made_of(self.recipe)}
        with whole(folder / "state.pt") as part:
            torch.save(states | plain, part)


def made_of(recipe: Recipe) -> dict:
    """What a run's result depends on, but for the number of pictures and what it began from."""
    worlds = {f"the world {name}": WORLDS[name].version for name in recipe.learns()}
    return {k: v for k, v in asdict(recipe).items() if k != "images"} | worlds


def check_same(saved: dict, recipe: Recipe, warm_start: str | Path, folder: Path) -> None:
    """Raises ValueError if a saved run is of another recipe, or began from another checkpoint than named.

    A run that an older version saved says nothing of its recipe, and goes on.
    """
    now, then = made_of(recipe), saved.get("of", made_of(recipe))
    if warm_start:
        now, then = (
            now | {"warm start": str(warm_start)},
            then | {"warm start": saved.get("began_from", "")},
        )
    if other := sorted(k for k in now | then if now.get(k) != then.get(k)):
        raise ValueError(
            f"{folder} holds a run with another {', '.join(other)} ({then.get(other[0])!r}, not "
            f"{now.get(other[0])!r}): delete that folder to begin anew."
        )


def training_of(checkpoint: str | Path) -> dict:
    """What a checkpoint's card says of its training; {} for none, or one without a card."""
    said = card_if_any(find(checkpoint)) if checkpoint else {}
    kept = ("recipe", "training_seconds", "loss_curve", "began_from", "earlier")
    return {name: said[name] for name in kept if name in said}


def train(run: Run, folder: Path, machine, save_every: float = 180.0) -> None:
    """Train until the recipe's number of pictures; the state is saved every `save_every` seconds.

    A resumed run sees the same batches and noise as one that was never stopped. Another `images` than before
    moves the cool-down. Raises RuntimeError as `check_gradients`.
    """
    recipe, since = run.recipe, time.monotonic()
    draw = recipe.data(folder.parent / "pools")
    net, optimizer = machine.prepare(run.net, run.optimizer)
    net.train()
    each, last = recipe.batch // machine.num_processes, recipe.images // recipe.batch
    bar = tqdm(range(run.step, last), recipe.name, last, initial=run.step, mininterval=10)
    for step in bar:
        seed = (recipe.seed * 1_000_003 + step) * machine.num_processes + machine.process_index
        gen = torch.manual_seed(seed)  # the global one: some losses draw noise too
        batch = [part.to(machine.device) for part in draw(step * recipe.batch, each, gen)]
        with machine.autocast(), attention(machine.device):
            loss = recipe.loss(net, *batch)
        run.optimizer.param_groups[0]["lr"] = learning_rate(recipe, step)
        machine.backward(loss)
        if run.step == bar.initial:
            check_gradients(net)
        if step < recipe.held:
            for name, parameter in run.net.named_parameters():
                parameter.grad = None if name in run.parts else parameter.grad
        machine.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        run.ema.step(run.net.parameters())
        run.step, run.losses = step + 1, [*run.losses, loss.item()]
        if run.step % CURVE == 0:
            run.curve.append([run.step * recipe.batch, sum(run.losses) / len(run.losses)])
            run.losses = []
            bar.set_postfix(loss=f"{run.curve[-1][1]:.4f}")
        if time.monotonic() - since > save_every or run.step == last:
            run.seconds, since = run.seconds + time.monotonic() - since, time.monotonic()
            if machine.is_main_process:
                run.save(folder)
