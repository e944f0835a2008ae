"""That no lesson mixes devices: `python tests/lessons_by_device.py [--devices mps,cuda] [--lessons 01,05]`.

Each lesson is run to its end, at tiny settings and on the networks that it comes with, on a pretend device
(`pretend`). What stops it is printed, and then this fails.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import matplotlib

from families_by_lessons import apart, table
from lessons_lib.paths import NOTEBOOKS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", default="mps,cuda", help="those that are pretended")
    parser.add_argument("--lessons", default="", help="such as 01,05; by default all")
    args = parser.parse_args()
    matplotlib.use("Agg")
    known = sorted(p.name.split("_")[0] for p in NOTEBOOKS.glob("[0-9]*.py"))
    lessons, devices = args.lessons.split(",") if args.lessons else known, args.devices.split(",")
    found = {}
    for device in devices:
        for number in lessons:
            outcome = found[device, number] = apart(number, "", device, device)
            print(f"{device}, {number}: {outcome.kind} in {outcome.seconds:.0f} s. {outcome.text}",
                  file=sys.stderr, flush=True)  # fmt: skip
    print(table(found, devices, lessons))
    return int(any(o.kind != "runs" for o in found.values()))


if __name__ == "__main__":
    sys.exit(main())
