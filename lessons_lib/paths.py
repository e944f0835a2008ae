"""Where this copy of the project keeps its things, and how a file is written whole."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
DATA = ROOT / "data"
EMBEDDED = DATA / "checkpoints"
DIRECTIONS = DATA / "directions"
BUILD = ROOT / "build"  # what commands make, and can make again


def write_whole(path: Path, text: str) -> None:
    """Write a file so that nobody ever reads half of it; if that fails, the one before stays."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
