"""Parameters, results, exercises and explorers: what they refuse, and what they say."""

import base64
import math
import threading

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from lessons_lib import lesson, plots, widgets
from lessons_lib.code import Eps
from lessons_lib.plots import figure
from lessons_lib.widgets import choice, explore, slider
from lessons_lib.worlds import Factor

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


def test_a_result_may_be_kept_without_being_printed(capsys):
    assert lesson.record("error", 0.25, show=False) == 0.25
    assert capsys.readouterr().out == ""


def test_a_conclusion_is_a_sentence(capsys):
    lesson.conclude("it holds.")
    assert capsys.readouterr().out == "In this run: it holds.\n"


# ---------------------------------------------------------------- exercises

PAIR = torch.tensor([[1.0, 2.0, 3.0], [0.5, 0.0, -1.0]], dtype=torch.float64)
HINTS = ["add it to itself", "x + x"]


@pytest.fixture(autouse=True)
def _no_failures_yet():
    lesson._failures.clear()


def said(answer, capsys, case=PAIR, oracle=lambda x: 2 * x):
    """What the check prints for one case."""
    answer.__name__ = "double"
    right = lesson.exercise(answer, oracle, [(case,)], HINTS)
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and right == out.startswith("✓")
    return out


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: 2 * x,
        lambda x: x.mul_(2),
        lambda x: 2 * x.numpy(),
        lambda x: (2 * x).tolist(),
        lambda x: tuple(2 * row for row in x),
        lambda x: [list(2 * row) for row in x],
        lambda x: (2 * x).float(),
        lambda x: (2 * x).to(torch.float16),
        lambda x: (2 * x).requires_grad_(),
        lambda x: (2 * x)[None],
    ],
)
def test_every_right_way_is_right(answer, capsys):
    before = PAIR.clone()
    assert said(answer, capsys).startswith("✓ double")
    assert torch.equal(PAIR, before)


@pytest.mark.parametrize(
    "answer",
    [float, lambda x: x.reshape(1), np.float32, lambda x: [x.item()], lambda x: x.numpy()],
)
def test_a_number_may_come_in_any_form(answer, capsys):
    def once(x):
        return answer(x)

    assert said(once, capsys, torch.tensor(0.1), lambda x: x).startswith("✓")


@pytest.mark.parametrize("value", [math.inf, 0.0, 3])
def test_infinity_zero_and_whole_numbers_are_equal_to_themselves_only(value, capsys):
    assert said(lambda x: value, capsys, oracle=lambda x: value).startswith("✓")
    assert said(lambda x: value, capsys, oracle=lambda x: 1.0).startswith("✗")
    assert said(lambda x: 1.0, capsys, oracle=lambda x: value).startswith("✗")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: None, "○ double returns nothing yet."),
        (lambda x: ..., "○ double returns nothing yet."),
        (lambda x: -2 * x, "-1, 0, 2], not [2, 4, 6, 1, 0, -2]: the sign is the other way"),
        (lambda x: (2 * x).mean(0), "(3,), not a tensor of shape (2, 3): it is the mean over the batch"),
        (lambda x: 2 * x[..., None], "a tensor of shape (2, 3, 1), not a tensor of shape (2, 3):"),
        (lambda x: (2 * x).T, "(3, 2), not a tensor of shape (2, 3): the first two axes are exchanged"),
        (lambda x: 3 * x, "a factor is missing or too many, all are 1.5 times what is right."),
        (lambda x: 2 * x + 1, "all are +1 away from what is right."),
        (lambda x: (2 * x).square(), "a square root is missing."),
        (lambda x: (2 * x).flip(0), "it is in the reverse order."),
        (lambda x: 1 - 2 * x, "it is one minus the right number."),
        (lambda x: 1 / (2 * x), "it is upside down, one over the right number."),
        (lambda x: (2 * x).sum(), "gives a single number, not a tensor of shape (2, 3):"),
        (lambda x: (2.4 * x).long(), "the dtype int64 rounds it, compute in float64."),
        (lambda x: x * math.nan, "gives [nan, nan,"),
        (lambda x: "two", "gives 'two', which is not a tensor of shape (2, 3)."),
        (lambda x: {"x": x}, "gives a dict, which is not a tensor"),
        (lambda x: [None, x], "which is not a tensor"),
        (lambda x: 2 * x + 0j, "which is not a tensor"),
        (lambda x: x.no_such_name, "stops at `(lambda x: x.no_such_name, "),
        (lambda x: x @ x, "with RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
    ],
)  # fmt: skip
def test_one_sentence_says_what_is_wrong(answer, words, capsys):
    oracle = (lambda x: 2.4 * x) if "dtype" in words else (lambda x: 2 * x)
    assert words in said(answer, capsys, oracle=oracle)


def test_of_a_picture_it_says_where_it_differs(capsys):
    def double(x):
        x[1, 2] = math.nan
        x[0, 0] += 0.25
        return 2 * x

    out = said(double, capsys, torch.ones(4, 4))
    assert "differs in 2 of 16 numbers, most at [1, 2]: it gives nan, not 2." in out


def test_nothing_in_a_later_case_is_wrong(capsys):
    def double(x):
        return 2 * x if x > 0 else None

    assert not lesson.exercise(double, lambda x: 2 * x, [(1,), (-1,)], HINTS)
    assert "✗ double(-1) returns nothing: each way" in capsys.readouterr().out


def test_each_failure_shows_the_next_hint(capsys):
    wrong, right = (lambda x: x), (lambda x: 2 * x)
    shown = [said(wrong, capsys).partition("Hint: ")[2].strip() for _ in range(3)]
    assert shown == ["add it to itself", "x + x", "x + x"]
    said(right, capsys)
    assert "Hint: add it to itself" in said(wrong, capsys)


def test_what_is_inside_an_argument_is_copied_too(capsys):
    inner, array = torch.ones(2), np.ones(2)
    pair = Eps(inner, torch.zeros(2))

    def double(many, pair):
        many["a"][0].zero_(), many["b"].fill(0), pair.P.zero_()
        return 2.0

    assert lesson.exercise(double, lambda *_: 2, [({"a": [inner], "b": array}, pair)], HINTS)
    assert inner.sum() == array.sum() == 2


def test_what_is_no_function_is_said(capsys):
    assert not lesson.exercise(3.0, lambda x: x, [(1,)], HINTS)
    assert "✗ float(1) stops with TypeError: 'float' object is not callable" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("factor", "said_of_it"), [(2.0, "2 times"), (0.5, "0.5 times"), (1.7, "")]
)
def test_one_number_tells_only_of_simple_factors(factor, said_of_it, capsys):
    out = said(lambda x: factor * x, capsys, torch.tensor(0.3), lambda x: x)
    assert ("a factor is missing" in out) == bool(said_of_it) and said_of_it in out


# ---------------------------------------------------------------- guesses


def test_a_guess_is_shown_beside_the_result(capsys):
    guess = lesson.predict("Are they dogs?", "yes", "no")
    assert guess.value is None and lesson.compare(guess, "yes") is None
    assert "In this run: yes." in capsys.readouterr().out
    guess.buttons.value = "no"
    assert lesson.compare(guess, "yes") is False
    assert "In this run: yes. (✗ you guessed: no)" in capsys.readouterr().out
    assert lesson.compare(guess, "no") is True and "✓" in capsys.readouterr().out


def test_a_cell_that_is_run_again_keeps_its_guess():
    lesson.predict("Again?", "yes", "no").buttons.value = "no"
    assert lesson.predict("Again?", "yes", "no").value == "no"
    assert lesson.predict("Again?", "yes", "no", "perhaps").value is None


def test_a_page_without_widgets_shows_the_question():
    bundle = lesson.predict("Is 1 < 2?", "yes", "no")._repr_mimebundle_()
    assert "Is 1 &lt; 2?" in bundle["text/html"] and "yes · no" in bundle["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in bundle


# ---------------------------------------------------------------- explorers


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


def test_after_a_failed_move_the_picture_that_stands_is_shown_again():
    e = explore(draw, i=slider(0, 5, 1, 1))
    e.controls["i"].value = 3
    e.wait()
    assert base64.b64decode(e._repr_mimebundle_()[0]["image/png"]) == e.picture.value


@pytest.mark.parametrize("low", [-1.0, -0.004, 0.0])
def test_no_level_of_a_factor_is_called_minus_zero(low):
    _, names = widgets._levels(Factor("tilt", "pose", low, -low or 1.0, "tilt"), 7)
    assert "0" in names and "-0" not in names


def test_an_error_at_the_defaults_fails_at_once():
    with pytest.raises(ValueError, match="three"):
        explore(draw, i=slider(0, 5, 3, 1))


def test_the_static_page_shows_the_picture():
    e = explore(draw, i=slider(0, 5, 1, 1), kind=choice(["a", "b"], "a"))
    bundle, said = e._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert said["image/png"] == {
        "alt": "a picture with controls, at i = 1, kind = a", "controls": ["i", "kind"],
    }  # fmt: skip


def test_a_dragged_slider_shows_each_newer_frame_and_ends_on_the_last():
    begun, go = threading.Event(), threading.Event()

    def slow(i):
        if i > 1:
            begun.set()
            go.wait(20)
        fig, ax = figure(width=2, height=2)
        ax.set_title(f"{i}")
        return fig

    e = explore(slow, i=slider(0, 9, 1, 1))
    e.controls["i"].value = 5
    begun.wait(20)
    e.controls["i"].value = 6  # while 5 is being drawn
    seen = []
    e.picture.observe(lambda change: seen.append(change["new"]), "value")
    go.set()
    e.wait()
    assert seen == [e.frames[(5,)], e.frames[(6,)]] and e.message.value == ""


@pytest.mark.parametrize(("quick", "live"), [(99, True), (0, False)])
def test_what_is_drawn_quickly_follows_the_slider(monkeypatch, quick, live):
    monkeypatch.setattr(widgets, "QUICK", quick)
    assert explore(draw, i=slider(0, 5, 1, 1)).controls["i"].continuous_update == live


def test_a_figure_is_described_in_words():
    fig = plots.strips([torch.zeros(2, 3, 4, 4)] * 2, ["x", "decoded"], ["η = 0", "η = 1"], "Codes")
    assert plots.described(fig) == ("Codes. 4 pictures. rows: x, decoded. columns: η = 0, η = 1")
    fig, ax = figure()
    ax.plot([0, 1], label="P"), ax.plot([1, 0], label="D")
    ax.set(xlabel="t", ylabel="rms", title="A step")
    assert plots.described(fig) == "chart A step, rms over t, showing P, D"
    assert plots.described(figure()[0]) == "a figure without words"


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


def test_a_page_leaves_out_what_is_kept_and_not_shown():
    from nbformat.v4 import new_code_cell, new_notebook, new_output

    from lessons_lib.press.handout import MIME, without_live_widgets

    assert MIME == lesson.MIME
    quiet = new_output("display_data", data={lesson.MIME: {"name": "a", "value": 1.0}})
    told = new_output("display_data", data={lesson.MIME: {}, "text/plain": "a: 1"})
    notebook = new_notebook(cells=[new_code_cell("", outputs=[quiet, told])])
    assert without_live_widgets(notebook).cells[0].outputs == [told]
    assert len(notebook.cells[0].outputs) == 2  # the notebook itself keeps both


def test_a_page_has_no_bars_of_progress_and_says_where_a_control_is():
    from nbformat.v4 import new_code_cell, new_notebook, new_output

    from lessons_lib.press.handout import WIDGET, without_live_widgets

    shown = ("100%|██████| 8/8 [00:05<00:00,  1.60step/s]", "IntSlider(value=3)")
    outputs = [
        new_output("display_data", {WIDGET: {"model_id": "a"}, "text/plain": text})
        for text in shown
    ]
    cell = new_code_cell("", outputs=outputs)
    (left,) = without_live_widgets(new_notebook(cells=[cell])).cells[0].outputs
    assert left.data == {"text/plain": "[a control: open the notebook to move it]"}


def test_a_ratio_of_nothing_is_said_and_not_recorded(capsys):
    assert lesson.ratio("share", torch.tensor(1.0), 4) == 0.25
    assert lesson.ratio("share of nothing", 1.0, torch.tensor(0.0)) is None
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "share: 0.25" and said[1].startswith("share of nothing: undefined")


@pytest.mark.parametrize("prompt", ["", "a cat", "3", 3])
def test_a_prompt_is_a_text_or_a_label(prompt):
    assert lesson.parameters({"prompt": prompt}, prompt=str).prompt == prompt


@pytest.mark.parametrize("prompt", [-1, 1.5, None, True])
def test_what_is_no_prompt_is_refused(prompt):
    with pytest.raises(ValueError, match="prompt is"):
        lesson.parameters({"prompt": prompt}, prompt=str)
