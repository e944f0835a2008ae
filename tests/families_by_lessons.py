"""Which lessons run on which published layout: `python tests/families_by_lessons.py [--lessons 01,05] …`.

Each lesson is run, at tiny settings, on a small random checkpoint of each layout (`published`): it runs to
its end, or says in one sentence why it cannot. Anything else is a crash, and then this fails.
"""

import argparse
import contextlib
import io
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from itertools import product
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

import jupytext
import matplotlib
import matplotlib.pyplot as plt
import torch

from lessons_lib import worlds  # noqa: F401  imported before the processes part
from lessons_lib.judges import metrics  # noqa: F401
from lessons_lib.paths import NOTEBOOKS, number_of, write_whole
from pretend import Pretend
from published import LAYOUTS, tame

LIMIT = 600  # seconds of one lesson
PROMPT = "a red house"
# What a layout that must be told is told: of lesson 04 twice; of 08 and 12 their sources, too.
TOLD = {
    "class-conditional": ("3", "4"),
    "CompVis/stable-diffusion-v1-4": (PROMPT, "a blue car"),
    "CompVis/ldm-text2im-large-256": (PROMPT, "a blue car"),
}
CHECKPOINTS = "checkpoint", "source", "second_source"
# Beside the small settings that a lesson's own tests have (`mock` of its parameters cell).
OWN = {
    "04": {"conditions": [0, 1]},
    "04b": {"conditions": [0, 1]},
    "08": {"stranger": ""},
    "09": {"starts": [300], "source_text": PROMPT, "target_text": f"{PROMPT} at night"},
    "11": {"attributes": "old, smiling"},
    "13": {"n_images": 2, "counts": [2, 3]},
}


class Outcome(NamedTuple):
    """kind: 'runs', 'says' (a sentence), or 'crashes'. text: the sentence or the error; seconds: it took;
    memory: bytes of a real cuda device, at most."""

    kind: str
    text: str
    seconds: float
    memory: int = 0


CRASH, NOT_RUN = Outcome("crashes", "", 0.0), Outcome("–", "", 0.0)
# Pixels of a stand-in's pictures, where the lesson's judges need more than 16.
SIDES = {"08": 32, "08b": 32, "09": 32, "12": 32}


def parameters(number: str, mock: dict, checkpoint: Path, family: str) -> dict:
    """The small settings of a lesson, `mock` and its `OWN`, and every name of what it may be told."""
    given = mock | OWN.get(number, {}) | dict.fromkeys(CHECKPOINTS, str(checkpoint))
    if family in TOLD:
        first, other = TOLD[family]
        given |= {"prompt": first, "source_prompt": first, "other_prompt": other}
        given |= {"text_checkpoint": str(checkpoint)} if first == PROMPT else {}
    return given


def cells_of(number: str) -> tuple[str, dict, list[str]]:
    """The parameters cell, its small settings, and the other code cells of a lesson."""
    (path,) = NOTEBOOKS.glob(f"{number}_*.py")
    cells = [c for c in jupytext.read(path).cells if c.cell_type == "code"]
    (tagged,) = [c for c in cells if "parameters" in c.metadata.get("tags", ())]
    return (
        tagged.source,
        tagged.metadata["nbmake"]["mock"],
        [c.source for c in cells if c is not tagged],
    )


def as_shipped(number: str, mock: dict) -> dict:
    """The small settings of a lesson on the networks that it comes with, whose words are its own."""
    return {k: v for k, v in (mock | OWN.get(number, {})).items() if "text" not in k}


def run(
    number: str, checkpoint: Path | str, family: str, device: str = "cpu", real: bool = False
) -> Outcome:
    """Run a lesson in this process, cell by cell; on a pretend device, if one is named.

    checkpoint: '' is what the lesson comes with. real: on the device itself, at the lesson's own settings.
    """
    tagged, mock, cells = cells_of(number)
    space, start = {"__name__": "__main__", "display": lambda *_, **__: None}, time.perf_counter()
    exec(tagged, space)
    given = parameters(number, mock, checkpoint, family) if checkpoint else as_shipped(number, mock)
    if real:
        given = {"checkpoint": str(checkpoint)} if checkpoint else {}
    space |= {k: v for k, v in given.items() if k in space} | {"device": device}
    there = contextlib.nullcontext() if device == "cpu" or real else Pretend(device)
    try:
        for source in cells:
            with contextlib.redirect_stdout(io.StringIO()), there:
                exec(compile(source, f"lesson {number}", "exec"), space)
            plt.close("all")
    except Exception as error:
        return Outcome(*judged(error, source), time.perf_counter() - start)
    memory = torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else 0
    return Outcome("runs", "", time.perf_counter() - start, memory)


def judged(error: Exception, source: str) -> tuple[str, str]:
    """Whether an error of a cell is one sentence that the library raises itself; and its text."""
    last, text = traceback.extract_tb(error.__traceback__)[-1], str(error)
    ours = "lessons_lib" in last.filename and (last.line or "").startswith("raise")
    if isinstance(error, ValueError) and ours and text.endswith((".", ")")) and "\n" not in text:
        return "says", text
    where = [
        f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith("lesson ")
    ]
    line = source.splitlines()[where[0].lineno - 1].strip() if where else ""  # of this cell
    first = text.splitlines()[0] if text else ""
    return (
        "crashes",
        f"`{line}`: {type(error).__name__}: {first} ({Path(last.filename).name}:{last.lineno})",
    )


def apart(
    number: str, checkpoint: Path | str, family: str, device: str = "cpu", real: bool = False
) -> Outcome:
    """`run` in a process of its own, which may die or hang without harm."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(LIMIT)
        torch.set_num_threads(1)
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
            outcome = run(number, checkpoint, family, device, real)
        os.write(write, json.dumps(outcome).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as end:
        said = end.read()
    _, status = os.waitpid(child, 0)
    return (
        Outcome(*json.loads(said))
        if said
        else Outcome("crashes", f"ended by signal {status}", LIMIT)
    )


def table(found: dict[tuple[str, str], Outcome], families, lessons, of: str = "layout") -> str:
    """Markdown: a row a layout, or what `of` says, a column a lesson ('–': not run); then what is said."""
    notes: dict[str, int] = {}
    lines = [f"| {of} | " + " | ".join(lessons) + " |", "|---" * (1 + len(lessons)) + "|"]
    for family in families:
        row = []
        for number in lessons:
            outcome = found.get((family, number), NOT_RUN)
            mark = {"says": "no", "crashes": "**crashes**"}.get(outcome.kind, outcome.kind)
            if outcome.text:
                mark += f" ({notes.setdefault(outcome.text, len(notes) + 1)})"
            row.append(mark)
        lines.append(f"| {family} | " + " | ".join(row) + " |")
    return "\n".join([*lines, "", *(f"{i}. {text}" for text, i in notes.items())])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lessons", default="", help="such as 01,05; by default all")
    parser.add_argument("--device", default="cpu", help="cuda or mps: a pretend one (`pretend`)")
    parser.add_argument("--families", default="", help="parts of their names; by default all")
    parser.add_argument("--keep", type=Path, help="a JSON file of outcomes: what is there is not run again, "
                        "but for crashes")  # fmt: skip
    args = parser.parse_args()
    matplotlib.use("Agg")
    lessons = (
        args.lessons.split(",")
        if args.lessons
        else sorted(number_of(p.name) for p in NOTEBOOKS.glob("[0-9]*.py"))
    )
    parts = args.families.split(",")
    families = [name for name in LAYOUTS if any(part in name for part in parts)]
    found = kept(args.keep)
    with tempfile.TemporaryDirectory() as home:
        for number, family in product(lessons, families):
            if found.get((family, number), CRASH).kind != "crashes":
                continue
            folder = Path(home) / f"{list(LAYOUTS).index(family)}-{SIDES.get(number, 16)}"
            if not folder.exists():
                LAYOUTS[family](folder)
                tame(folder, SIDES.get(number, 16))
            outcome = apart(number, folder, family, args.device)
            outcome = outcome._replace(text=outcome.text.replace(repr(str(folder)), "it"))
            found[family, number] = outcome
            print(f"{family}, {number}: {outcome.kind} in {outcome.seconds:.0f} s. {outcome.text}",
                  file=sys.stderr, flush=True)  # fmt: skip
            keep(args.keep, found)
    print(table(found, families, lessons))
    return int(any(o.kind == "crashes" for o in found.values()))


def kept(path: Path | None) -> dict[tuple[str, str], Outcome]:
    """The outcomes in a file, if it is there."""
    rows = json.loads(path.read_text()) if path and path.exists() else []
    return {(family, number): Outcome(*outcome) for family, number, *outcome in rows}


def keep(path: Path | None, found: dict[tuple[str, str], Outcome]) -> None:
    """Write the outcomes to a file, if one is named."""
    if path:
        write_whole(path, json.dumps([[*cell, *outcome] for cell, outcome in found.items()]))


if __name__ == "__main__":
    sys.exit(main())
