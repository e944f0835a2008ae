"""That no lesson mixes devices: `python tests/lessons_by_device.py [--devices mps,cuda] [--lessons 01,05]`.

Each lesson is run to its end, at tiny settings and on the networks that it comes with, on a pretend device
(`pretend`). What stops it is printed, and then this fails. `--real cuda` runs the lessons on a device that is
there, at their own settings, and prints their time and memory; `--checkpoint` names another model of theirs.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import matplotlib

from families_by_lessons import Outcome, apart, table
from lessons_lib.estimate import size
from lessons_lib.paths import NOTEBOOKS, number_of


def pretended(devices: list[str], lessons: list[str]) -> Iterator[Outcome]:
    """The outcome of each; at the end a table is printed."""
    found = {}
    for device in devices:
        for number in lessons:
            outcome = found[device, number] = apart(number, "", device, device)
            print(f"{device}, {number}: {outcome.kind} in {outcome.seconds:.0f} s. {outcome.text}",
                  file=sys.stderr, flush=True)  # fmt: skip
            yield outcome
    print(table(found, devices, lessons, "device"))


def measured(device: str, checkpoint: str, lessons: list[str]) -> Iterator[Outcome]:
    """The outcome of each, and a row of a table."""
    print(f"| lesson | time on {device} | its memory at most |\n|---|---|---|")
    for number in lessons:
        outcome = apart(number, checkpoint, device, device, real=True)
        memory = size(outcome.memory) if outcome.memory else "–"
        row = f"{outcome.seconds:.0f} s | {memory}" if outcome.kind == "runs" else outcome.text
        print(f"| {number} | {row} |", flush=True)
        yield outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", default="mps,cuda", help="those that are pretended")
    parser.add_argument("--lessons", default="", help="such as 01,05; by default all")
    parser.add_argument("--real", default="", help="a device that is there, such as cuda")
    parser.add_argument(
        "--checkpoint", default="", help="of the lessons on it, by default their own"
    )
    args = parser.parse_args()
    matplotlib.use("Agg")
    known = sorted(number_of(p.name) for p in NOTEBOOKS.glob("[0-9]*.py"))
    known.remove("13")  # which starts runs in processes of their own
    lessons = args.lessons.split(",") if args.lessons else known
    if args.real:
        outcomes = measured(args.real, args.checkpoint, lessons)
    else:
        outcomes = pretended(args.devices.split(","), lessons)
    return int(any([o.kind != "runs" for o in outcomes]))


if __name__ == "__main__":
    sys.exit(main())
