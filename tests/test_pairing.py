"""The pair of notebook and text: out of step is found, and what somebody typed is never written over."""

import os
import tomllib

import nbformat
import pytest
from jupyter_server.services.contents.largefilemanager import LargeFileManager
from jupytext.sync_contentsmanager import build_sync_jupytext_contents_manager_class

from lessons_lib import pairing, paths
from lessons_lib.press import runner

TOY = '# %% [markdown]\n# # Toy\n\n# %% tags=["parameters"]\nseed = 0\n\n# %%\nseed + 1\n'


def test_the_lessons_are_plain_and_in_step():
    assert pairing.problems() == []


@pytest.fixture
def lesson(tmp_path):
    """A folder with one lesson in step."""
    (tmp_path / "01_toy.py").write_text(TOY)
    assert pairing.sync(tmp_path) == ["01_toy.ipynb"]
    assert pairing.problems(tmp_path) == []
    return tmp_path / "01_toy.ipynb"


def add_output(notebook):
    notebook.cells[2].outputs = [nbformat.v4.new_output("stream", text="1")]


def add_count(notebook):
    notebook.cells[2].execution_count = 3


def add_widgets(notebook):
    notebook.metadata["widgets"] = {runner.STATE: {"state": {}}}


def change_source(notebook):
    notebook.cells[2].source = "seed + 2"


def change_tags(notebook):
    notebook.cells[1].metadata.tags = []


def change_kind(notebook):
    notebook.cells[2] = nbformat.v4.new_markdown_cell("seed + 1")


@pytest.mark.parametrize(
    "harm", [add_output, add_count, add_widgets, change_source, change_tags, change_kind]
)
def test_a_notebook_out_of_step_is_found(lesson, harm):
    notebook = nbformat.read(lesson, as_version=4)
    harm(notebook)
    nbformat.write(notebook, lesson)
    (problem,) = pairing.problems(lesson.parent)
    assert ("stripped" if harm in (add_output, add_count, add_widgets) else "in step") in problem


def test_a_lesson_without_its_text_or_notebook_is_found(lesson):
    lesson.rename(lesson.with_stem("02_toy"))
    said = " ".join(pairing.problems(lesson.parent))
    assert "01_toy.py has no" in said and "02_toy.ipynb has no" in said


def test_a_text_that_names_its_notebook_is_found(lesson):
    header = "# ---\n# jupyter:\n#   jupytext:\n#     formats: ipynb,py:percent\n# ---\n\n"
    lesson.with_suffix(".py").write_text(header + TOY)
    assert pairing.problems(lesson.parent) == [
        "01_toy.py is not plain: it has a header, or cells written otherwise."
    ]
    assert pairing.from_notebooks([], lesson.parent) == ["01_toy.py"]
    assert pairing.problems(lesson.parent) == []


# ---------------------------------------------------------------- somebody's work


def answer(path):
    """Type an answer into the notebook's last cell, as an editor does: the cell keeps its id."""
    notebook = nbformat.read(path, as_version=4)
    change_source(notebook)
    nbformat.write(notebook, path)


def answered(path):
    return "seed + 2" in path.read_text()


def younger(path, other):
    later = other.stat().st_mtime + 10
    os.utime(path, (later, later))


def correct(path):
    """A correction of the text arrives, younger than the notebook."""
    text = path.with_suffix(".py")
    text.write_text(TOY.replace("# Toy", "# Toy, corrected"))
    younger(text, path)


def test_an_answer_outlives_the_pairing_and_can_be_kept(lesson):
    answer(lesson)
    younger(lesson, lesson.with_suffix(".py"))
    with pytest.raises(ValueError, match="keep it with"):
        pairing.sync(lesson.parent)
    assert pairing.from_notebooks([lesson.name], lesson.parent) == ["01_toy.py"]
    assert pairing.sync(lesson.parent) == ["01_toy.ipynb"]  # its cell's id
    assert pairing.problems(lesson.parent) == []
    assert answered(lesson) and answered(lesson.with_suffix(".py"))


def test_an_answer_outlives_a_younger_text(lesson):
    answer(lesson)
    correct(lesson)
    with pytest.raises(ValueError, match="or move it away"):
        pairing.sync(lesson.parent)
    assert answered(lesson)
    kept = lesson.rename(lesson.with_name("mine.ipynb"))
    assert pairing.sync(lesson.parent) == ["01_toy.ipynb"]
    assert answered(kept) and "corrected" in lesson.read_text()


def new_cell(notebook):
    notebook.cells.append(nbformat.v4.new_code_cell("seed + 2"))


@pytest.mark.parametrize("change", [change_source, change_kind, new_cell])
def test_what_was_typed_is_seen_in_the_notebook_itself(lesson, change):
    notebook = nbformat.read(lesson, as_version=4)
    assert not pairing.edited(notebook)
    add_output(notebook)
    assert not pairing.edited(notebook)  # run, not edited
    change(notebook)
    assert pairing.edited(notebook)


def test_a_notebook_that_was_only_run_follows_its_text(lesson):
    notebook = nbformat.read(lesson, as_version=4)
    add_output(notebook)
    nbformat.write(notebook, lesson)
    correct(lesson)
    assert pairing.sync(lesson.parent) == ["01_toy.ipynb"]


def test_cells_moved_in_a_younger_notebook_are_kept(lesson):
    notebook = nbformat.read(lesson, as_version=4)
    notebook.cells.reverse()
    nbformat.write(notebook, lesson)
    younger(lesson, lesson.with_suffix(".py"))
    with pytest.raises(ValueError, match="keep it with"):
        pairing.sync(lesson.parent)


@pytest.mark.parametrize("opened", ["01_toy.ipynb", "01_toy.py"])
def test_an_answer_outlives_jupyterlab(lesson, opened):
    """Answered elsewhere, a corrected text arrives, JupyterLab opens either and saves it."""
    manager = build_sync_jupytext_contents_manager_class(LargeFileManager)
    lab = manager(root_dir=str(lesson.parent))  # as JupyterLab where jupytext is installed
    answer(lesson)
    correct(lesson)
    lab.save(lab.get(opened, type="notebook"), opened)
    assert answered(lesson)


def test_git_pairing_and_tests_leave_copies_alone(lesson):
    mine = lesson.parent / "mine"
    mine.mkdir()
    lesson.rename(mine / lesson.name)
    answer(mine / lesson.name)
    assert pairing.sync(lesson.parent) == ["01_toy.ipynb"]
    assert pairing.problems(lesson.parent) == [] and answered(mine / lesson.name)
    assert "notebooks/mine/" in (paths.ROOT / ".gitignore").read_text().splitlines()
    settings = tomllib.loads((paths.ROOT / "pyproject.toml").read_text())
    assert "mine" in settings["tool"]["pytest"]["ini_options"]["norecursedirs"]
