"""The lessons' pages as a site: ways between them, contents, search, words for pictures; nothing outside."""

import base64
import io
import re

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from lessons_lib.paths import MIME, number_of
from lessons_lib.press.handout import page
from lessons_lib.press.runner import lessons_named
from lessons_lib.press.site import (
    index,
    neighbours,
    questions,
    shown_for,
    small,
    with_anchors,
    write_site,
)


def picture(size=(900, 300), **said):
    out = io.BytesIO()
    Image.new("RGB", size, "red").save(out, "PNG")
    data = {"image/png": base64.b64encode(out.getvalue()).decode()}
    return new_output("display_data", data, metadata={"image/png": said})


def executed():
    """A lesson as it is after a run: a table, a link, an equation, a figure, a control, a result."""
    tables = "|  | b |\n|---|---|\n| 1 | 2 |\n\n| c |\n|---|\n| 3 |"
    text = f"# 01 · A lesson\n\n## First <part>\n\n{tables}\n\n[next](02_x.ipynb) $x^2$"
    first = new_code_cell("strips()", outputs=[picture(alt="rows: <x>")])
    told = new_output(
        "display_data", {"text/plain": "error: 1e-06", MIME: {"name": "error", "value": 1e-6}}
    )
    second = new_code_cell("record()", outputs=[told])
    moved = new_code_cell(
        "explore()", outputs=[picture(alt="a picture", controls=["eta", "t_edit"])]
    )
    return new_notebook(
        cells=[new_markdown_cell(text), first, second, moved, new_markdown_cell("## Second")]
    )


def test_a_page_has_ways_contents_and_words():
    html, sections = page(executed(), "01_eta")
    assert [(s.level, s.title, s.id) for s in sections] == [
        (1, "01 · A lesson", "01-a-lesson"), (2, "First", "first"), (2, "Second", "second"),
    ]  # fmt: skip
    assert 'href="00_start_here.html"' in html and 'href="02_cancellation_theorem.html"' in html
    assert '<a href="#second">Second</a>' in html and '<h2 id="second">' in html
    assert 'href="02_x.html"' in html and ".ipynb" not in re.sub(r"data:[^\"]*", "", html)
    assert "In the notebook this picture moves with: eta, t edit." in html
    assert 'alt="rows: &lt;x&gt;"' in html and "No description" not in html
    assert '<html lang="en">' in html and html.count("<main") == 1 and 'href="#lesson"' in html


def test_a_second_part_is_a_lesson_of_its_own_number():
    assert [number_of(n) for n in ("05_asyrp", "05b_x", "mine", "1_x")] == ["05", "05b", "", ""]
    named = [lessons_named([n])[0].stem for n in ("05", "05b", "05b_asyrp", "01_e")]
    assert [number_of(n) for n in named] == ["05", "05b", "05b", "01"]
    assert neighbours(named[0])[1] == named[1]


def test_a_page_asks_for_nothing_outside():
    html, _ = page(executed(), "01_eta")
    assert not re.search(r'(?:src|href)="(?:https?:)?//', html)
    assert not re.search(r"@import|url\((?!['\"]?data:)", html)


def test_anchors_are_told_apart():
    html, sections = with_anchors(
        "<h2>Try it</h2><p>One.</p><h2>Try it</h2><p>Two <b>more</b>.</p>"
    )
    assert [s.id for s in sections] == ["try-it", "try-it-2"]
    assert sections[1].text == "try it two more ."
    assert '<h2 id="try-it-2">' in html


def test_what_stands_for_a_lesson():
    lesson = executed()
    png, alt, sentence = shown_for(lesson)
    assert alt == "rows: <x>" and sentence == "" and png.startswith(b"\x89PNG")
    lesson.cells[3].metadata |= {"tags": ["gallery"], "sentence": "It comes back to {error|.0e}."}
    _, alt, sentence = shown_for(lesson)
    assert (alt, sentence) == ("a picture", "It comes back to 1e-06.")
    lesson.cells[3].metadata["sentence"] = "{nothing}"
    with pytest.raises(ValueError, match="names 'nothing'"):
        shown_for(lesson)
    assert shown_for(new_notebook(cells=[new_markdown_cell("# x")])) == (None, "", "")


def test_a_small_picture_is_small():
    wide = base64.b64decode(picture((2000, 500)).data["image/png"])
    assert Image.open(io.BytesIO(small(wide))).size == (640, 160)


def outcome(name, **more):
    return {
        "name": name, "title": "A <lesson>", "error": "", "seconds": 1.0, "peak_mib": None,
        "parameters": {"source": "<b>"}, "picture": f"{name}.png", "alt": 'x "y"', "sentence": "A < B",
    } | more  # fmt: skip


def test_the_page_of_all_is_escaped_and_searchable(tmp_path):
    _, sections = page(executed(), "01_eta")
    write_site(
        tmp_path, [outcome("01_eta"), outcome("99_x", error="it <failed>")], {"01_eta": sections}
    )
    html, words = ((tmp_path / n).read_text(encoding="utf-8") for n in ("index.html", "search.js"))
    for raw in ("<lesson>", "<failed>", "'<b>'", 'alt="x "y""'):
        assert raw not in html
    assert "it &lt;failed&gt;" in html and questions()["01_eta"][0][:20] in html
    assert '"id": "second"' in words and "</" not in words.split("\n")[0].replace("<\\/", "")
    assert 'src="search.js"' in html and not re.search(r'(?:src|href)="(?:https?:)?//', html)


def test_neighbours_are_the_lessons_beside():
    assert neighbours("00_start_here")[0] == "" and neighbours("00_start_here")[1] == "01_eta"
    assert neighbours("mine") == ("", "")
    assert index([]).count("<li>") == 0
