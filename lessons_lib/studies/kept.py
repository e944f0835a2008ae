"""What a long command computed, kept for its next call."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import torch

from ..streams import VERSION


def once(folder: Path, key: Mapping, make: Callable[[], object]):
    """What `make` makes, of tensors, numbers, lists and dicts; or what it made in an earlier call.

    key: all that the result depends on, as JSON can hold it; how seeds draw is added to it.
    """
    key = {**key, "streams": VERSION}
    name = sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / f"{name}.pt"
    if not path.is_file():
        made = make()
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(made, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)
    return torch.load(path, weights_only=True)
