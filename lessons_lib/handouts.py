"""One page of paper a lesson: `python -m lessons_lib.handouts [NOTEBOOK…] [--out FOLDER]`.

A hand-out has the lesson's question, the four things to remember (of `docs/teaching/`), the figure that
stands for it in its last run, and its exercises. It prints on one A4 page and asks for nothing outside.
"""

from __future__ import annotations

import argparse
import base64
import re
import sys
from html import escape
from pathlib import Path
from typing import NamedTuple

from nbformat import NotebookNode

from .paths import BUILD, ROOT, made, write_whole
from .press.handout import title
from .press.runner import lessons_named, read
from .press.site import EXERCISE, questions, shown_for, small

TEACHING = ROOT / "docs" / "teaching"
WIDE = 1400  # pixels of the figure, which is printed 18 cm wide
STYLE = """@page { size: A4; margin: 14mm }
body { font: 10.5pt/1.4 system-ui, sans-serif; color: #1a1a1a; background: white }
body { max-width: 182mm; margin: 0 auto }
@media screen { body { padding: 8mm } }
h1 { font-size: 17pt; margin: 0 0 2mm } h2 { font-size: 11.5pt; margin: 4mm 0 1mm } p { margin: 0 0 2mm }
ol, ul { margin: 0; padding-left: 6mm } li { margin: 0 0 1.2mm } .question { font-size: 12pt }
img { display: block; max-width: 100%; max-height: 88mm; margin: 2mm auto }
.small { font-size: 9pt; color: #444 } sub, sup { font-size: 75%; line-height: 0 }
"""


class Exercise(NamedTuple):
    """An exercise's heading. level: easy, medium or hard."""

    number: int
    title: str
    level: str
    minutes: int


def exercises(notebook: NotebookNode) -> list[Exercise]:
    """The exercises of a lesson, in order."""
    texts = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    found = EXERCISE.findall(texts)
    return [Exercise(int(n), task, level, int(m)) for n, task, level, m in found]


def part(page: str, heading: str) -> str:
    """What stands below a `##` heading of a teacher's page; "" where there is none."""
    found = re.search(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE
    )
    return found[1].strip() if found else ""


def four_things(name: str) -> list[str]:
    """The four things to remember of a lesson, by its teacher's page.

    Raises ValueError where there is no such page.
    """
    path = TEACHING / f"{name}.md"
    if not path.is_file():
        there = ", ".join(p.stem for p in sorted(TEACHING.glob("[0-9]*.md"))) or "none"
        raise ValueError(f"There is no teacher's page docs/teaching/{name}.md: there are {there}.")
    page = path.read_text(encoding="utf-8")
    return re.findall(r"^\d+\. (.*)$", part(page, "Four things to remember"), re.MULTILINE)


def typeset(text: str) -> str:
    """A line of Markdown as HTML: x_t and 2^S as on paper, `code` and *words* as in Markdown, all escaped."""
    out = []
    for piece in re.split(r"(`[^`]+`)", escape(text, quote=False)):
        if piece.startswith("`"):
            out.append(f"<code>{piece[1:-1]}</code>")
            continue
        piece = re.sub(r"_([A-Za-z0-9]+'?)", r"<sub>\1</sub>", piece)
        piece = re.sub(r"\^(\w+|\([^)]*\))", r"<sup>\1</sup>", piece)
        out.append(re.sub(r"\*(\w[^*]*)\*", r"<em>\1</em>", piece))
    return "".join(out)


def not_run(name: str) -> str:
    """The sentence for a lesson that has no figure yet."""
    return (
        f"This lesson was not run here yet: `python -m lessons_lib.pages {name}` draws its figure."
    )


def executed(name: str) -> NotebookNode | None:
    """The lesson as it was last run into `build/`, or None."""
    path = BUILD / f"{name}.ipynb"
    return read(path) if path.is_file() else None


def handout(lesson: NotebookNode, name: str, things: list[str], run: NotebookNode | None) -> str:
    """A hand-out as one HTML page. things: what to remember; run: the lesson executed, None without."""
    question, minutes = questions().get(name, ("", ""))
    said = f"{minutes} minutes. " if minutes else ""
    tasks = "".join(
        f"<li>{typeset(e.title)} ({e.level}, {e.minutes} minutes)</li>" for e in exercises(lesson)
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(name)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{typeset(title(lesson, name))}</h1>"
        f'<p class="question">{typeset(question)}</p><h2>Four things to remember</h2>'
        f"<ol>{''.join(f'<li>{typeset(t)}</li>' for t in things)}</ol>{_figure(run, name)}"
        f'<h2>Exercises</h2><ol>{tasks}</ol><p class="small">{said}'
        f"The lesson is notebooks/{escape(name)}.ipynb.</p></body></html>\n"
    )


def _figure(run: NotebookNode | None, name: str) -> str:
    png, alt, sentence = shown_for(run) if run else (None, "", "")
    if png is None:
        return f'<p class="small">{escape(not_run(name))}</p>'
    data = base64.b64encode(small(png, WIDE)).decode()
    below = f'<p class="small">{escape(sentence)}</p>' if sentence else ""
    return f'<img src="data:image/png;base64,{data}" alt="{escape(alt, quote=True)}">{below}'


def main(argv: list[str] | None = None) -> int:
    """Write hand-outs: 0, or 2 with a sentence for a lesson that is none, or that has no teacher's page."""
    parser = argparse.ArgumentParser(prog="python -m lessons_lib.handouts", description=__doc__)
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="default: every lesson")
    parser.add_argument(
        "--out", type=Path, default=BUILD / "handouts", help="default: build/handouts"
    )
    args = parser.parse_intermixed_args(argv)
    try:
        named = [(p, four_things(p.stem)) for p in lessons_named(args.notebooks)]
        made(args.out)
        for path, things in named:
            run, target = executed(path.stem), args.out / f"{path.stem}.html"
            write_whole(target, handout(read(path), path.stem, things, run))
            print(target if run else f"{target}. {not_run(path.stem)}")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
