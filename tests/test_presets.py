"""Presets are parameters that their lesson has, of the right kinds; the page lists them all."""

import re
from pathlib import Path

import nbformat
import pytest
import yaml

from lessons_lib.paths import DATA, NOTEBOOKS, ROOT, number_of
from lessons_lib.press.runner import defaults_of

PRESETS = sorted((DATA / "presets").glob("*.yaml"))
PAGE = (ROOT / "docs" / "presets.md").read_text(encoding="utf-8")


def lesson_of(preset: Path) -> str:
    return re.match(r"# papermill notebooks/(\w+)\.ipynb", preset.read_text(encoding="utf-8"))[1]


@pytest.mark.parametrize("preset", PRESETS, ids=lambda p: p.stem)
def test_a_preset_is_one_that_its_lesson_takes(preset):
    given = yaml.safe_load(preset.read_text(encoding="utf-8"))
    notebook = nbformat.read(NOTEBOOKS / f"{lesson_of(preset)}.ipynb", as_version=4)
    defaults = defaults_of(notebook)
    assert given and set(given) <= set(defaults)
    for name, value in given.items():
        assert type(value) is type(defaults[name]), name
    checks = next(c.source for c in notebook.cells if "lesson.parameters(" in c.source)
    values = defaults | given
    namespace = {}
    exec(checks.replace("globals()", "values").partition("inputs.")[0].replace(
        "from lessons_lib.studies import inputs", ""), {"values": values}, namespace)  # fmt: skip
    assert vars(namespace["p"]) == values


def test_the_page_lists_every_preset_and_its_lesson():
    listed = re.findall(r"^\| `([\w-]+)` \| (\w+) \|", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted((p.stem, number_of(lesson_of(p))) for p in PRESETS)
