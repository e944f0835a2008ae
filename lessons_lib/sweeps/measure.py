"""What a sweep costs on this machine: `python -m lessons_lib.sweeps.measure [--runs 32]`.

Prints how much faster two workers do the same short runs than one, and what a run takes beside its notebook:
beside starting a kernel, running the cells and ending it, measured alone.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import pandas as pd
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from ..press.kernels import KernelManager

CELLS = "total = sum(i * i % 7 for i in range(2_000_000 + seed))", "total"


def written(folder: Path) -> Path:
    """A notebook of a fraction of a second."""
    tagged = new_code_cell("seed = 0", metadata={"tags": ["parameters"]})
    cells = [new_markdown_cell("# Short"), tagged, *map(new_code_cell, CELLS)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "python3"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), folder / "short.ipynb")
    return folder / "short.ipynb"


def alone(path: Path, times: int = 5) -> float:
    """Seconds of the notebook in a kernel of its own, and nothing else; the median of a few."""
    took = []
    for _ in range(times):
        notebook, start = nbformat.read(path, as_version=4), time.perf_counter()
        quiet = {"extra_arguments": ["--log-level=ERROR"]}
        NotebookClient(notebook, kernel_manager_class=KernelManager, **quiet).execute()
        took.append(time.perf_counter() - start)
    return statistics.median(took)


def swept(path: Path, out: Path, runs: int, workers: int) -> tuple[float, float, float]:
    """(seconds of all runs, of the whole command, of a run: the median) with so many workers."""
    words = [str(path), "-p", f"seed=1:{runs}:1", "--out", str(out), "--workers", str(workers)]
    start = time.perf_counter()
    command = [sys.executable, "-m", "lessons_lib.sweep", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    whole = time.perf_counter() - start
    table = pd.read_csv(out / "runs.csv", parse_dates=["ended"])
    began = table.ended - pd.to_timedelta(table.seconds, unit="s")
    return (table.ended.max() - began.min()).total_seconds(), whole, table.seconds.median()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m lessons_lib.sweeps.measure", description=__doc__
    )
    parser.add_argument("--runs", type=int, default=32, help="of each sweep (default: 32)")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder))
        bare = alone(path)
        found = {n: swept(path, Path(folder) / str(n), runs, n) for n in (1, 2)}
    for n, (took, whole, each) in found.items():
        print(
            f"{n} at a time: {runs} runs in {took:.1f} s ({whole:.1f} s with the start), {each:.2f} s each"
        )
    print(f"two workers are {found[1][0] / found[2][0]:.2f} times as fast as one")
    print(
        f"a run takes {found[1][2] - bare:.2f} s beside its kernel and cells ({bare:.2f} s alone)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
