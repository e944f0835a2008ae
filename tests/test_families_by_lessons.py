"""A few cells of the table of layouts and lessons (`python tests/families_by_lessons.py` makes all)."""

import matplotlib
import pytest

from families_by_lessons import Outcome, apart, judged, keep, kept, table
from lessons_lib.cards import CheckpointError
from published import LAYOUTS, tame

CELLS = {
    ("CompVis/ldm-celebahq-256", "11"): ("runs", []),
    ("CompVis/ldm-celebahq-256", "05"): ("says", ["network of pictures", "is none"]),
    ("CompVis/stable-diffusion-v1-4", "05"): ("says", ["network of pictures", "is none"]),
    ("CompVis/ldm-celebahq-256", "08"): ("says", ["on pictures", "draws latents"]),
    ("class-conditional", "01"): ("runs", []),
    ("google/ddpm-celebahq-256", "04"): ("says", ["no two conditions"]),
    ("google/ddpm-celebahq-256", "09"): ("says", ["reads no text"]),
}


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: " x ".join(cell).replace("/", "-"))
def test_a_lesson_runs_or_says_why_not_and_never_shows_another_model(tmp_path, cell):
    matplotlib.use("Agg")
    family, number = cell
    kind, words = CELLS[cell]
    LAYOUTS[family](tmp_path / "there")
    tame(tmp_path / "there", 16)
    outcome = apart(number, tmp_path / "there", family)
    assert outcome.kind == kind and all(word in outcome.text for word in words), outcome


@pytest.mark.parametrize("number", ["01", "05", "10", "12", "13"])
def test_a_lesson_asks_for_the_label_that_it_was_not_given(tmp_path, number):
    LAYOUTS["class-conditional"](tmp_path / "there")
    outcome = apart(number, tmp_path / "there", "told nothing")
    assert outcome.kind == "says" and "give the parameter prompt" in outcome.text, outcome


def raised(error, source="x = 1"):
    try:
        raise error
    except Exception as caught:
        return judged(caught, source)


def test_what_the_library_did_not_say_is_a_crash():
    assert raised(ValueError("A sentence, but not the library's."))[0] == "crashes"
    assert raised(KeyError("x"))[0] == "crashes"
    with pytest.raises(CheckpointError) as caught:
        from lessons_lib import load

        load("nobody")
    assert judged(caught.value, "x = 1") == ("says", str(caught.value))


def test_outcomes_are_kept_and_crashes_run_again(tmp_path):
    path, found = tmp_path / "kept.json", {("a", "00"): Outcome("says", "No.", 1.0)}
    assert kept(None) == kept(path) == {}
    keep(None, found), keep(path, found)
    assert kept(path) == found


def test_the_table_numbers_what_is_said():
    found = {("a", "00"): Outcome("runs", "", 1.0), ("a", "01"): Outcome("says", "No.", 1.0)}
    assert table(found, ["a"], ["00", "01", "02"]).splitlines()[2:] == [
        "| a | runs | no (1) | – |",
        "",
        "1. No.",
    ]
