"""`python -m lessons_lib.bench`: speed on this machine, as ratios on one network, in one run.

Each ratio is measured as interleaved pairs A, B, A, B, …, so that whatever else the machine does
falls on both; the median of the pairs' ratios is printed, with the smallest and the largest.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import torch
import torch.nn.functional as F
from torch import Tensor

from . import _torchvision  # noqa: F401
from .cards import CheckpointError
from .checkpoints import load
from .code import Eps, plain
from .denoisers import predict
from .judges.peers import _pipeline, cycle_pipeline
from .judges.timing import ratios, seconds, show
from .methods.asyrp import Asyrp
from .methods.editing import text_edit
from .methods.memory import frugal
from .methods.training import new_f_t
from .models.unet import UNet
from .sampler import Sampler, final
from .schedule import Schedule, trailing


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(prog="python -m lessons_lib.bench", description=__doc__)
    parser.add_argument("--checkpoint", default="faces", help="embedded name, folder or hub id")
    parser.add_argument(
        "--text-checkpoint", default="t2i", help="one that reads text, to edit with"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = load(args.checkpoint, args.device)
    if not isinstance(model, UNet):
        raise SystemExit(f"{args.checkpoint} is an exact model: give one with a network.")
    parameters = sum(p.numel() for p in model.net.parameters()) / 1e6
    print(
        f"{args.checkpoint!r}, {parameters:.1f} M parameters, {tuple(model.shape)} images, float32"
    )
    print(f"{args.device}, {torch.get_num_threads()} threads, torch {torch.__version__}; "
          f"{args.steps} steps; median of {args.repeats} pairs [smallest, largest]")  # fmt: skip
    encoding(model, args.steps, args.repeats)
    for batch in (1, 8):
        sampling(model, args.steps, batch, args.repeats)
    for batch in (1, 8):
        asyrp(model, batch, args.repeats)
    for batch in (1, 8):
        forms(model, batch, args.repeats)
    if args.device == "cpu":
        backwards(args.checkpoint, args.threads)
    known = quickest(known_work(model.device))
    for batch in (1, 8, 32):
        rate_share(model, batch, args.repeats, *known)
    try:
        painter = load(args.text_checkpoint, args.device)
    except CheckpointError as error:
        print(f"  text editing was not measured: {error}")
    else:
        text_editing(painter, args.steps, 8, args.repeats)


def encoding(model: UNet, steps: int, repeats: int) -> None:
    """One image: all steps of the encoder in batches against one step at a time."""
    sampler = Sampler(model, steps, eta=1.0)
    x = torch.rand((1, *model.shape), generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = ratios(lambda: sampler.encode(x, at_once=1), lambda: sampler.encode(x), repeats)
    show("encode, one step at a time / batched over t", found, "above 1: batching is faster")


def sampling(model: UNet, steps: int, batch: int, repeats: int) -> None:
    """Ours against diffusers' pipeline on the same network, times, noise and state's precision."""
    theirs = _pipeline(model)
    schedule = Schedule.of(model.alpha_bar, trailing(len(model.alpha_bar), steps))
    sampler = Sampler(model, schedule=schedule)
    z = sampler.draw(batch, seed=0)

    def pipeline():
        gen = torch.Generator().manual_seed(0)
        return theirs(batch, gen, eta=0.0, num_inference_steps=steps, output_type="pt").images

    found = ratios(lambda: sampler.decode(z), pipeline, repeats)
    show(f"sample {batch}, ours / DDIMPipeline (with label 0)", found, "below 1: ours is faster")


@torch.no_grad()
def asyrp(model: UNet, batch: int, repeats: int) -> None:
    """An asymmetric step by f_t against a plain step, inside and outside the interval, and against
    two whole passes, as the step is without a shared encoder."""
    sampler = Sampler(model, 2)
    z = sampler.draw(batch, seed=0)
    edit = Asyrp.of(new_f_t(sampler, z), 999, 500)
    x = z.x_T

    def step(i: int, edit=plain):
        return lambda: sampler.step(x, i, edit=edit)

    def two_passes(model, x, t, cond=None):
        return Eps(alone(model, x, t).P, *predict(model, x, t)[:2])

    def alone(model, x, t, cond=None):
        b = model.encode(x, t)
        eps = model.decode(b, edit.shift(b, t))
        return Eps(eps, eps, b.h)

    for where, i, most in (("inside", 0, 1.75), ("outside", 1, 1.02)):
        found = ratios(step(i, edit), step(i), repeats)
        show(f"asyrp step {where}, batch {batch} / plain step", found, f"at most {most}")
    found = ratios(step(0, two_passes), step(0, edit), repeats)
    show(f"two whole passes, batch {batch} / asyrp step", found, "at least 1.15")


def forms(model: UNet, batch: int, repeats: int) -> None:
    """One pass: with the channels last against the other layout, and in bfloat16 against float32."""
    x = torch.randn(batch, *model.shape).to(model.device)
    last, first, half = (copy.deepcopy(model) for _ in range(3))
    last.net.to(memory_format=torch.channels_last)
    first.net.to(memory_format=torch.contiguous_format)
    half.to(torch.bfloat16)
    found = ratios(lambda: last(x, 500), lambda: first(x, 500), repeats)
    show(f"pass of {batch}, channels last / first", found, "below 1: last is faster")
    found = ratios(lambda: half(x, 500), lambda: model(x, 500), repeats)
    show(f"pass of {batch}, bfloat16 / float32", found, "below 1: bfloat16 is faster")


def backwards(name: str, threads: int, steps: int = 25, kept: int = 8) -> None:
    """The slope of a picture in its code through `steps` steps: the memory and time of a backward pass that
    keeps `kept` of them, over those of a plain one. Each in a process of its own, whose peak is measured."""
    found = {}
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        for spared in (True, False) * 3:
            one = pool.submit(_slope, name, threads, steps, kept if spared else steps).result()
            found.setdefault(spared, []).append(one)
    for i, (what, most) in enumerate((("memory", 0.4), ("time", 1.5))):
        shares = sorted(a[i] / b[i] for a, b in zip(found[True], found[False], strict=True))
        show(f"slope through {steps} steps, {kept} kept / plain, {what}", shares, f"at most {most}")


def _slope(name: str, threads: int, steps: int, kept: int) -> tuple[float, float]:
    """(bytes above those of a pass without a slope, seconds) of one slope of four pictures."""
    import resource

    torch.set_num_threads(threads)
    g = Sampler(load(name), steps, 1.0)
    z, times = g.draw(4, seed=0), g.schedule.t.tolist()
    edit = plain if kept == steps else frugal(plain, kept, times)
    g.decode(z)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    x_T = z.x_T.clone().requires_grad_()
    final(g.walk(x_T, z.noise, 0, edit)).x_to.square().sum().backward()
    spent = time.perf_counter() - start
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, spent


def text_editing(model: UNet, steps: int, batch: int, repeats: int) -> None:
    """Per image, CycleDiffusion on a batch against diffusers' pipeline, with the same guidance and T_es.

    The pipeline edits one image at a time: with guidance, a batch comes out silently wrong.
    """
    pipeline = cycle_pipeline(model)
    size = model.picture_shape[-1]
    image, texts = torch.rand(batch, 3, size, size, device=model.device), ("a cat", "a dog")

    def ours():
        text_edit(model, 2 * image - 1, *([text] for text in texts), steps=steps, t_es=800)

    def theirs():
        for one in image:
            pipeline(
                source_prompt=texts[0], prompt=texts[1], image=one[None], guidance_scale=2.0,
                source_guidance_scale=2.0, num_inference_steps=steps, strength=0.8,
                output_type="pt",
            )  # fmt: skip

    found = ratios(theirs, ours, repeats)
    show(f"edit {batch} by text, CycleDiffusionPipeline / ours", found, "above 1: ours is faster")


def rate_share(model: UNet, batch: int, repeats: int, name: str, work: Callable) -> None:
    """The network's FLOP/s as a share of the machine's rate: of the quickest of `known_work`, by its name."""
    x = torch.randn(batch, *model.shape).to(model.device)
    own = flops(lambda: model(x, 500)) / flops(work)
    times = sorted(own / r for r in ratios(lambda: model(x, 500), work, repeats))
    show(f"network at batch {batch} / {name}, FLOP/s", times, "of the rate", percent=True)


def known_work(device: torch.device) -> dict[str, Callable[[], Tensor]]:
    """What a machine may be quickest at, in float32: matrix products of several sizes, and a convolution.

    No one of them is the quickest on every processor: beside a slow product a network would seem to
    compute faster than the machine can.
    """
    work = {}
    for side in (256, 512, 1024, 2048):
        a, b = (torch.randn(side, side, device=device) for _ in range(2))
        work[f"matmul {side}"] = partial(torch.matmul, a, b)
    image = torch.randn(8, 128, 32, 32, device=device).to(memory_format=torch.channels_last)
    weight = torch.randn(128, 128, 3, 3, device=device).to(memory_format=torch.channels_last)
    return work | {"convolution": partial(F.conv2d, image, weight, padding=1)}


@torch.no_grad()
def quickest(work: Mapping[str, Callable], tries: int = 3) -> tuple[str, Callable]:
    """The name and the call of most FLOP/s, each at the best of its tries."""
    rate = {k: flops(v) / min(seconds(v) for _ in range(tries)) for k, v in work.items()}
    name = max(rate, key=rate.get)
    return name, work[name]


@torch.no_grad()
def flops(call: Callable) -> int:
    """The floating-point operations of a call, as torch counts them."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


if __name__ == "__main__":
    main()
