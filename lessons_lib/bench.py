"""`python -m lessons_lib.bench`: speed on this machine, as ratios on one network, in one run.

Each ratio is measured as interleaved pairs A, B, A, B, …, so that whatever else the machine does
falls on both; the median of the pairs' ratios is printed, with the smallest and the largest.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch

from . import _torchvision  # noqa: F401
from .asyrp import Asyrp
from .checkpoints import CheckpointError, load
from .code import Eps, plain
from .denoisers import UNet, predict
from .directions import new_f_t
from .editing import text_edit
from .sampler import Sampler
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
    for batch in (1, 8, 32):
        matmul_share(model, batch, args.repeats)
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


def _pipeline(model: UNet):
    """diffusers' DDIMPipeline around the same network."""
    from diffusers.pipelines.ddim.pipeline_ddim import DDIMPipeline
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    class WithLabels(torch.nn.Module):
        """The pipeline knows no labels: give the network 0, 'no condition', as ours does."""

        config, dtype, device = model.net.config, model.net.dtype, model.net.device

        def forward(self, x, t):
            labels = torch.zeros(len(x), dtype=torch.int64, device=x.device)
            return model.net(x, t, labels if model.net.class_embedding is not None else None)

    class Pipeline(DDIMPipeline):
        """The same loop around a module that is not saved."""

        def __init__(self, unet, scheduler):
            super(DDIMPipeline, self).__init__()
            self.unet, self.scheduler = unet, scheduler

        _execution_device = model.net.device

        def maybe_free_model_hooks(self):
            pass

    scheduler = DDIMScheduler(
        len(model.alpha_bar),
        trained_betas=_betas(model),
        clip_sample=False,
        timestep_spacing="trailing",
        prediction_type=model.prediction,
    )
    pipeline = Pipeline(WithLabels(), scheduler)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


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


def cycle_pipeline(model: UNet, unet=None, prediction: str | None = None, **scheduler):
    """diffusers' CycleDiffusionPipeline around the model's own codec, texts and network.

    unet: a module in the network's place; prediction: what it answers with, as `UNet.prediction`.
    scheduler: options of its DDIMScheduler, whose last step ends at the first ᾱ unless they say otherwise.
    """
    from diffusers import CycleDiffusionPipeline, DDIMScheduler

    options = {"set_alpha_to_one": False, "prediction_type": prediction or model.prediction}
    pipeline = CycleDiffusionPipeline(
        model.codec.net,
        model.prompts.net,
        model.prompts.tokenizer,
        model.net,
        DDIMScheduler(
            len(model.alpha_bar),
            trained_betas=_betas(model),
            clip_sample=False,
            steps_offset=1,
            **options | scheduler,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    if unet is not None:
        pipeline.unet = unet
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _betas(model: UNet):
    a = torch.cat([torch.ones(1, dtype=torch.float64), model.alpha_bar.double().cpu()])
    return (1 - a[1:] / a[:-1]).numpy()


def matmul_share(model: UNet, batch: int, repeats: int, side: int = 2048) -> None:
    """The network's FLOP/s as a share of a large float32 matrix product's on the same machine."""
    from torch.utils.flop_counter import FlopCounterMode

    where = model.device
    x = torch.randn(batch, *model.shape).to(where)
    a, b = (torch.randn(side, side, device=where) for _ in range(2))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x, 500)
    times = (counter.get_total_flops() / (2 * side**3) / r for r in
             ratios(lambda: model(x, 500), lambda: a @ b, repeats))  # fmt: skip
    show(f"network at batch {batch} / matmul, FLOP/s", sorted(times), "of the rate", percent=True)


@torch.no_grad()
def ratios(first: Callable, second: Callable, repeats: int) -> list[float]:
    """time(first) / time(second) of interleaved pairs, sorted; one pair goes before, unmeasured."""
    first(), second()
    pairs = [(seconds(first), seconds(second)) for _ in range(repeats)]
    return sorted(a / b for a, b in pairs)


def seconds(call: Callable, least: float = 0.1) -> float:
    """Time of one call, averaged over at least `least` seconds."""
    start, count = time.perf_counter(), 0
    while count == 0 or time.perf_counter() - start < least:
        call()
        count += 1
        if torch.cuda.is_available():
            torch.cuda.synchronize()
    return (time.perf_counter() - start) / count


def show(what: str, values: list[float], meaning: str, percent: bool = False) -> None:
    """One line: the median and the spread."""
    form = "{:.0%} [{:.0%}, {:.0%}]" if percent else "{:.2f} [{:.2f}, {:.2f}]"
    print(
        f"  {what:45} {form.format(median(values), values[0], values[-1])}  {meaning}", flush=True
    )


if __name__ == "__main__":
    main()
