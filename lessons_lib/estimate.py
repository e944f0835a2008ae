"""What a run will take, in memory and time, said before it begins; and how much of it is left.

A pass of one image is measured: the largest sum of the tensors that are alive in it, and its seconds. What an
operation needs inside itself is not in it.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .denoisers import Denoiser, predict

LARGE = 128  # pixels of a side from which a model is measured before it is used
AT_ONCE = 64  # images in a pass of a model that is not
LONG = 10.0  # seconds from which work is announced
SHARE = 0.5  # of the free memory that one pass may take
GIB = 2**30


class Cost(NamedTuple):
    """Of one model: bytes of its weights, bytes and seconds that a pass of one image takes beside them."""

    weights: int
    image: int
    seconds: float


_known: weakref.WeakKeyDictionary[Denoiser, Cost] = weakref.WeakKeyDictionary()


class _Alive(TorchDispatchMode):
    """Counts the bytes of the tensors that come to be while it is on, and are still there; `most` at once."""

    def __init__(self):
        super().__init__()
        self.now = self.most = 0
        self.seen: weakref.WeakSet = weakref.WeakSet()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        before = {
            id(t.untyped_storage()) for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)
        }
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and id(tensor.untyped_storage()) not in before:
                self._count(tensor.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage in self.seen:
            return
        size = storage.nbytes()
        self.seen.add(storage)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._gone, size)

    def _gone(self, size: int) -> None:
        self.now -= size


@torch.no_grad()
def cost(denoiser: Denoiser, cond: Tensor | None = None) -> Cost:
    """What the model costs, measured on one pass of one image, once for each model.

    cond: as the model needs it, (1 or more, …), of which the first is taken; by default no text, or label 0.
    """
    if denoiser in _known:
        return _known[denoiser]
    x = torch.zeros(1, *denoiser.shape, device=denoiser.device)
    cond = _some_cond(denoiser) if cond is None else cond
    one = None if cond is None else cond[:1].to(x.device)
    alive, start = _Alive(), time.perf_counter()
    with alive:
        predict(denoiser, x, len(denoiser.alpha_bar) // 2, one)
    _synchronize(x.device)
    found = Cost(_weights(denoiser), alive.most, time.perf_counter() - start)
    _known[denoiser] = found
    return found


def _some_cond(denoiser: Denoiser) -> Tensor | None:
    if getattr(denoiser, "prompts", None) is not None:
        return denoiser.prompts.empty
    return torch.zeros(1, dtype=torch.int64) if getattr(denoiser, "needs_label", False) else None


def _synchronize(device: torch.device) -> None:
    if device.type in ("cuda", "mps"):
        getattr(torch, device.type).synchronize()


def _weights(denoiser: Denoiser) -> int:
    """Bytes of all modules that a model, and what it wraps or brings along, has."""
    modules, inner = [], [denoiser]
    while inner:
        one = inner.pop()
        for value in getattr(one, "__dict__", {}).values():
            if isinstance(value, torch.nn.Module):
                modules.append(value)
            elif isinstance(value, Denoiser) or hasattr(value, "net"):
                inner.append(value)
    tensors = {id(t): t for m in modules for t in (*m.parameters(), *m.buffers())}
    return sum(t.nbytes for t in tensors.values())


def is_large(denoiser: Denoiser) -> bool:
    """Whether a model draws pictures of LARGE pixels or more, so that it is worth measuring."""
    shape = getattr(denoiser, "picture_shape", denoiser.shape)
    return len(shape) == 3 and shape[-1] >= LARGE


def free_memory(device: torch.device | str = "cpu") -> int:
    """Bytes that are free on a device, within what this process's container may have."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    import psutil

    here = psutil.virtual_memory().available
    group = Path("/sys/fs/cgroup")
    try:
        most, now = (int((group / f"memory.{k}").read_text()) for k in ("max", "current"))
    except (OSError, ValueError):  # no such limit
        return here
    return min(here, max(most - now, 0))


def check_room(needed: int, device: torch.device | str, what: str, instead: str) -> None:
    """Raise ValueError, in one sentence, where this many bytes are not free.

    what: needs them. instead: what would fit, or what to do.
    """
    if needed > 2**28 and needed > (free := free_memory(device)):
        raise ValueError(f"{what} needs {size(needed)}, and {size(free)} are free here: {instead}.")


def images_at_once(denoiser: Denoiser, cond: Tensor | None = None) -> int:
    """How many images to give to a model in one pass: 64, or of a large one what SHARE of the memory holds.

    Raises ValueError where not one image fits.
    """
    if not is_large(denoiser):
        return AT_ONCE
    each = max(cost(denoiser, cond).image, 1)
    fit = int(SHARE * free_memory(denoiser.device) / each)
    side = getattr(denoiser, "picture_shape", denoiser.shape)[-1]
    return max(1, min(fit, AT_ONCE * LARGE**2 // (4 * side**2)))


def check_batch(denoiser: Denoiser, n: int, cond: Tensor | None = None) -> None:
    """Raise ValueError, in one sentence, where a pass of n images of a large model is more than is free."""
    if is_large(denoiser):
        each = max(cost(denoiser, cond).image, 1)
        fit = free_memory(denoiser.device) // each
        instead = f"give {fit} at a time" if fit else "use a smaller model, or another device"
        check_room(n * each, denoiser.device, f"A pass of {n} images of this model", instead)


def check_code(denoiser: Denoiser, n: int, steps: int, dtype: torch.dtype, copies: int) -> None:
    """Raise ValueError, in one sentence, where the codes of n images of so many steps are more than is free.

    copies: how many tensors as large as the code are there at once.
    """
    step = copies * denoiser.shape.numel() * dtype.itemsize
    free = free_memory(denoiser.device) if n * steps * step > 2**28 else n * steps * step
    what = f"A code of {n} images in {steps} steps"
    images, fewer = free // (steps * step), free // (n * step)
    fits = [f"{images} images"] * (images > 0) + [f"{fewer} steps"] * (fewer > 0)
    instead = f"give at most {' or '.join(fits)}, or use `encoder.lockstep`, which keeps one step"
    check_room(n * steps * step, denoiser.device, what, instead)


def announce(denoiser: Denoiser, name: str, *steps: int) -> None:
    """Print what a large model costs, in a line, after one pass; nothing for others."""
    if not is_large(denoiser):
        return
    c = cost(denoiser)
    pictures = "×".join(map(str, denoiser.picture_shape))
    line = f"{name}: {pictures} pictures, {size(c.weights)} of weights, {size(c.image)} an image, "
    line += f"{c.seconds:.2g} s a pass on {denoiser.device}"
    times = [f"{n} steps of an image take {duration(n * c.seconds)}" for n in steps]
    print(f"{line}; {', '.join(times)}." if times else f"{line}.")


def timed(items: Iterable, count: int, what: str = "step") -> Iterator:
    """The same items; where LONG is still to go after the second, it is said how long, with a bar.

    count: how many they are. An item's time is what passes until the next one is asked for; the first one's
    is not asked, as networks are slower at first.
    """
    begun, bar = 0.0, None
    try:
        for i, item in enumerate(items):
            if i == 2 and (left := (time.perf_counter() - begun) * (count - 2)) > LONG:
                print(f"{count} {what}s, about {duration(left)} to go.", flush=True)
                bar = _bar(count, what)
            begun = time.perf_counter()
            if bar is not None:
                bar.update(i - bar.n)
            yield item
        if bar is not None:
            bar.update(count - bar.n)
    finally:
        if bar is not None:
            bar.close()


def _bar(count: int, what: str):
    from tqdm import tqdm

    return tqdm(total=count, unit=what, mininterval=1.0)


def size(bytes_: int) -> str:
    """1.2 GiB, or 30 MiB."""
    return f"{bytes_ / GIB:.1f} GiB" if bytes_ >= GIB / 10 else f"{bytes_ / 2**20:.0f} MiB"


def duration(seconds: float) -> str:
    """45 s, 12 min or 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
