"""Run lessons on a grid of settings: `python -m lessons_lib.sweep NOTEBOOK… -p NAME=VALUES… --out DIR`.

Each combination of the values is one run: an executed notebook, a page and a result in a folder of its own
under DIR. The tables over them are results.csv and results.parquet (a row a recorded number) and runs.csv
(a row a run), and index.html draws them. What is there already is not run again: the same command goes on
where it was stopped. It runs on this machine's cores, or on any Dask cluster.

    -p steps=20,50 -p eta=0:1:0.25      two values, and five: ten runs
    -p "etas=[0,1],[0,0.5,1]"           two values of a parameter that is a list
    --grid FILE.yaml                    the same in a file: `steps: [20, 50]`, or a list of such grids
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

from .press.runner import CELL_LIMIT, cores
from .sweeps import grid, identity, runs
from .sweeps.identity import Run


def arguments() -> argparse.ArgumentParser:
    """What the command takes."""
    parser = argparse.ArgumentParser(
        prog="python -m lessons_lib.sweep", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("notebooks", nargs="*", metavar="NOTEBOOK", help="lessons by name, or notebooks by path")
    add("-p", "--parameter", action="append", default=[], metavar="NAME=VALUES", help="see above")
    add("--grid", type=Path, metavar="FILE", help="a grid in YAML")
    add("--out", type=Path, metavar="DIR", help="where everything is written")
    add("--workers", type=int, metavar="N", help="runs at a time (default: the cores)")
    add("--scheduler", metavar="ADDRESS|FILE", help="a Dask cluster that shares DIR")
    add("--retry-failed", action="store_true", help="do failed runs again")
    add("--limit", type=float, metavar="SECONDS", help="of a run (default: none)")
    add(
        "--cell-limit",
        type=float,
        default=CELL_LIMIT,
        metavar="SECONDS",
        help="of a cell (default: 3600)",
    )
    add(
        "--jobs",
        action="store_true",
        help="print a command line for each run that is to do, and run none",
    )
    add("--one", metavar="JSON", help="do the one run with these parameters, and nothing else")
    add(
        "--collect",
        action="store_true",
        help="make the tables from what is in DIR, and run nothing",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """0 if every run has gone well, 1 if one has failed, 2 for arguments that raise a ValueError."""
    args = arguments().parse_intermixed_args(argv)
    try:
        check_options(args)
        out = args.out.resolve()
        if args.collect:
            return report(out, [], [])
        wanted = asked_for(args)
        if args.one is not None:
            return one(out, wanted[0], args)
        if args.jobs:
            print(*(job(run, args) for run in to_do(out, wanted, args)), sep="\n")
            return 0
        return report(out, wanted, sweep(out, wanted, args))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(said_of(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\nStopped. What has ended is kept: the same command goes on from there.",
            file=sys.stderr,
        )
        return 130


def check_options(args: argparse.Namespace) -> None:
    """Raises ValueError for options that do not go together, or are out of range."""
    if args.out is None:
        raise ValueError("Say where to write, by --out DIR.")
    if args.out.exists() and not args.out.is_dir():
        raise ValueError(f"--out {args.out} is a file: give a folder.")
    for name, least in (("workers", 1), ("limit", 0), ("cell_limit", 0)):
        value = getattr(args, name)
        if (value is not None and not least <= value < float("inf")) or value == 0:
            raise ValueError(f"--{name.replace('_', '-')} is {value}: give a number above 0.")
    alone = "jobs", "one", "collect", "scheduler", "workers"
    chosen = [name for name in alone if getattr(args, name) not in (None, False)]
    if len(chosen) > 1:
        raise ValueError(f"--{chosen[0]} and --{chosen[1]} do not go together: give one of them.")
    if args.collect and not (args.out / "runs").is_dir():
        raise ValueError(
            f"There are no runs in {args.out}: --collect reads the folder that a sweep wrote."
        )
    if args.one is not None and (args.parameter or args.grid or len(args.notebooks) != 1):
        raise ValueError("--one takes one notebook, and its parameters as JSON only.")


def asked_for(args: argparse.Namespace) -> list[Run]:
    """All runs that the command asks for, checked. Raises ValueError for what cannot run."""
    lessons = grid.lessons_of(args.notebooks)
    if args.one is not None:
        grids = [grid.from_json(args.one)]
    else:
        grids = grid.from_file(args.grid) if args.grid else [{}]
    found = grid.combinations(lessons, grid.from_words(args.parameter), grids)
    grid.check(found, lessons)
    return identity.identify(lessons, found)


def to_do(out: Path, wanted: list[Run], args: argparse.Namespace) -> list[Run]:
    """The runs that have no result yet, or a failed one that is to be done again."""
    return [run for run in wanted if runs.done(out, run, args.retry_failed) is None]


def job(run: Run, args: argparse.Namespace) -> str:
    """The command line that does one run, as this machine's shell reads it."""
    words = [
        sys.executable,
        "-m",
        "lessons_lib.sweep",
        str(run.path),
        "--out",
        str(args.out.resolve()),
    ]
    words += ["--one", json.dumps(run.given), "--cell-limit", f"{args.cell_limit:g}"]
    words += ["--limit", f"{args.limit:g}"] if args.limit else []
    words += ["--retry-failed"] if args.retry_failed else []
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def one(out: Path, run: Run, args: argparse.Namespace) -> int:
    """Do one run, unless it is there, and say how it went."""
    result = runs.done(out, run, args.retry_failed)
    result = result or runs.do(out, run, args.limit, args.cell_limit, args.retry_failed)
    print(f"{named(result)}: {result['error'] or 'ok'}")
    return 1 if result["error"] else 0


def sweep(out: Path, wanted: list[Run], args: argparse.Namespace) -> list[dict]:
    """Do what is to be done of the runs, on a cluster; gives what came of those."""
    left = to_do(out, wanted, args)
    if not left:
        print(f"all {len(wanted)} runs are there already")
        return []
    from .sweeps import cluster
    from .sweeps.board import Board

    out.mkdir(parents=True, exist_ok=True)
    to_be_done = {run.digest for run in left}
    before = [runs.done(out, run, False) for run in wanted if run.digest not in to_be_done]
    failed, ended = sum(bool(r and r["error"]) for r in before), []
    settings = left, args.limit, args.cell_limit, args.retry_failed
    workers = min(args.workers or cores(), len(left))
    here = cluster.remote(args.scheduler) if args.scheduler else cluster.local(workers, out)
    with (
        here as client,
        Board(len(wanted), len(before), failed, lambda: cluster.size(client)) as board,
    ):
        for result in cluster.results(client, out, *settings):
            board.ended(named(result), result["error"], result.get("seconds", 0.0))
            ended.append(result)
    return ended


def named(result: dict) -> str:
    """A run by its lesson and the parameters that the grid sets."""
    return " ".join([result["lesson"], *(f"{k}={v!r}" for k, v in result["given"].items())])


def report(out: Path, wanted: list[Run], ended: list[dict]) -> int:
    """Write the tables and the page over a folder, and print what failed: 0 if nothing has, else 1."""
    from .sweeps import page, tables

    mine = {run.digest for run in wanted}
    results, older, broken = tables.collect(out, mine)
    tables.write(out, results)
    page.write(out, results)
    print(
        f"\n{out / 'results.csv'}: {sum(len(r['records']) for r in results if not r['error'])} numbers"
    )
    if older:
        print(
            f"{older} runs are left out: the same settings were run with other code or weights since"
        )
    if broken:
        print(f"{broken} runs are not whole: the command that made them does them again")
    print(f"page: {out / 'index.html'}")
    there = {r["run"]: r for r in [*ended, *results]}
    failures = [r for r in there.values() if r["error"] and (not mine or r["run"] in mine)]
    for failure in failures:
        print(f"failed: {named(failure)}: {failure['error']}")
    if failures:
        print(f"{len(failures)} runs failed; --retry-failed does them again")
    return 1 if failures else 0


def said_of(error: OSError) -> str:
    """A fault of the disk or the cluster in a sentence: what is there stays."""
    said = error.strerror or str(error)
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in runs.FULL and not isinstance(error, runs.DiskFull):
        said = "There is no room left on the disk."
    return (
        f"{said.rstrip('.')}{where}. What has ended is kept: the same command goes on from there."
    )


if __name__ == "__main__":
    sys.exit(main())
