"""Where this copy of the project keeps its things, how a file is written whole, and the table of seeds."""

from __future__ import annotations

import glob
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
DATA = ROOT / "data"
EMBEDDED = DATA / "checkpoints"
DIRECTIONS = DATA / "directions"
CARD = "card.json"  # beside each network and direction; see `cards`
MIME = "application/vnd.lessons-lib.result+json"  # of what `lesson.record` keeps in a notebook
BUILD = ROOT / "build"  # what commands make, and can make again


LESSON = r"\d\d[a-z]?"  # the number of a lesson: 05, or 05b for what goes on from it


def number_of(name: str) -> str:
    """A lesson's number, which its name begins with: "05b" of "05b_rivals". "" of a name without one."""
    found = re.match(rf"({LESSON})_", name)
    return found[1] if found else ""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write a file that then takes the place of `path`: nobody ever reads half of it, nor a
    mixture of two processes'. If the writing fails, the one before stays."""
    part = part_of(path)
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def made(folder: Path) -> Path:
    """A folder to write into, made if it is not there. Raises ValueError where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"--out {folder} cannot be made ({error.strerror}): name a folder that you may write to."
        ) from error
    return folder


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a text or bytes, as `whole`."""
    with whole(path) as part:
        if isinstance(content, bytes):
            part.write_bytes(content)
        else:
            part.write_text(content, encoding="utf-8", newline="\n")


def part_of(path: Path) -> Path:
    """A name of its own beside `path` for what is not whole yet.

    What killed processes left there under such a name an hour ago, or earlier, is deleted.
    """
    for old in path.parent.glob(f".*.part.{glob.escape(path.name)}"):
        try:
            if time.time() - old.stat().st_mtime > 3600:
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        except FileNotFoundError:
            pass  # another process was first
    return path.with_name(f".{secrets.token_hex(4)}.part.{path.name}")


# Of the seeds of pictures: recipes draw from here upwards, and no picture of theirs measures anything.
TRAIN_SEEDS = 1_000_000
TRAIN_EDITS = (
    TRAIN_SEEDS + 500_000
)  # of these, those that edits and the critic's pairs are trained on
# What no recipe trains on: where each purpose's seeds begin; they end where the next one's begin.
HELD_OUT = {
    "lessons": 0,
    "text edits": 700_000,
    "networks": 900_000,
    "edits": 900_700,
    "translations": 920_000,
    "other people": 950_000,
    "guidance": 960_000,
}
# Further seeds of a purpose lie above all that recipes and lessons train on, ROOM of them for each; torch
# draws by the last 32 bits of a seed alone.
BEYOND, ROOM = 2_200_000_000, 290_000_000


def held_out_seed(purpose: str, seed: int = 0) -> int:
    """The seed of pictures for a purpose (see HELD_OUT) that no recipe trains on, for `seed` from 0.

    Raises ValueError for another purpose, or a seed that is no whole number from 0 to 289,999,999.
    """
    from .checks import whole  # it needs torch, and the doctor has to run without

    if purpose not in HELD_OUT:
        raise ValueError(f"There is no purpose {purpose!r}: seeds are for {', '.join(HELD_OUT)}.")
    if not whole(seed, 0, ROOM - 1):
        raise ValueError(f"seed is {seed!r}: give a whole number from 0 to {ROOM - 1}.")
    starts = [*HELD_OUT.values(), TRAIN_SEEDS]
    rank = list(HELD_OUT).index(purpose)
    near = starts[rank] + seed
    return near if near < starts[rank + 1] else BEYOND + rank * ROOM + seed
