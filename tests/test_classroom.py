"""Copies for a class: no solution left, nbgrader's version by its own rules, answers never written over."""

import shutil
import subprocess

import nbformat
import pytest

from lessons_lib import classroom
from lessons_lib.press.runner import lessons_named

LESSONS = lessons_named([])


def read(path):
    return nbformat.read(path, as_version=4)


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_no_solution_is_left_and_hints_stay(path):
    before, after = read(path), classroom.without_solutions(read(path))
    texts = "".join(c.source for c in after.cells if c.cell_type == "markdown")
    assert "Solution</summary>" not in texts
    assert texts.count("<summary>Hint") == sum(
        c.source.count("<summary>Hint") for c in before.cells
    )
    assert texts.count("<details>") == texts.count("</details>")
    assert [c.source for c in after.cells if c.cell_type == "code"] == [
        c.source for c in before.cells if c.cell_type == "code"
    ]


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_each_exercise_is_graded_once(path):
    stubs = sum("exercise" in c.metadata.get("tags", ()) for c in read(path).cells)
    cells = classroom.for_nbgrader(read(path)).cells
    said = [c.metadata["nbgrader"] for c in cells if "nbgrader" in c.metadata]
    assert sum(s["solution"] for s in said) == sum(s["grade"] for s in said) == stubs > 0
    assert len({s["grade_id"] for s in said}) == 2 * stubs
    for cell in cells:
        kind = cell.metadata.get("nbgrader", {})
        if kind.get("solution"):
            assert cell.source.count(classroom.BEGIN) == cell.source.count(classroom.END) >= 1
            compile(cell.source, path.stem, "exec")
        if kind.get("grade"):
            assert cell.source.startswith("assert lesson.exercise(") and kind["points"] in (1, 2, 3)


def test_marks_are_around_the_body_alone():
    code = 'import math\n\n\ndef f(a):\n    """Root."""\n    b = a\n    return math.sqrt(b)\n'
    assert classroom.marked(code) == (
        'import math\n\n\ndef f(a):\n    """Root."""\n    ### BEGIN SOLUTION\n    b = a\n'
        "    return math.sqrt(b)\n    ### END SOLUTION"
    )


def test_answers_are_never_written_over(tmp_path, capsys):
    assert classroom.main(["student", "01", "--without-solutions", "--out", str(tmp_path)]) == 0
    mine = tmp_path / "01_eta.ipynb"
    mine.write_text("my answers")
    assert classroom.main(["student", "01", "--out", str(tmp_path)]) == 0
    assert mine.read_text() == "my answers" and "left as it is" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["student", "77"], "names 0 lessons"),
        (["student", "--out", "{lessons}"], "where the lessons"),
    ],
)
def test_what_cannot_be_copied_is_one_sentence(arguments, words, capsys):
    given = [a.format(lessons=LESSONS[0].parent) for a in arguments]
    assert classroom.main(given) == 2
    assert words in capsys.readouterr().err


@pytest.mark.skipif(not shutil.which("nbgrader"), reason="nbgrader is not installed here")
def test_nbgrader_s_own_validator_takes_the_solutions(tmp_path):
    assert classroom.main(["nbgrader", "01", "--out", str(tmp_path)]) == 0
    path, said = tmp_path / "01_eta.ipynb", []
    for _ in range(2):  # with the solutions, and with a wrong answer
        asked = ["nbgrader", "validate", "--Execute.timeout=600", str(path)]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=900, check=False)
        said.append(done.stdout + done.stderr)
        path.write_text(path.read_text().replace("return eta * ((1", "return 2 * eta * ((1"))
    assert "Success!" in said[0] and "VALIDATION FAILED" in said[1]
