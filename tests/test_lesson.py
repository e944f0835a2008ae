"""Parameters, results, exercises and explorers: what they refuse, and what they say."""

import base64
import math

import pytest
import torch
from matplotlib.figure import Figure

from lessons_lib import lesson, widgets
from lessons_lib.plots import figure
from lessons_lib.widgets import choice, explore, slider

ALLOWED = {"steps": (2, 1000), "eta": (0.0, 1.0), "checkpoint": str, "etas": (0.0, 1.0, None),
           "path": ["posterior", "independent"], "fast": bool}  # fmt: skip
GOOD = {"steps": 50, "eta": 1, "checkpoint": "faces", "etas": [0.0, 1.0], "path": "posterior",
        "fast": True}  # fmt: skip


def test_parameters_are_returned_as_they_are():
    notebook = GOOD | {"_i1": "code", "In": [], "lesson": lesson, "torch": torch}
    assert vars(lesson.parameters(notebook, **ALLOWED)) == GOOD


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stpes": 5}, "no parameter 'stpes': did you mean 'steps'?"),
        ({"zebra": 5}, "no parameter 'zebra': they are steps, "),
        ({"steps": 1}, "steps is 1: give a whole number from 2 to 1000."),
        ({"steps": 50.0}, "steps is 50.0: give a whole number"),
        ({"steps": "50"}, "steps is '50': give a whole number"),
        ({"steps": True}, "steps is True: give a whole number"),
        ({"eta": 1.5}, "eta is 1.5: give a number from 0.0 to 1.0."),
        ({"eta": math.nan}, "eta is nan: give a number"),
        ({"eta": None}, "eta is None: give a number"),
        ({"checkpoint": ""}, "checkpoint is '': give text."),
        ({"checkpoint": 3}, "checkpoint is 3: give text."),
        ({"etas": []}, "etas is []: give a list of numbers"),
        ({"etas": 0.5}, "etas is 0.5: give a list of numbers"),
        ({"etas": [0.0, 2.0]}, "etas is 2.0: give a number from 0.0 to 1.0."),
        ({"path": "both"}, "path is 'both': it must be one of posterior, independent."),
        ({"fast": "yes"}, "fast is 'yes': give True or False."),
    ],
)
def test_a_bad_parameter_gets_one_sentence(change, words):
    with pytest.raises(ValueError) as raised:
        lesson.parameters(GOOD | change, **ALLOWED)
    assert words in str(raised.value) and "\n" not in str(raised.value)


def test_a_missing_parameter_is_named():
    with pytest.raises(ValueError, match="'eta' is missing"):
        lesson.parameters({k: v for k, v in GOOD.items() if k != "eta"}, **ALLOWED)


def test_a_result_is_printed_and_never_nan(capsys):
    assert lesson.record("error", torch.tensor(0.25), "of 1") == 0.25
    assert capsys.readouterr().out == "error: 0.25 of 1\n"
    with pytest.raises(ValueError, match="'error' is nan: it must be finite"):
        lesson.record("error", math.nan)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda x: None, "○"),
        (lambda x: ..., "○"),
        (lambda x: 2 * x, "✓"),
        (lambda x: x + 1, "✗"),
        (lambda x: float("nan"), "✗"),
        (lambda x: 1 / 0, "✗"),
        (lambda x: "two", "✗"),
        (lambda x: torch.ones(3), "✗"),
    ],
)
def test_an_exercise_tells_right_from_wrong(answer, says, capsys):
    answer.__name__ = "double"
    cases = [(torch.tensor(1.0),), (torch.tensor(3.0),)]
    right = lesson.exercise(answer, lambda x: 2 * x, cases, ["add it to itself"])
    assert right == (says == "✓")
    said = capsys.readouterr().out
    assert said.startswith(f"{says} double") and ("Hint: add it" in said) == (says == "✗")


def draw(i, kind="a"):
    if i == 3:
        raise ValueError("three <is> wrong")
    return figure(width=2, height=2)[0]


def test_a_move_draws_and_going_back_redraws_nothing():
    calls = []
    e = explore(lambda i: calls.append(i) or draw(i), i=slider(0, 5, 1, 1))
    first = e.picture.value
    for value in (2, 1, 2):
        e.controls["i"].value = value
        e.wait()
    assert calls == [1, 2] and e.error == ""
    e.controls["i"].value = 1
    assert e.picture.value == first


def test_an_error_in_a_move_is_shown_and_the_last_picture_stays():
    e = explore(draw, i=slider(0, 5, 1, 1))
    before = e.picture.value
    e.controls["i"].value = 3
    e.wait()
    assert e.error == "ValueError: three <is> wrong" and "&lt;is&gt;" in e.message.value
    assert e.picture.value == before
    e.controls["i"].value = 4
    e.wait()
    assert e.error == "" and e.message.value == ""


def test_an_error_at_the_defaults_fails_at_once():
    with pytest.raises(ValueError, match="three"):
        explore(draw, i=slider(0, 5, 3, 1))


def test_the_static_page_shows_the_picture():
    e = explore(draw, i=slider(0, 5, 1, 1), kind=choice(["a", "b"], "a"))
    bundle = e._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_try_all_finds_a_broken_end():
    widgets.OPEN.clear()
    explore(draw, i=slider(0, 3, 1, 1))
    with pytest.raises(RuntimeError, match="i=3: ValueError: three"):
        widgets.try_all()
    widgets.OPEN.clear()
    explore(draw, i=slider(0, 2, 1, 1), kind=choice([("A", "a"), ("B", "b")], "a"))
    widgets.try_all()
    widgets.OPEN.clear()


def test_figures_need_no_pyplot():
    assert isinstance(figure()[0], Figure)
