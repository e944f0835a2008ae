"""What a long command computed, kept for its next call."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import torch

from ..paths import whole
from ..streams import VERSION


def once(folder: Path, key: Mapping, make: Callable[[], object]):
    """What `make` makes, of tensors, numbers, lists and dicts; or what it made in an earlier call.

    key: all that the result depends on, as JSON can hold it; how seeds draw is added to it.
    """
    path = place(folder, key)
    if not path.is_file():
        keep(path, make())
    return torch.load(path, weights_only=True)


def place(folder: Path, key: Mapping) -> Path:
    """The file in a folder for what depends on this key and on nothing else."""
    key = {**key, "streams": VERSION}
    name = sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    return folder / f"{name}.pt"


def keep(path: Path, made: object) -> None:
    """Write what was made, for `torch.load`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as part:
        torch.save(made, part)
