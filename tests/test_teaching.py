"""What a teacher gets: a page for each lesson that fits it, a guide whose links lead somewhere, hand-outs."""

import base64
import io
import re
from urllib.parse import unquote

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from lessons_lib import handouts
from lessons_lib.paths import LESSON, NOTEBOOKS, ROOT, number_of
from lessons_lib.press.site import questions

DOCS = ROOT / "docs"
LESSONS = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
NAMES = [path.stem for path in LESSONS]
HEADINGS = [
    "Skip if short of time",
    "Four things to remember",
    "Typical misconceptions",
    "Minutes",
    "Exam questions",
]
ROW = re.compile(r"^\| (.*) \| (\d+) \| (.*) \|$", re.MULTILINE)
MISCONCEPTION = re.compile(r"^- \*\".+?\"\* .+ Shown in \*(.+?)\*\.$", re.MULTILINE)
KINDS = {"recall", "derive", "read a figure", "find the error"}


def page_of(name):
    return (handouts.TEACHING / f"{name}.md").read_text(encoding="utf-8")


def sections(name):
    """The titles of a lesson's `##` sections in order, each with the exercises in it."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    found = {}
    for cell in (c for c in notebook.cells if c.cell_type == "markdown"):
        for piece in re.split(r"^(?=## )", cell.source, flags=re.MULTILINE):
            if piece.startswith("## "):
                found[piece.split("\n")[0][3:].strip()] = []
            if found:
                part = new_notebook(cells=[new_markdown_cell(piece)])
                found[list(found)[-1]] += handouts.exercises(part)
    return found


def page_faults(page, lesson, minutes):
    """A sentence for each thing in which a teacher's page does not fit its lesson (title -> exercises)."""
    if (there := re.findall(r"^## (.*)$", page, re.MULTILINE)) != HEADINGS:
        yield f"the headings are {there}"
    things = re.findall(r"^\d+\. .*$", handouts.part(page, HEADINGS[1]), re.MULTILINE)
    if len(things) != 4:
        yield f"{len(things)} things to remember"
    yield from misconception_faults(handouts.part(page, HEADINGS[2]), lesson)
    yield from minute_faults(handouts.part(page, HEADINGS[3]), lesson, minutes)
    yield from exam_faults(handouts.part(page, HEADINGS[4]))


def misconception_faults(part, lesson):
    shown = MISCONCEPTION.findall(part)
    items = re.findall(r"^- ", part, re.MULTILINE)
    if not 3 <= len(items) <= 5 or len(items) != len(shown):
        yield f"{len(items)} misconceptions, {len(shown)} of them answered and with a section"
    yield from (f"no section is called {title!r}" for title in shown if title not in lesson)


def minute_faults(part, lesson, minutes):
    rows = ROW.findall(part)
    titles = [title for title, _, _ in rows]
    if titles != list(lesson):
        gone, new = [t for t in titles if t not in lesson], [t for t in lesson if t not in titles]
        yield (
            f"minutes for {gone}, which are no sections; none for {new}" if gone or new else "order"
        )
    if (total := sum(int(m) for _, m, _ in rows)) != minutes:
        yield f"the minutes sum to {total}, not to {minutes}"
    for title, given, tasks in rows:
        there = {e.title: e.minutes for e in lesson.get(title, ())}
        chosen = [] if tasks == "–" else tasks.split("; ")
        yield from (f"{title!r} has no exercise {task!r}" for task in chosen if task not in there)
        if sum(there.get(task, 0) for task in chosen) > int(given):
            yield f"{title!r} is shorter than its exercises"


def exam_faults(part):
    asked = re.split(r"^### ", part, flags=re.MULTILINE)[1:]
    kinds = [question.split("\n")[0].partition(" · ")[2] for question in asked]
    if not 5 <= len(asked) <= 8 or len(set(kinds)) < 3 or not set(kinds) <= KINDS:
        yield f"{len(asked)} exam questions, of the kinds {sorted(set(kinds))}"
    answer = r"\n\n<details><summary>Answer</summary>\n\n(.+?)\n\n</details>\s*\Z"
    for question in asked:
        if not (found := re.search(answer, question, re.DOTALL)) or len(found[1]) < 20:
            yield f"no answer to {question[:60]!r}"


def test_every_lesson_has_its_page_and_no_other_has():
    assert sorted(p.stem for p in handouts.TEACHING.glob("*.md")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_page_fits_its_lesson(name):
    assert list(page_faults(page_of(name), sections(name), int(questions()[name][1]))) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_page_leads_to_its_lesson_by_name(name):
    assert page_of(name).startswith(
        f"# Teaching {name}\n\n[The lesson](../../notebooks/{name}.ipynb)"
    )


def made_up_page():
    """A page of a lesson with two sections, One and Two, of 9 minutes in all; One has an exercise of 4."""
    things = "".join(f"{i}. thing\n" for i in range(1, 5))
    wrong = '- *"No."* Yes. Shown in *One*.\n' * 3
    minutes = "| One | 6 | do it |\n| Two | 3 | – |\n"
    answer = "<details><summary>Answer</summary>\n\nBecause it is so, and not else.\n\n</details>"
    kinds = ["recall", "derive", "read a figure", "find the error", "recall"]
    asked = "".join(f"### {i} · {kind}\n\nWhy?\n\n{answer}\n\n" for i, kind in enumerate(kinds, 1))
    parts = ["Nothing.\n", things, wrong, minutes, asked]
    return "".join(f"## {h}\n\n{part}\n" for h, part in zip(HEADINGS, parts, strict=True))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "", ""),
        ("## Minutes", "## Time", "the headings are"),
        ("4. ", "- ", "3 things to remember"),
        ("| Two |", "| Twos |", "minutes for ['Twos'], which are no sections; none for ['Two']"),
        ("| One | 6 | do it |\n| Two | 3 | – |", "| Two | 3 | – |\n| One | 6 | do it |", "order"),
        ("| Two | 3 |", "| Two | 4 |", "the minutes sum to 10, not to 9"),
        ("| do it |", "| do that |", "'One' has no exercise 'do that'"),
        (
            "| One | 6 | do it |\n| Two | 3 |",
            "| One | 3 | do it |\n| Two | 6 |",
            "is shorter than its",
        ),
        ("### 1 · recall", "### 1 · riddle", "5 exam questions, of the kinds"),
        ("<summary>Answer", "<summary>Hint", "no answer to"),
        ("Shown in *One*", "Shown in *Ones*", "no section is called 'Ones'"),
        ("Shown in *One*", "", "3 misconceptions, 2 of them answered"),
    ],
)
def test_a_page_that_does_not_fit_is_found(old, new, said):
    lesson = {"One": [handouts.Exercise(1, "do it", "easy", 4)], "Two": []}
    page = made_up_page()
    assert old in page
    found = list(page_faults(page.replace(old, new, 1), lesson, 9))
    assert said in "; ".join(found) and bool(found) == bool(said)


# ---------------------------------------------------------------- the guide

GUIDE = (DOCS / "teaching.md").read_text(encoding="utf-8")


def needs():
    """Each lesson of the guide's table, with the numbers of those that it needs."""
    rows = re.findall(rf"^\| ({LESSON}_\w+) \| ([\w, –]+) \| \[", GUIDE, re.MULTILINE)
    return {name: [n for n in told.split(", ") if n != "–"] for name, told in rows}


def test_the_guide_has_every_lesson_and_each_needs_earlier_ones():
    assert list(needs()) == NAMES
    numbers = [number_of(name) for name in NAMES]
    for name, earlier in needs().items():
        assert set(earlier) <= set(numbers[: numbers.index(number_of(name))]), name


def test_the_drawing_says_what_the_table_says():
    drawn = re.findall(
        rf'id="from-({LESSON})-to-({LESSON})"', (DOCS / "lessons.svg").read_text(encoding="utf-8")
    )
    assert sorted(drawn) == sorted(
        (n, number_of(name)) for name, told in needs().items() for n in told
    )


def test_the_routes_take_sections_that_are_there():
    every = {number_of(name): sections(name) for name in NAMES}
    routes = handouts.part(GUIDE, "90 minutes") + handouts.part(GUIDE, "Half a day")
    taken = re.findall(rf"^\| \d+ \| ({LESSON})\b(.*)$", routes, re.MULTILINE)
    assert len(taken) > 9
    for number, words in taken:
        titles = {*every[number], *(e.title for found in every[number].values() for e in found)}
        assert set(re.findall(r"\*([^*]+)\*", words)) <= titles, number


def test_the_routes_take_their_minutes():
    for heading, minutes in (("90 minutes", 90), ("Half a day", 240)):
        rows = re.findall(r"^\| (\d+) \| ", handouts.part(GUIDE, heading), re.MULTILINE)
        assert sum(map(int, rows)) == minutes


# ---------------------------------------------------------------- links


def anchors(text):
    """The anchors that GitHub gives to a page's headings."""
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def lost_links(path, text):
    """The links of a page that lead to no file here, or to no heading of the page."""
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        target, _, anchor = unquote(link).partition("#")
        if re.match(r"https?://|mailto:", link):
            continue
        there = (path.parent / target).resolve()
        found = not target or (there.is_relative_to(ROOT) and there.exists())
        if found and anchor:
            found = anchor in anchors(there.read_text(encoding="utf-8") if target else text)
        if not found:
            yield link


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=lambda p: p.stem)
def test_every_link_of_a_page_leads_somewhere(path):
    assert list(lost_links(path, path.read_text(encoding="utf-8"))) == []


def test_a_lost_link_is_found():
    text = (
        "# One\n[a](#one) [b](#two) [c](presets.md) [d](nothing.md) [e](https://x.org) [f](../../x)"
    )
    assert list(lost_links(DOCS / "teaching.md", text)) == ["#two", "nothing.md", "../../x"]


# ---------------------------------------------------------------- hand-outs


def executed():
    """A made-up lesson after its run, with names that must be escaped."""
    png = io.BytesIO()
    Image.new("RGB", (1800, 600), "red").save(png, "PNG")
    data = {"image/png": base64.b64encode(png.getvalue()).decode()}
    shown = new_output("display_data", data, metadata={"image/png": {"alt": 'rows "<x>"'}})
    task = "### Exercise 1 · write <σ> <small>(easy · 3 minutes)</small>"
    text = f"# 77 · A <lesson>\n\n## One\n\n{task}\n\nDo."
    return new_notebook(cells=[new_markdown_cell(text), new_code_cell("draw()", outputs=[shown])])


def test_a_handout_is_whole_and_escaped():
    lesson = executed()
    html = handouts.handout(lesson, "01_eta", ["a < b", "two", "three", "four"], lesson)
    assert "<h1>77 · A &lt;lesson&gt;</h1>" in html and "<li>a &lt; b</li>" in html
    assert (
        "<li>write &lt;σ&gt; (easy, 3 minutes)</li>" in html
        and questions()["01_eta"][0][:9] in html
    )
    assert 'alt="rows &quot;&lt;x&gt;&quot;"' in html and html.count("<img") == 1
    assert not re.search(r"(?:src|href)=\"(?!data:)|url\(|@import|<script", html)
    png = base64.b64decode(re.search(r"base64,([^\"]+)\"", html)[1])
    assert Image.open(io.BytesIO(png)).size == (1400, 467)
    assert (
        html.startswith("<!doctype html>") and html.endswith("</html>\n") and "not run" not in html
    )


def test_a_line_is_set_as_on_paper():
    said = handouts.typeset("x_t' < σ_t² and 2^S, S^(-1/2), `a_b` *so*; S_D-CLIP")
    assert said == (
        "x<sub>t'</sub> &lt; σ<sub>t</sub>² and 2<sup>S</sup>, S<sup>(-1/2)</sup>, "
        "<code>a_b</code> <em>so</em>; S<sub>D</sub>-CLIP"
    )


def test_a_lesson_that_was_not_run_says_which_command_runs_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(handouts, "BUILD", tmp_path)
    assert handouts.main(["01", "--out", str(tmp_path / "a" / "b")]) == 0
    html = (tmp_path / "a" / "b" / "01_eta.html").read_text(encoding="utf-8")
    for said in (html, capsys.readouterr().out):
        assert "`python -m lessons_lib.pages 01_eta` draws its figure" in said
    assert html.count("<li>") == 4 + len(
        handouts.exercises(nbformat.read(LESSONS[1], as_version=4))
    )


def test_a_lesson_s_last_run_gives_the_figure(tmp_path, monkeypatch):
    monkeypatch.setattr(handouts, "BUILD", tmp_path)
    nbformat.write(executed(), tmp_path / "01_eta.ipynb")
    assert handouts.main(["01", "--out", str(tmp_path)]) == 0
    assert "<img src=" in (tmp_path / "01_eta.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["77"], "names 0 lessons"),
        (["{mine}"], "no teacher's page docs/teaching/mine.md"),
        (["01", "--out", "{mine}"], "name a folder"),
    ],
)
def test_what_gives_no_handout_is_one_sentence(arguments, words, tmp_path, capsys):
    mine = tmp_path / "mine.ipynb"
    nbformat.write(executed(), mine)
    assert handouts.main([a.format(mine=mine) for a in arguments]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
