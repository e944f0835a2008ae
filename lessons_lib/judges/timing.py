"""Speed as ratios: interleaved pairs A, B, A, B, …, so that whatever else a machine does falls on both."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch

from .. import _torchvision  # noqa: F401


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
