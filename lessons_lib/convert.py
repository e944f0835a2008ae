"""From the authors' own weights to a folder that `load` reads: `python -m lessons_lib.convert FILE.pt …`.

FILE holds a state dict of the U-Net of improved DDPM and ADM (Nichol & Dhariwal 2021; Dhariwal & Nichol
2021), which P2-weighted models (Choi et al. 2022) are of too: input_blocks, middle_block, output_blocks,
out, time_embed, perhaps label_emb. What a state dict does not tell must be said: the pictures' size, the
attention heads, and the noise schedule. One that was trained with rescaled timesteps (of T other than
1,000) cannot be told from others, and is not right after conversion.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from .checks import whole
from .paths import part_of
from .weights import tensors_of

# Of a residual block and of an attention block: its modules there, and in diffusers.
RESIDUAL = {
    "in_layers.0": "norm1", "in_layers.2": "conv1", "emb_layers.1": "time_emb_proj", "out_layers.0": "norm2",
    "out_layers.3": "conv2", "skip_connection": "conv_shortcut",
}  # fmt: skip
ENDS = {
    "input_blocks.0.0": "conv_in", "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2", "label_emb": "class_embedding", "out.0": "conv_norm_out",
    "out.2": "conv_out",
}  # fmt: skip
SCHEDULES = {"linear": "linear", "cosine": "squaredcos_cap_v2"}


class Plan(NamedTuple):
    """How a U-Net is built, as far as its state dict tells.

    widths: channels of each level. layers: residual blocks of a level on the way down. attention: whether a
    level has it. resnet: whether pictures are halved and doubled within residual blocks.
    """

    widths: tuple[int, ...]
    layers: int
    attention: tuple[bool, ...]
    resnet: bool
    scale_shift: bool


def plan(state: dict[str, Tensor]) -> Plan:
    """What a state dict's names and shapes tell. Raises ValueError, in one sentence, for another layout."""
    if "out.2.weight" not in state or "middle_block.0.in_layers.0.weight" not in state:
        raise ValueError(
            f"It is not in ADM's layout, as it has {', '.join(list(state)[:3])}, … and no middle_block and "
            "out.2: give the U-Net's own file of guided-diffusion, improved-diffusion or P2-weighting."
        )
    blocks = 1 + max(int(m[1]) for k in state if (m := re.match(r"output_blocks\.(\d+)\.", k)))
    ups = [i for i in range(blocks) if _up(state, i)]
    layers = ups[0] if ups else 0
    if not layers or ups != list(range(layers, blocks - 1, layers + 1)) or blocks % (layers + 1):
        raise ValueError(
            "Its levels cannot be told: it doubles its pictures without learned layers, or has one level."
        )
    levels = blocks // (layers + 1)
    firsts = [1 + level * (layers + 1) for level in range(levels)]
    widths = tuple(len(state[f"input_blocks.{i}.0.out_layers.3.bias"]) for i in firsts)
    if state["time_embed.0.weight"].shape[1] != widths[0]:
        raise ValueError(
            f"Its first level has {widths[0]} channels, but its times {state['time_embed.0.weight'].shape[1]}"
            ": a U-Net of diffusers has as many of both."
        )
    return Plan(
        widths, layers, tuple(f"input_blocks.{i}.1.qkv.weight" in state for i in firsts),
        "in_layers.0" in _up(state, ups[0]),
        len(state["input_blocks.1.0.emb_layers.1.bias"]) == 2 * widths[0],
    )  # fmt: skip


def _up(state: dict[str, Tensor], block: int) -> str:
    """The name, in its output block, of the layer that doubles pictures; empty where there is none."""
    for place in (1, 2):
        for layer in (f"{place}.in_layers.0", f"{place}.conv"):
            if f"output_blocks.{block}.{layer}.weight" in state:
                return layer
    return ""


def config_of(state: dict[str, Tensor], size: int, head: int) -> dict:
    """The settings of diffusers' `UNet2DModel` that has these tensors.

    size: of the pictures, in pixels. head: channels of an attention head.
    Raises ValueError, in one sentence, for what that class cannot express.
    """
    p = plan(state)
    wrong = [w for w, has in zip(p.widths, p.attention, strict=True) if has and w % head]
    if wrong or p.widths[-1] % head:
        raise ValueError(
            f"Attention of {(wrong or p.widths[-1:])[0]} channels has no heads of {head}: say how many "
            "channels a head has."
        )
    down = {
        True: "AttnDownBlock2D",
        False: "ResnetDownsampleBlock2D" if p.resnet else "DownBlock2D",
    }
    up = {True: "AttnUpBlock2D", False: "ResnetUpsampleBlock2D" if p.resnet else "UpBlock2D"}
    labels = state.get("label_emb.weight")
    return {
        "sample_size": size, "in_channels": state["input_blocks.0.0.weight"].shape[1],
        "out_channels": len(state["out.2.bias"]), "block_out_channels": p.widths,
        "layers_per_block": p.layers, "down_block_types": tuple(down[a] for a in p.attention),
        "up_block_types": tuple(up[a] for a in reversed(p.attention)), "attention_head_dim": head,
        "downsample_type": "resnet" if p.resnet else "conv",
        "upsample_type": "resnet" if p.resnet else "conv", "norm_eps": 1e-5, "attn_norm_num_groups": 32,
        "resnet_time_scale_shift": "scale_shift" if p.scale_shift else "default",
        "num_class_embeds": None if labels is None else len(labels),
    }  # fmt: skip


def renamed(state: dict[str, Tensor], head: int, new_order: bool = False) -> dict[str, Tensor]:
    """The tensors under diffusers' names.

    new_order: whether an attention's queries, keys and values are three parts of all its channels, and not
        of each head's (guided-diffusion's use_new_attention_order).
    Raises ValueError, in one sentence, for a tensor that has no place there.
    """
    p, out = plan(state), {}
    for name, tensor in state.items():
        module, _, kind = name.rpartition(".")
        home = ENDS.get(module) or _place(module, p)
        if home is None:
            raise ValueError(f"It has {name}, which is no part of ADM's U-Net as it is known here.")
        if module.endswith(".qkv"):
            parts = _three(tensor.flatten(1) if kind == "weight" else tensor, head, new_order)
            out |= {f"{home}.to_{k}.{kind}": v for k, v in zip("qkv", parts, strict=True)}
        else:
            attention = module.endswith(".proj_out") and kind == "weight"
            out[f"{home}.{kind}"] = tensor.flatten(1) if attention else tensor
    return out


def _three(qkv: Tensor, head: int, new_order: bool) -> tuple[Tensor, ...]:
    """Queries', keys' and values' rows, (C, …) each, of those of all, (3C, …)."""
    if new_order:
        return qkv.chunk(3)
    each = qkv.unflatten(0, (-1, 3, head))  # (heads, 3, head, …)
    return tuple(each[:, i].flatten(0, 1).contiguous() for i in range(3))


def _place(module: str, p: Plan) -> str | None:
    """Where diffusers has a module of a block."""
    if m := re.fullmatch(r"middle_block\.([012])\.(.+)", module):
        home = ("mid_block.resnets.0", "mid_block.attentions.0", "mid_block.resnets.1")[int(m[1])]
        return _inside(home, m[2])
    m = re.fullmatch(r"(input|output)_blocks\.(\d+)\.(\d)\.(.+)", module)
    if m is None:
        return None
    goes_down, layer, inner = m[1] == "input", int(m[3]), m[4]
    level, j = divmod(int(m[2]) - goes_down, p.layers + 1)
    block = f"{'down' if goes_down else 'up'}_blocks.{level}"
    if inner in ("op", "conv"):
        return f"{block}.{'down' if goes_down else 'up'}samplers.0.conv"
    if goes_down and j == p.layers:
        return _inside(f"{block}.downsamplers.0", inner)
    if layer and inner in RESIDUAL:
        return _inside(f"{block}.upsamplers.0", inner)
    return _inside(f"{block}.{'attentions' if layer else 'resnets'}.{j}", inner)


def _inside(home: str, inner: str) -> str | None:
    attention = {"norm": ".group_norm", "qkv": "", "proj_out": ".to_out.0"}
    if inner in attention:
        return home + attention[inner]
    return f"{home}.{RESIDUAL[inner]}" if inner in RESIDUAL else None


def convert(
    file: Path, out: Path, size: int, head: int = 64, heads: int | None = None, new_order: bool = False,
    schedule: str = "linear", train_steps: int = 1000,
) -> Path:  # fmt: skip
    """Write the folder `out`, in diffusers' layout, from a file of the authors; returns it.

    size: of the pictures, in pixels. head: channels of an attention head; heads: or how many heads there are.
    schedule: linear or cosine, of train_steps times. A network of twice as many channels at its end has
    learned its variance, and the schedule says so.

    Raises ValueError (CheckpointError for the file), in one sentence, for a file of another layout, a
    setting that does not fit, or a folder that is there already.
    """
    from . import _torchvision  # noqa: F401

    from diffusers.models.unets.unet_2d import UNet2DModel  # isort: skip
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    if out.exists():
        raise ValueError(f"{out} is there already: give a folder that is not.")
    if not file.is_file():
        raise ValueError(f"There is no file {file.absolute()}: give the authors' .pt.")
    state = tensors_of(file)
    _check(size, head, heads, schedule, train_steps)
    try:
        head = _head(plan(state), heads) if heads else head
        config, tensors = config_of(state, size, head), renamed(state, head, new_order)
        net = UNet2DModel(**config)
        net.load_state_dict({k: v.float() for k, v in tensors.items()})
    except ValueError as error:
        raise ValueError(f"{file} is not converted: {error}") from None
    except (
        RuntimeError,
        KeyError,
    ) as error:  # torch's, of tensors that are missing or of another shape
        said = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{file} is not converted, because it is built otherwise than ADM's U-Net: {said}."
        ) from None
    learned = config["out_channels"] == 2 * config["in_channels"]
    scale = 1000 / train_steps  # ADM's linear β is of a thousand steps
    noise = DDPMScheduler(
        train_steps, min(1e-4 * scale, 0.999), min(0.02 * scale, 0.999), SCHEDULES[schedule],
        variance_type="learned_range" if learned else "fixed_small", clip_sample=False,
    )  # fmt: skip
    part = part_of(out)
    try:
        net.save_pretrained(part / "unet")
        noise.save_pretrained(part / "scheduler")
        os.replace(part, out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return out


def _check(size: int, head: int, heads: int | None, schedule: str, train_steps: int) -> None:
    for name, value in {"size": size, "head": head, "train_steps": train_steps}.items():
        if not whole(value, 1):
            raise ValueError(f"{name} is {value!r}: give a whole number, at least 1.")
    if heads is not None and not whole(heads, 1):
        raise ValueError(f"heads is {heads!r}: give a whole number, at least 1, or none.")
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule is {schedule!r}: it must be one of {', '.join(SCHEDULES)}.")


def _head(p: Plan, heads: int) -> int:
    """The channels of a head where each attention has so many. Raises ValueError where they differ."""
    widths = {w for w, has in zip(p.widths, p.attention, strict=True) if has} | {p.widths[-1]}
    if len(widths) > 1 or max(widths) % heads:
        raise ValueError(
            f"{heads} heads of attention over {' and '.join(map(str, sorted(widths)))} channels are of "
            "different widths, which diffusers' UNet2DModel does not have."
        )
    return widths.pop() // heads


def main() -> None:
    """Convert a file, and load the folder once."""
    parser = argparse.ArgumentParser(prog="python -m lessons_lib.convert", description=__doc__)
    parser.add_argument("file", type=Path, help="the authors' .pt")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--size", type=int, required=True, help="of the pictures, in pixels")
    parser.add_argument("--head", type=int, default=64, help="channels of an attention head (64)")
    parser.add_argument("--heads", type=int, help="how many heads each attention has, instead")
    parser.add_argument("--new-order", action="store_true", help="use_new_attention_order")
    parser.add_argument("--schedule", default="linear", help="linear or cosine")
    parser.add_argument("--train-steps", type=int, default=1000)
    args = parser.parse_args()
    try:
        out = convert(**vars(args))
        from .checkpoints import load

        model = load(out)
    except ValueError as error:
        parser.error(str(error))
    print(
        f"{out}: {tuple(model.shape)}, {sum(p.numel() for p in model.net.parameters()):,} parameters."
    )


if __name__ == "__main__":
    main()
