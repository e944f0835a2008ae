"""The runs on a Dask cluster: this machine's cores, or any other by its scheduler."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import dask
from distributed import Client, Future, KilledWorker, LocalCluster, WorkerPlugin, as_completed

from ..press.runner import thread_settings
from .identity import Run
from .runs import about, do, folder_of, result_of

DEATHS = 4  # of workers with one run, until it counts as failed
SETTINGS = {
    "distributed.scheduler.allowed-failures": DEATHS - 1,
    "distributed.scheduler.worker-saturation": 1.0,  # the next run goes to whoever is free
    "distributed.worker.daemon": False,  # workers start kernels
    "distributed.comm.timeouts.connect": "30s",
    "distributed.admin.tick.limit": "1h",  # a busy machine is no news
}


class ToFile(WorkerPlugin):
    """What a worker, its kernels and their libraries say goes to a file, and not into the table."""

    def __init__(self, path: Path):
        self.path = str(path)

    def setup(self, worker) -> None:
        with open(self.path, "ab") as file:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)


@contextmanager
def local(workers: int, out: Path) -> Iterator[Client]:
    """A cluster of so many processes on this machine, of one thread each, which end with this process."""
    settings = dict(SETTINGS) | {
        f"distributed.nanny.pre-spawn-environ.{name}": value
        for name, value in thread_settings(os.environ, 1).items()
    }
    with (
        dask.config.set(settings),
        tempfile.TemporaryDirectory(prefix="sweep-") as scratch,
        LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None,
            memory_limit=0, local_directory=scratch, silence_logs="CRITICAL",
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        client.register_plugin(ToFile(out / "workers.log"))
        yield client


@contextmanager
def remote(scheduler: str) -> Iterator[Client]:
    """The cluster of a scheduler, by its address or by the file that it wrote.

    Raises ValueError for a file that is none, or a scheduler that does not answer in 10 seconds.
    """
    file = Path(scheduler)
    where = {"scheduler_file": str(file)} if file.is_file() else {"address": scheduler}
    try:
        client = Client(**where, timeout="10s")
    except Exception as error:  # of addresses, sockets, files and versions: a dozen kinds
        raise ValueError(
            f"No Dask scheduler answers at {scheduler!r} ({type(error).__name__}): give an address such as "
            "tcp://host:8786, or the file of `dask scheduler --scheduler-file`."
        ) from None
    with client:
        yield client


def size(client: Client) -> int:
    """How many runs a cluster does at a time, as it is now."""
    return sum(client.nthreads().values())


def results(
    client: Client, out: Path, runs: list[Run], limit: float | None, cell_limit: float, retry: bool
) -> Iterator[dict]:
    """Do the runs on a cluster; gives the result of each as it ends.

    Raises OSError for a full disk, for a folder that the workers do not share, and for a cluster that has
    gone: what had ended by then stays.
    """
    task = partial(do, out, limit=limit, cell_limit=cell_limit, retry_failed=retry)
    # A sweep of the same runs beside this one has keys of its own.
    mine = {f"{run.digest}-{secrets.token_hex(4)}": run for run in runs}
    futures = [client.submit(task, run, key=key, pure=False) for key, run in mine.items()]
    for future in as_completed(futures):
        yield outcome(out, mine[future.key], future)
        future.release()


def outcome(out: Path, run: Run, future: Future) -> dict:
    """What became of a run: its result as it lies in the folder. Raises OSError as `results`."""
    if future.status not in ("finished", "error"):
        raise OSError("The Dask cluster has gone. The same command goes on from what is there.")
    error = future.exception()
    if isinstance(error, KilledWorker):
        return about(run) | {"error": f"{DEATHS} processes that ran it died, of memory or killed."}
    if isinstance(error, OSError):
        raise error
    if error is not None:
        said = next(iter(str(error).splitlines()), "")
        return about(run) | {"error": f"the worker failed: {type(error).__name__}: {said}"}
    if (there := result_of(folder_of(out, run.digest))) is None:
        raise OSError(
            f"The workers do not write where this reads, in {out}: give a folder that all machines share."
        )
    return there
