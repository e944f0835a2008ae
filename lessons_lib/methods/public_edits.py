"""Directions that Asyrp's authors published, as `edit = read_public_edit("smiling.pth", 999, 513)`.

Their files are pickles. They are read by a loader that takes tensors and plain containers only, and runs no
code of theirs.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor, nn

from ..cards import CheckpointError
from ..weights import held_in
from .asyrp import Asyrp, Conv, PerTime

EPSILON = 1e-6  # of the published f_t's GroupNorm
NAMES = {"conv1": "one", "temb_proj": "time", "norm2": "norm", "conv2": "two"}
BESIDE = ("optimizer", "scheduler")  # what training left in a file


def read_public_edit(path: str | Path, first: int, last: int, visits: int | None = 40) -> Asyrp:
    """The edit in a file of Asyrp's public code (Kwon et al. 2023): an f_t, or a Δh for each time.

    first, last: its editing interval, which the file does not hold: T - 1 and t_edit. visits: how many steps
        it was trained for there, of the 40 of the paper.
    Raises CheckpointError for a file that is missing, runs code, or holds something else.
    """
    held = {k: v for k, v in _tensors_only(Path(path)).items() if k not in BESIDE}
    if set(held) == {"0"} and isinstance(held["0"], dict):
        held = held["0"]
    if held and all(
        re.fullmatch(r"\d+", str(k)) and isinstance(v, Tensor) for k, v in held.items()
    ):
        times = sorted(held, key=int, reverse=True)
        delta = torch.stack([held[t].float().reshape(held[t].shape[-3:]) for t in times])
        return Asyrp.of(PerTime([int(t) for t in times], delta), first, last, visits)
    return Asyrp.of(_f_t(held, Path(path)), first, last, visits)


def _f_t(held: dict, path: Path) -> nn.Module:
    wanted = {f"{name}.{kind}" for name in NAMES for kind in ("weight", "bias")}
    if set(held) != wanted:
        strange = ", ".join(sorted(map(str, set(held) ^ wanted))[:3])
        raise CheckpointError(
            f"{path} is no f_t of Asyrp's public code, which holds {', '.join(NAMES)}: they differ "
            f"in {strange}; give such a file."
        )
    form = Conv(len(held["norm2.bias"]), held["temb_proj.weight"].shape[1], EPSILON)
    ours = {f"{NAMES[k.split('.')[0]]}.{k.split('.')[1]}": v.float() for k, v in held.items()}
    form.load_state_dict(ours)
    return form.eval().requires_grad_(False)


def _tensors_only(path: Path) -> dict:
    if not path.is_file():
        raise CheckpointError(
            f"There is no file {path.absolute()}: give one of Asyrp's .pth files."
        )
    held = held_in(path)
    if not isinstance(held, dict):
        raise CheckpointError(f"{path} holds a {type(held).__name__}: give a state dict.")
    return held
