"""Keep each lesson's notebook in step with the text beside it: `python -m lessons_lib.pairing`.

`notebooks/NN_name.py` (jupytext's percent format) is what is reviewed, and the source of truth;
`notebooks/NN_name.ipynb` is generated from it, with no outputs, no widget state and cell ids that
follow the cells' text, so that equal lessons are equal files.

Neither file names the other, so JupyterLab opens and saves a plain notebook: what a student types
there is in the notebook alone, and nothing here writes over it. To keep what a maintainer changed
there, `--from-notebook` writes the text.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections import Counter
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from .paths import NOTEBOOKS, write_whole

METADATA = {  # the same in every lesson
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}
KEPT = ("tags", "nbmake", "sentence", "jupyter", "slideshow")  # of a cell's metadata


def strip(notebook: NotebookNode) -> NotebookNode:
    """The notebook with nothing in it that running it has left, and stable cell ids."""
    seen: Counter[str] = Counter()
    cells = []
    for cell in notebook.cells:
        digest = hashlib.sha1(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
        metadata = {key: cell.metadata[key] for key in KEPT if key in cell.metadata}
        clean = {
            "cell_type": cell.cell_type,
            "id": f"{digest}-{seen[digest]}" if seen[digest] else digest,
            "metadata": metadata,
            "source": cell.source,
        }
        if cell.cell_type == "code":
            clean |= {"execution_count": None, "outputs": []}
        seen[digest] += 1
        cells.append(clean)
    return nbformat.from_dict(
        {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    )


def from_text(text: Path) -> NotebookNode:
    """The stripped notebook that a percent-format text describes."""
    return strip(jupytext.read(text, fmt="py:percent"))


def dump(notebook: NotebookNode) -> str:
    """A notebook as the characters of its file."""
    return nbformat.writes(notebook, indent=1) + "\n"


def text_of(notebook: NotebookNode) -> str:
    """The percent-format text of a notebook: its cells, and no header."""
    plain = strip(notebook)
    plain.metadata = {"jupytext": {"notebook_metadata_filter": "-all"}}
    return jupytext.writes(plain, fmt="py:percent")


def cells(notebook: NotebookNode) -> list[tuple]:
    """What has to agree between a notebook and its text: kind, source and what is said of every cell."""
    return [
        (c.cell_type, c.source, *(c.metadata.get(said) for said in ("tags", "nbmake", "sentence")))
        for c in notebook.cells
    ]


def edited(notebook: NotebookNode) -> bool:
    """Whether a cell was written or changed since the notebook came from its text."""
    ids = [cell.get("id") for cell in notebook.cells]
    return ids != [cell.id for cell in strip(notebook).cells]


def problems(folder: Path = NOTEBOOKS) -> list[str]:
    """One sentence for each lesson whose two files are not plain or not in step."""
    found = []
    for name in sorted({p.stem for p in folder.glob("[0-9]*.*") if p.suffix in (".py", ".ipynb")}):
        text, path = folder / f"{name}.py", folder / f"{name}.ipynb"
        if not text.exists():
            found.append(f"{path.name} has no {text.name} beside it.")
        elif not path.exists():
            found.append(f"{text.name} has no {path.name} beside it.")
        else:
            notebook = nbformat.read(path, as_version=4)
            if cells(notebook) != cells(from_text(text)):
                found.append(f"{path.name} and {text.name} are not in step.")
            elif path.read_text(encoding="utf-8") != dump(strip(notebook)):
                found.append(f"{path.name} is not stripped: it holds outputs or other metadata.")
            elif text.read_text(encoding="utf-8") != text_of(notebook):
                found.append(
                    f"{text.name} is not plain: it has a header, or cells written otherwise."
                )
    return found


def sync(folder: Path = NOTEBOOKS) -> list[str]:
    """Write every notebook anew from its text; returns the names that changed.

    A notebook that differs from its text, and was edited or is the younger of the two, holds
    somebody's work: nothing is written, and a `ValueError` says how to keep either.
    """
    written = {}
    for text in sorted(folder.glob("[0-9]*.py")):
        path, notebook = text.with_suffix(".ipynb"), from_text(text)
        if path.exists():
            there = nbformat.read(path, as_version=4)
            younger = path.stat().st_mtime > text.stat().st_mtime
            if cells(there) != cells(notebook) and (younger or edited(there)):
                raise ValueError(
                    f"{path.name} holds what {text.name} does not: keep it with "
                    f"`python -m lessons_lib.pairing --from-notebook {path.name}`, "
                    f"or move it away, and it is written anew from the text."
                )
        written[path] = dump(notebook)
    return [path.name for path, new in written.items() if write(path, new)]


def write(path: Path, new: str) -> bool:
    """Write a file if its text would change; says whether it did."""
    if path.exists() and path.read_text(encoding="utf-8") == new:
        return False
    write_whole(path, new)
    return True


def from_notebooks(names: list[str], folder: Path = NOTEBOOKS) -> list[str]:
    """Write the texts of these notebooks anew (of all of them for no names); names that changed.

    Raises ValueError for a name of no notebook.
    """
    paths = [folder / Path(name).with_suffix(".ipynb").name for name in names]
    changed = []
    for path in paths or sorted(folder.glob("[0-9]*.ipynb")):
        if not path.exists():
            raise ValueError(f"There is no notebook {path.name} in {folder}.")
        text = path.with_suffix(".py")
        if write(text, text_of(nbformat.read(path, as_version=4))):
            changed.append(text.name)
        text.touch()  # the younger of the two now
    return changed


def main() -> int:
    """Sync, or with --check only say what is out of step."""
    parser = argparse.ArgumentParser(prog="python -m lessons_lib.pairing", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if out of step")
    parser.add_argument(
        "--from-notebook", nargs="*", metavar="NAME", help="write the texts first (default: all)"
    )
    args = parser.parse_args()
    if args.check:
        found = problems()
        print(*found, *(["`make format` brings them back in step."] if found else []), sep="\n")
        return 1 if found else 0
    try:
        texts = from_notebooks(args.from_notebook) if args.from_notebook is not None else []
        changed = texts + sync()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print("written:", ", ".join(changed) or "nothing, all lessons are in step")
    return 0


if __name__ == "__main__":
    sys.exit(main())
