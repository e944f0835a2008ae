"""Run lessons, and see what went wrong in them: what pages, sweeps and tests share."""

from __future__ import annotations

import ast
import logging
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread

import nbformat
from nbformat import NotebookNode

from ..paths import NOTEBOOKS, part_of, write_whole

CELL_LIMIT = 3600  # seconds; a cell that takes longer has hung
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
STATE = "application/vnd.jupyter.widget-state+json"
DIED = "its kernel died: it was killed, or ran out of memory."
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def lessons_named(names: list[str]) -> list[Path]:
    """The lessons named, by path or by (the beginning of) their names; all of them for none.

    Raises ValueError for a name of no lesson or of several, and where there are no lessons.
    """
    lessons = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
    found = []
    for name in names:
        matches = [Path(name).resolve()] if Path(name).is_file() else []
        matches = matches or [p for p in lessons if p.stem.startswith(Path(name).stem)]
        if len(matches) != 1:
            there = ", ".join(p.stem for p in lessons)
            raise ValueError(f"{name!r} names {len(matches)} lessons; there are: {there}.")
        found += matches
    if not (found or lessons):
        raise ValueError(f"There are no lessons in {NOTEBOOKS}.")
    return list(dict.fromkeys(found)) or lessons


def read(path: Path) -> NotebookNode:
    """A notebook. Raises ValueError for a file that is none."""
    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:  # nbformat raises a dozen classes, JSON's and its own
        raise ValueError(
            f"{path} is no notebook ({type(error).__name__}): give an .ipynb."
        ) from None


def defaults_of(notebook: NotebookNode) -> dict[str, object]:
    """Names and defaults of the cell tagged `parameters`.

    Raises ValueError for a notebook without one such cell, or a cell with more than literals.
    """
    tagged = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", ())]
    if len(tagged) != 1:
        raise ValueError(f"A lesson has one cell tagged 'parameters', and this has {len(tagged)}.")
    defaults = {}
    for line in ast.parse(tagged[0].source).body:
        target = line.targets[0] if isinstance(line, ast.Assign) else getattr(line, "target", None)
        if not isinstance(target, ast.Name):
            raise ValueError(
                f"A parameters cell holds `name = literal` only, not `{ast.unparse(line)}`."
            )
        try:
            defaults[target.id] = ast.literal_eval(line.value)
        except ValueError:
            raise ValueError(
                f"The default of {target.id} is no literal: `{ast.unparse(line)}`."
            ) from None
    return defaults


def typed(name: str, text: str, default: object) -> object:
    """A value from the command line, as the parameter's default suggests; ValueError for another kind."""
    if name == "images":
        return str(Path(text).expanduser().absolute()) if text else text
    if isinstance(default, str):
        return ",".join(absolute(part) for part in text.split(","))
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    return of_kind(name, value, default, text)


def of_kind(name: str, value: object, default: object, shown: object) -> object:
    """The value as a parameter of this default takes it; ValueError for another kind, with what was given."""
    value = list(value) if isinstance(value, tuple) else value  # papermill would write a string
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    kind = list if isinstance(default, tuple) else type(default)
    if default is not None and type(value) is not kind:
        raise ValueError(
            f"{name} is of type {kind.__name__} (its default is {default!r}), not {shown!r}."
        )
    return value


def absolute(text: str) -> str:
    """A folder given relative to where the command is typed, whole; any other text as it is."""
    path = Path(text.strip())
    return str(path.absolute()) if ("/" in text or "\\" in text) and path.is_dir() else text


def check_known(names: Iterable[str], lessons: dict[Path, dict]) -> None:
    """ValueError for the name of a parameter that no lesson has."""
    known = set().union(*lessons.values())
    for name in names:
        if name not in known:
            raise ValueError(
                f"No lesson here has a parameter {name!r}; there are: {', '.join(sorted(known))}."
            )


def assign(given: dict[str, str], lessons: dict[Path, dict]) -> dict[Path, dict]:
    """What each lesson gets of the parameters given; ValueError for a name that no lesson has."""
    check_known(given, lessons)
    return {
        path: {n: typed(n, text, defaults[n]) for n, text in given.items() if n in defaults}
        for path, defaults in lessons.items()
    }


def widget_errors(notebook: NotebookNode) -> list[str]:
    """Errors that widget callbacks raised while an executed notebook ran.

    `interact` and `Output` keep what a callback prints or raises in the widget's state: the cell
    counts as done, and neither papermill nor nbmake looks there.
    """
    states = notebook.metadata.get("widgets", {}).get(STATE, {}).get("state", {}).values()
    outputs = [o for s in states for o in s.get("state", {}).get("outputs", ())]
    # A callback outside `Output` only leaves its traceback on the cell's stderr.
    outputs += [
        o for c in notebook.cells for o in c.get("outputs", ()) if o.output_type == "stream"
    ]
    found = []
    for output in outputs:
        if output["output_type"] == "error":
            found.append(f"{output['ename']}: {output['evalue']}")
        elif "Traceback (most recent call last)" in (text := output.get("text", "")):
            found.append(COLOUR.sub("", text).strip().splitlines()[-1])
    return found


def one_line(error: Exception, notebook: NotebookNode | None) -> str:
    """What went wrong in a run, and in which line of the lesson."""
    if not hasattr(error, "ename"):  # not raised by a cell: a dead kernel, a time limit
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
    message = COLOUR.sub("", f"{error.ename}: {error.evalue}").splitlines()[0]
    # IPython's traceback marks the line of the cell that was running: "----> 3 x = f()".
    trace = COLOUR.sub("", "\n".join(error.traceback)).splitlines()
    running = next((t for t in trace if re.match(r"-+> *\d+ ", t)), None)
    source = error.source.strip().splitlines()
    line = re.sub(r"^-+> *\d+ +", "", running) if running else source[-1] if source else ""
    return f"in [{error.exec_count}] `{line.strip()}`: {message}"


def slow(error: TimeoutError, cell_limit: float) -> str:
    """That a cell took longer than it may, and which, by its first line: nbclient's text shows it, the lines
    of a long cell as a list."""
    shown = str(error).partition("-----\n")[2].strip().splitlines()
    lines = ast.literal_eval(shown[0]) if shown and shown[0].startswith("['") else shown
    which = f"the cell that begins with `{lines[0].strip()}`" if lines else "a cell"
    return f"{which} took longer than the {cell_limit:g} seconds that a cell may take."


def peak_mib() -> float | None:
    """The largest memory of any process this one has waited for: of its kernel."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def thread_settings(environment: Mapping[str, str], threads: int) -> dict[str, str]:
    """All of THREADS alike: as the one that the environment sets (the first of several), or `threads`.

    Libraries of one process that disagree wait for one another: a lesson took five times as long.
    """
    given = [environment[name] for name in THREADS if environment.get(name)]
    return dict.fromkeys(THREADS, given[0] if given else str(threads))


def execute(
    path: Path,
    running: Path,
    given: dict,
    cell_limit: float = CELL_LIMIT,
    limit: float | None = None,
) -> tuple[NotebookNode, str]:
    """Execute a lesson in a kernel of this environment, and keep it in `running` as far as it came.

    cell_limit, limit: seconds, for a cell and for all of it. Whatever it had begun ends with the kernel.
    Returns the notebook, and what went wrong in it: "" for nothing. Never raises.
    """
    import papermill

    from .kernels import Watch

    logging.getLogger("papermill").setLevel(logging.ERROR)
    error = ""
    try:
        with Watch(limit) as watch:
            papermill.execute_notebook(
                str(path), str(running), given, cwd=str(path.parent), progress_bar=False,
                kernel_name="python3", language="python", start_timeout=120, execution_timeout=cell_limit,
                extra_arguments=["--log-level=ERROR"], kernel_manager_class=watch.manager,
            )  # fmt: skip
    except Exception as raised:
        in_a_cell = hasattr(raised, "ename") or isinstance(raised, TimeoutError)
        error = DIED if watch.died() and not in_a_cell else one_line(raised, None)
        if isinstance(raised, TimeoutError):
            error = slow(raised, cell_limit)
    if watch.over:
        error = f"it took longer than the {limit:g} seconds that a run may take."
    try:
        notebook = nbformat.read(running, as_version=4)
    except (OSError, ValueError):  # it never began, or the disk was full
        running.unlink(missing_ok=True)
        notebook, error = (
            nbformat.read(path, as_version=4),
            error or "its notebook was not written.",
        )
    if not error and (inside := widget_errors(notebook)):
        error = f"a widget's callback failed: {inside[0]}"
    return notebook, error


def run(path: Path, out: Path, given: dict, threads: int, cell_limit: float = CELL_LIMIT) -> dict:
    """Execute one lesson in this (its own) process, and render its page; never raises."""
    from .handout import page, title
    from .site import shown_for, small

    os.environ.update(thread_settings(os.environ, threads))  # the kernel inherits them
    done, failed = out / f"{path.stem}.ipynb", out / f"{path.stem}.failed.ipynb"
    running, start = part_of(done), time.perf_counter()
    for old in (done, failed, out / f"{path.stem}.html", out / f"{path.stem}.png"):
        old.unlink(missing_ok=True)
    notebook, error = execute(path, running, given, cell_limit)
    seconds = time.perf_counter() - start
    if running.exists():
        os.replace(running, failed if error else done)
    html, sections = page(notebook, path.stem)
    write_whole(out / f"{path.stem}.html", html)
    try:
        picture, alt, sentence = shown_for(notebook)
    except ValueError as raised:
        picture, alt, sentence, error = None, "", "", error or str(raised)
    if picture:
        write_whole(out / f"{path.stem}.png", small(picture))
    return {
        "name": path.stem, "title": title(notebook, path.stem), "error": error,
        "seconds": seconds, "peak_mib": peak_mib(), "parameters": given, "sections": sections,
        "picture": f"{path.stem}.png" if picture else "", "alt": alt, "sentence": sentence,
    }  # fmt: skip


def run_all(
    assigned: dict[Path, dict], out: Path, jobs: int, cell_limit: float = CELL_LIMIT
) -> list[dict]:
    """Run the lessons side by side, each in a process of its own; says how each went as it ends.

    cell_limit: seconds that a cell may take; one that takes longer ends its lesson.
    Those processes, and so their kernels, end with this one, however it ends.
    """
    jobs = min(jobs, len(assigned))
    threads = max(1, cores() // jobs)
    print(f"running {len(assigned)} lessons, {jobs} at a time, {threads} threads each", flush=True)
    outcomes = []
    new = {"mp_context": get_context("spawn"), "initializer": end_with_parent}
    with ProcessPoolExecutor(jobs, max_tasks_per_child=1, **new) as pool:
        futures = [
            pool.submit(run, path, out, given, threads, cell_limit)
            for path, given in assigned.items()
        ]
        for future in as_completed(futures):
            outcomes.append(future.result())
            o = outcomes[-1]
            print(f"  {o['name']}: {o['error'] or 'ok'} ({o['seconds']:.0f} s)", flush=True)
    return sorted(outcomes, key=lambda o: o["name"])


def end_with_parent() -> None:
    """End this process as soon as the one that began it has ended, killed though it may be."""

    def watch() -> None:
        parent_process().join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def cores() -> int:
    """The processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
