"""Run lessons and render them: `python -m lessons_lib.pages [NOTEBOOK…] [-p NAME VALUE]…`.

Every lesson (or those named) is executed by papermill, several at a time where cores allow, and
written to `build/` as an executed notebook and a page, with an `index.html` over all of them.
Parameters are checked before anything runs: papermill itself only warns of a misspelt name.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

from .paths import BUILD, made, write_whole
from .press.runner import CELL_LIMIT, assign, cores, defaults_of, lessons_named, read, run_all


def write_index(out: Path, outcomes: list[dict]) -> None:
    """Bring the manifest of the last run of each lesson up to date, and the index over it."""
    from .press.site import Section, write_site

    manifest = out / "lessons.json"
    known = json.loads(manifest.read_text(encoding="utf-8")) if manifest.exists() else {}
    known |= {o["name"]: o for o in outcomes}
    known = {n: o for n, o in sorted(known.items()) if (out / f"{n}.html").exists()}
    write_whole(manifest, json.dumps(known, indent=1))
    sections = {n: [Section(*s) for s in o.get("sections", ())] for n, o in known.items()}
    write_site(out, list(known.values()), sections)


def summary(outcomes: list[dict]) -> str:
    """The outcomes, a line each."""
    from .press.site import memory

    width = max(len(o["name"]) for o in outcomes)
    lines = [f"{'lesson':{width}}  {'time':>7}  {'memory':>9}  run"]
    for o in outcomes:
        took = f"{o['seconds']:5.1f} s"
        lines.append(f"{o['name']:{width}}  {took:>7}  {memory(o):>9}  {o['error'] or 'ok'}")
    return "\n".join(lines)


def check_named(assigned: Iterable[dict]) -> None:
    """Raises ValueError for a device or a network among the parameters given that is not there."""
    for given in assigned:
        if any(isinstance(v, str) for v in given.values()):  # else nothing here needs torch
            from .studies.inputs import check_networks

            check_networks(SimpleNamespace(**given))


def main(argv: list[str] | None = None) -> int:
    """Run and render: 0 if all lessons ran well, 1 if one failed, 2 for arguments that raise a ValueError."""
    parser = argparse.ArgumentParser(prog="python -m lessons_lib.pages", description=__doc__)
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="default: every lesson")
    parser.add_argument(
        "-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
        help="set a parameter of every lesson that has it",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=BUILD, help="default: build/")
    parser.add_argument("--jobs", type=int, default=cores(), help="at a time (default: the cores)")
    parser.add_argument(
        "--cell-limit", type=float, default=CELL_LIMIT, metavar="SECONDS",
        help="of a cell (default: 3600); one that takes longer ends its lesson, and the others go on",
    )  # fmt: skip
    args = parser.parse_intermixed_args(argv)  # -p before or after the names
    try:
        lessons = {p: defaults_of(read(p)) for p in lessons_named(args.notebooks)}
        assigned = assign(dict(args.parameter), lessons)
        check_named(assigned.values())
        if args.jobs < 1:
            raise ValueError(f"--jobs must be at least 1, not {args.jobs}.")
        if not 0 < args.cell_limit < float("inf"):
            raise ValueError(f"--cell-limit is {args.cell_limit}: give a number above 0.")
        out = made(args.out.resolve())
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    outcomes = run_all(assigned, out, args.jobs, args.cell_limit)
    write_index(out, outcomes)
    print(f"\n{summary(outcomes)}\n\npages: {out / 'index.html'}")
    return 1 if any(o["error"] for o in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
