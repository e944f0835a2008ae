"""What binds the lessons' pages into a site: the way between them, contents, a search, the page of all.

A site is a folder of files that ask for nothing outside of it. A lesson says what stands for it: the figure
of the cell tagged `gallery`, and that cell's `sentence`, in which a {result's name} is this run's number.
"""

from __future__ import annotations

import base64
import io
import json
import math
import re
from collections.abc import Iterator
from functools import cache
from html import escape, unescape
from pathlib import Path
from typing import NamedTuple

from nbformat import NotebookNode

from ..paths import MIME, NOTEBOOKS, ROOT, number_of, write_whole

HERE = Path(__file__).parent
HEADING = re.compile(r"<h([123])(?: id=\"[^\"]*\")?>(.*?)</h\1>", re.DOTALL)
EXERCISE = re.compile(  # number, title, how hard, minutes
    r"^### Exercise (\d+) · (.*?) <small>\((easy|medium|hard) · (\d+) minutes\)", re.MULTILINE
)
WIDE = 640  # pixels of a picture of the gallery


class Section(NamedTuple):
    """A part of a page under one heading. id: its anchor; text: what it says, in small letters."""

    id: str
    level: int
    title: str
    text: str


def asset(name: str) -> str:
    """The text of one of this folder's files, `site.css` or `site.js`."""
    return (HERE / name).read_text(encoding="utf-8")


def plain_text(html: str) -> str:
    """The words of a piece of HTML."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def with_anchors(html: str) -> tuple[str, list[Section]]:
    """The page with an id on each heading, and its sections in order."""
    marks, used, sections = list(HEADING.finditer(html)), {}, []
    out, at = [], 0
    for i, mark in enumerate(marks):
        title = plain_text(mark[2])
        slug = re.sub(r"[^\w]+", "-", title.lower()).strip("-") or "section"
        used[slug] = used.get(slug, 0) + 1
        anchor = slug if used[slug] == 1 else f"{slug}-{used[slug]}"
        end = marks[i + 1].start() if i + 1 < len(marks) else len(html)
        part = html[mark.start() : end]
        said = plain_text(re.sub(r"<(pre|style|script)\b.*?</\1>", " ", part, flags=re.DOTALL))
        sections.append(Section(anchor, int(mark[1]), title, said.lower()[:3000]))
        out += [html[at : mark.start()], f'<h{mark[1]} id="{anchor}">{mark[2]}</h{mark[1]}>']
        at = mark.end()
    return "".join([*out, html[at:]]), sections


def neighbours(name: str) -> tuple[str, str]:
    """The lessons before and after this one, or "" where there is none."""
    all_of_them = [p.stem for p in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))]
    if name not in all_of_them:
        return "", ""
    i = all_of_them.index(name)
    return (all_of_them[i - 1] if i else ""), (
        all_of_them[i + 1] if i + 1 < len(all_of_them) else ""
    )


def bar(name: str, sections: list[Section]) -> str:
    """Above a lesson: the way to the others, and its contents."""
    before, after = neighbours(name)
    links = ['<a href="index.html">All lessons</a>']
    links += [f'<a rel="prev" href="{before}.html">← {number_of(before)}</a>'] if before else []
    links += (
        [f'<a rel="next" class="next" href="{after}.html">{number_of(after)} →</a>']
        if after
        else []
    )
    items = "".join(
        f'<li><a href="#{s.id}">{escape(s.title)}</a></li>' for s in sections if s.level == 2
    )
    contents = f"<details><summary>Contents</summary><ol>{items}</ol></details>"
    return (
        '<a class="skip" href="#lesson">Skip to the lesson</a>'
        f'<nav class="bar" aria-label="Lessons">{"".join(links)}</nav>'
        f'<nav class="toc" aria-label="Contents">{contents if items else ""}</nav>'
    )


def records(notebook: NotebookNode) -> Iterator[dict]:
    """What `lesson.record` kept in an executed notebook, in order."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            said = output.get("data", {}).get(MIME)
            if isinstance(said, dict) and _is_record(said):
                yield {
                    "name": said["name"],
                    "value": float(said["value"]),
                    "note": said.get("note", ""),
                }


def _is_record(said: dict) -> bool:
    value = said.get("value")
    number = (
        isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    )
    return number and isinstance(said.get("name"), str) and isinstance(said.get("note", ""), str)


def shown_for(notebook: NotebookNode) -> tuple[bytes | None, str, str]:
    """Of an executed lesson: a figure as PNG, what it shows in words, and a sentence with its numbers.

    They are of the cell tagged `gallery`; without one, the first picture stands for the lesson, and no
    sentence. Raises ValueError for a sentence that names a result which the lesson did not record.
    """
    pictured = [c for c in notebook.cells if _picture(c)]
    tagged = [c for c in pictured if "gallery" in c.metadata.get("tags", ())]
    if not pictured:
        return None, "", ""
    cell = (tagged or pictured)[0]
    numbers = {r["name"]: r["value"] for r in records(notebook)}

    def number(match: re.Match) -> str:
        name, _, form = match[1].partition("|")
        if name not in numbers:
            raise ValueError(
                f"The gallery's sentence names {name!r}, which this lesson does not record."
            )
        return format(numbers[name], form or ".3g")

    sentence = re.sub(r"\{([^{}]+)\}", number, cell.metadata.get("sentence", "")) if tagged else ""
    output = _picture(cell)
    alt = output.get("metadata", {}).get("image/png", {}).get("alt", "")
    return base64.b64decode(output["data"]["image/png"]), alt, sentence


def _picture(cell: NotebookNode) -> NotebookNode | None:
    outputs = cell.get("outputs", ())
    return next((o for o in outputs if "image/png" in o.get("data", {})), None)


def small(png: bytes, wide: int = WIDE) -> bytes:
    """A picture at most so many pixels wide (of the gallery: `WIDE`), in 128 colours."""
    from PIL import Image

    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.thumbnail((wide, wide), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.quantize(128).save(out, "PNG", optimize=True)
    return out.getvalue()


@cache
def questions() -> dict[str, tuple[str, str]]:
    """The README's table of lessons: name -> (the question it answers, minutes)."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    rows = re.findall(r"^\| \[(\w+)\]\([^)]*\) \| (.*?) \| (\d+) \|$", text, re.MULTILINE)
    return {name: (question, minutes) for name, question, minutes in rows}


def write_site(out: Path, outcomes: list[dict], sections: dict[str, list[Section]]) -> None:
    """The page of all lessons, with a search over their sections."""
    titles = {o["name"]: o["title"] for o in outcomes}
    listed = [
        {"page": name, "lesson": titles[name], "id": s.id, "title": s.title, "text": s.text}
        for name, found in sections.items() if name in titles for s in found
    ]  # fmt: skip
    words = json.dumps(listed, ensure_ascii=False).replace("</", "<\\/")
    write_whole(out / "search.js", f"const SECTIONS = {words};\n{asset('site.js')}")
    write_whole(out / "index.html", index(outcomes))


def index(outcomes: list[dict]) -> str:
    """The page that lists the lessons, by their questions, and below what their last runs took."""
    cards = "".join(_card(o) for o in outcomes)
    rows = "".join(
        f"<tr><td>{escape(o['name'])}</td><td>{o['seconds']:.0f} s</td><td>{memory(o)}</td>"
        f"<td{' class=failed' if o['error'] else ''}>{escape(o['error'] or 'ok')}</td>"
        f"<td>{escape(', '.join(f'{k} = {v!r}' for k, v in o['parameters'].items()))}</td></tr>"
        for o in outcomes
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>lessons_lib: the lessons</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<style>{COLOURS}{asset("site.css")}</style></head><body class="home"><main id="lesson">'
        "<h1>The latent spaces of diffusion models: lessons</h1>"
        '<p><label for="find">Search the lessons</label><br><input id="find" type="search"></p>'
        '<p id="count" class="small" role="status"></p><ul id="found"></ul>'
        f'<ul class="cards">{cards}</ul><h2>The last runs</h2><div class="scroll" tabindex="0" role="region" '
        'aria-label="The last runs"><table><tr><th>Lesson</th><th>Time</th><th>Peak memory</th><th>Run</th>'
        f"<th>Parameters changed</th></tr>{rows}</table></div></main>"
        '<script src="search.js"></script></body></html>\n'
    )


# Of the page of all, which has no stylesheet of notebooks.
COLOURS = """body { --jp-layout-color0: white; --jp-content-font-color1: #1a1a1a }
"""


def _card(o: dict) -> str:
    question, minutes = questions().get(o["name"], ("", ""))
    link = f"{o['name']}.html"
    picture = (
        f'<img src="{o["picture"]}" alt="{escape(o["alt"], quote=True)}">'
        if o.get("picture")
        else ""
    )
    return (
        f'<li>{picture}<h2><a href="{link}">{escape(o["title"])}</a></h2><p>{escape(question)}</p>'
        + (f'<p class="small">{escape(o["sentence"])}</p>' if o.get("sentence") else "")
        + (f'<p class="small">{minutes} minutes</p>' if minutes else "")
        + (f'<p class="failed">{escape(o["error"])}</p>' if o["error"] else "")
        + "</li>"
    )


def memory(outcome: dict) -> str:
    """A lesson's peak memory in words."""
    return f"{outcome['peak_mib']:.0f} MiB" if outcome["peak_mib"] else "–"
