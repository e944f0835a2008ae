"""What the terminal shows of a sweep as it runs: a live table, or plain lines where it is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text


class Board:
    """Counts of a sweep: done, failed, running, left, and how long it may take yet."""

    def __init__(self, total: int, before: int, failed: int, workers: Callable[[], int]):
        self.console = Console()
        self.total, self.workers, self.start = total, workers, time.monotonic()
        self.before, self.done, self.failed = before, before - failed, failed
        self.said: list[str] = []
        live = self.console.file.isatty()  # rich also takes Jupyter's pipes for a terminal
        self.live = Live(self, console=self.console, refresh_per_second=2) if live else None

    def __enter__(self) -> Board:
        (self.live or nullcontext()).__enter__()
        if not self.live:
            self.console.print(self.line(), markup=False, highlight=False)
        return self

    def __exit__(self, *how) -> None:
        if self.live:
            self.live.__exit__(*how)

    def ended(self, name: str, error: str, seconds: float) -> None:
        """Count a run, and say how it went."""
        self.failed, self.done = self.failed + bool(error), self.done + (not error)
        said = f"{name}: {error or 'ok'} ({seconds:.1f} s)"
        self.said = [*self.said, said][-5:]
        if not self.live:
            text = f"[{self.done + self.failed}/{self.total}] {said}"
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def line(self) -> str:
        left = self.total - self.done - self.failed
        return (
            f"{self.total} runs: {self.before} were there, {left} to do, {self.workers()} at a time"
        )

    def left(self) -> str:
        """The time that the rest may take, as the runs so far went."""
        ended = self.done + self.failed - self.before
        rest = self.total - self.done - self.failed
        if not ended or not rest:
            return "–"
        seconds = (time.monotonic() - self.start) / ended * rest
        return str(timedelta(seconds=round(seconds)))

    def __rich__(self) -> Group:
        rest = self.total - self.done - self.failed
        table = Table("done", "failed", "running", "waiting", "time left")
        running = min(rest, self.workers())
        table.add_row(*map(str, (self.done, self.failed, running, rest - running)), self.left())
        return Group(table, *(Text(line, overflow="ellipsis", no_wrap=True) for line in self.said))
