"""Copies of lessons for a class: `python -m lessons_lib.classroom student|nbgrader [NOTEBOOK…] --out FOLDER`.

`student` leaves the lessons as they are, to be worked in, with `--without-solutions` lacking those.
`nbgrader` is a teacher's version: each exercise has its solution between nbgrader's marks and, below it, a
locked cell with points (easy 1, medium 2, hard 3) that passes where `lesson.exercise` does. A file that is
there is left alone: it may hold answers.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from .paths import NOTEBOOKS, made, write_whole
from .press.runner import lessons_named, read
from .press.site import EXERCISE

SOLUTION = re.compile(
    r"<details><summary>Solution</summary>\s*```python\n(.*?)```.*?</details>\n?", re.DOTALL
)
POINTS = {"easy": 1, "medium": 2, "hard": 3}
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"


def without_solutions(notebook: NotebookNode) -> NotebookNode:
    """The notebook, changed in place, with no solution in its texts; the hints stay."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = SOLUTION.sub("", cell.source).rstrip("\n")
    notebook.cells = [c for c in notebook.cells if c.cell_type != "markdown" or c.source.strip()]
    return notebook


def as_it_is(notebook: NotebookNode) -> NotebookNode:
    return notebook


def for_nbgrader(notebook: NotebookNode) -> NotebookNode:
    """The notebook, changed in place, as nbgrader's source version of an assignment.

    Raises ValueError for an exercise without a heading, a solution or a check.
    """
    solutions = [code for c in notebook.cells for code in SOLUTION.findall(c.source)]
    cells, number, points, told = [], 0, 0, iter(solutions)
    for cell in without_solutions(notebook).cells:
        if head := EXERCISE.search(cell.source) if cell.cell_type == "markdown" else None:
            number, points = int(head[1]), POINTS[head[3]]
        stub = "exercise" in cell.metadata.get("tags", ())
        if stub:
            code = next(told, None)
            if code is None or not number:
                raise ValueError(f"Exercise {number or '?'} has no heading or no solution.")
            cell.source = marked(code)
            cell.metadata["nbgrader"] = _said(f"exercise-{number}", solution=True)
        cells.append(cell)
        if not stub and cell.cell_type == "code" and number and (check := check_in(cell.source)):
            said = _said(f"exercise-{number}-check", grade=True, locked=True, points=points)
            cells.append(new_code_cell(f"assert {check}", metadata={"nbgrader": said}))
            number = 0
    notebook.cells = cells
    return notebook


def marked(solution: str) -> str:
    """A solution's code with the bodies of its functions between nbgrader's marks."""
    lines, out = solution.rstrip("\n").split("\n"), []
    bodies = {}
    for node in ast.parse(solution).body:
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            bodies[body[0].lineno] = (node.end_lineno, body[0].col_offset)
    open_until = None
    for i, line in enumerate(lines, start=1):
        if i in bodies:
            open_until, indent = bodies[i]
            out.append(" " * indent + BEGIN)
        out.append(line)
        if i == open_until:
            out.append(" " * indent + END)
    return "\n".join(out)


def check_in(source: str) -> str | None:
    """The call of `lesson.exercise` in a cell, as text."""
    try:
        tree = ast.parse(source.rstrip().rstrip(";"))
    except SyntaxError:  # of IPython
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "lesson.exercise":
            return ast.unparse(node)
    return None


def _said(grade_id: str, grade=False, locked=False, solution=False, points=None) -> dict:
    said = {"grade": grade, "grade_id": grade_id, "locked": locked, "schema_version": 3,
            "solution": solution, "task": False}  # fmt: skip
    return said if points is None else said | {"points": points}


def write_copies(lessons: list[Path], change: Callable, out: Path) -> list[Path]:
    """A changed copy of each lesson into a folder; the paths written. What is there is left, and printed."""
    copies = {out / path.name: nbformat.writes(change(read(path))) for path in lessons}
    made(out)
    written = []
    for target, copy in copies.items():
        if target.exists():
            print(f"{target} is there already and is left as it is: move it away for a new one.")
            continue
        write_whole(target, copy)
        written.append(target)
    return written


def main(argv: list[str] | None = None) -> int:
    """Write copies: 0, or 2 with a sentence for a lesson that is none."""
    parser = argparse.ArgumentParser(prog="python -m lessons_lib.classroom", description=__doc__)
    parser.add_argument("version", choices=("student", "nbgrader"))
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="default: every lesson")
    parser.add_argument("--without-solutions", action="store_true")
    parser.add_argument("--out", type=Path, help="default: notebooks/mine, which git leaves alone")
    args = parser.parse_intermixed_args(argv)
    student = without_solutions if args.without_solutions else as_it_is
    change = for_nbgrader if args.version == "nbgrader" else student
    out = args.out or NOTEBOOKS / "mine"
    try:
        lessons = lessons_named(args.notebooks)
        if out.resolve() == NOTEBOOKS.resolve():
            raise ValueError(
                f"--out is {out}, where the lessons themselves are: name another folder."
            )
        for path in write_copies(lessons, change, out):
            print(path)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
