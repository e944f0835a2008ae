"""One run and what it leaves: an executed notebook, its page and a result, in a folder named by its digest.

DIR/runs/<digest>/result.json     last, so that what it speaks of is there
                  notebook.ipynb
                  page.html
"""

from __future__ import annotations

import errno
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path

import nbformat
from filelock import FileLock
from nbformat import NotebookNode
from nbformat.v4 import new_notebook

from ..paths import part_of, write_whole
from ..press.runner import DIED, execute, thread_settings
from ..press.site import records
from .identity import Run, digest_of, is_here

FORMAT = 1  # of result.json
FILES = ("notebook.ipynb", "page.html")
RESULT = "result.json"
TRIES = 3  # of a run whose kernel dies
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DiskFull(OSError):
    """There is no room for a run's files."""


def folder_of(out: Path, digest: str) -> Path:
    """Where a run of this digest is kept."""
    return out / "runs" / digest


def result_of(folder: Path) -> dict | None:
    """What a run left, if it is whole: its files are there, and it is what was written. Else None."""
    try:
        said = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        whole = said.pop("sha256") == digest_of(said)
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None
    whole = whole and said["format"] == FORMAT and said["run"] == folder.name
    return said if whole and all((folder / name).is_file() for name in FILES) else None


def done(out: Path, run: Run, retry_failed: bool) -> dict | None:
    """The result of a run that has not to be done (again)."""
    result = result_of(folder_of(out, run.digest))
    return None if result is None or (retry_failed and result["error"]) else result


def do(
    out: Path, run: Run, limit: float | None, cell_limit: float, retry_failed: bool = False
) -> dict:
    """Do a run, unless another process has done it meanwhile, and write what it leaves; gives the result.

    limit, cell_limit: seconds of the run and of a cell. A run whose kernel dies is tried again, three times.
    Raises DiskFull where there is no room for its files, OSError where they cannot be written.
    """
    folder = folder_of(out, run.digest)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        asked = time.time()
        with held(folder):
            there = result_of(folder)
            if there and not (there["error"] and retry_failed and there["ended"] < asked):
                return there
            return _do(folder, run, limit, cell_limit)
    except OSError as error:
        if error.errno in FULL:
            raise DiskFull(error.errno, f"There is no room left for {folder}.") from None
        raise


def _do(folder: Path, run: Run, limit: float | None, cell_limit: float) -> dict:
    for name in (RESULT, *FILES):
        (folder / name).unlink(missing_ok=True)
    os.environ.update(thread_settings(os.environ, 1))  # the kernel inherits them
    start, error = time.time(), "" if is_here(run) else CHANGED
    notebook, running = new_notebook(), part_of(folder / FILES[0])
    for _ in range(0 if error else TRIES):
        notebook, error = execute(run.path, running, run.given, cell_limit, limit)
        if error != DIED:
            break
    seconds = time.time() - start
    if error.startswith(tuple(f"OSError: [Errno {n}]" for n in FULL)):
        raise OSError(errno.ENOSPC, error)  # while the notebook was written
    if not error and not is_here(run):
        error = CHANGED
    html, of_page = rendered(notebook, run.lesson)
    if running.exists():
        os.replace(running, folder / FILES[0])
    else:
        write_whole(folder / FILES[0], nbformat.writes(notebook))
    write_whole(folder / FILES[1], html)
    result = about(run) | {
        "error": error or of_page, "records": list(records(notebook)), "seconds": seconds,
        "host": platform.node(), "ended": time.time(),
    }  # fmt: skip
    write_result(folder, result)
    return result


def rendered(notebook: NotebookNode, name: str) -> tuple[str, str]:
    """A run's page, and what went wrong with it: "" for nothing."""
    from ..press.handout import page

    try:
        return page(notebook, name)[0], ""
    except Exception as error:  # of nbconvert, for outputs that break its rules
        sentence = f"its page cannot be made ({type(error).__name__})."
        return f'<!doctype html><meta charset="utf-8"><p>{escape(sentence)}</p>\n', sentence


CHANGED = (
    "the notebook, the library or the weights are not here what they were where the sweep was started: "
    "give the workers the same ones, and start it again."
)


def about(run: Run) -> dict:
    """What a result says of the run that was asked for."""
    return {
        "format": FORMAT, "run": run.digest, "lesson": run.lesson, "notebook": str(run.path),
        "parameters": run.parameters, "given": run.given, "code": run.code, "weights": run.weights,
    }  # fmt: skip


def write_result(folder: Path, result: dict) -> None:
    """Write a result, with a digest by which a spoilt one is told."""
    write_whole(folder / RESULT, json.dumps(result | {"sha256": digest_of(result)}, indent=1))


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """A run's folder, for one process at a time; it is free again when that process has ended, in any way.

    Where the disk knows no locks, two processes may do the same run; each file is still written whole.
    """
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire()
    except NotImplementedError:
        yield
        return
    try:
        for left in folder.glob(".*.part.*"):  # by one that was killed
            left.unlink(missing_ok=True)
        yield
    finally:
        lock.release()
