"""Every exercise of every lesson: its stub is unattempted, right answers are right, wrong ones wrong.

The answers of a lesson's students are in `answers/NN_name.py`: for each exercise the right ones beside the
notebook's own solution, and wrong ones by their mistake; each an expression, or a function's body.
"""

import ast
import math
import re
import runpy
from pathlib import Path
from statistics import median

import jupytext
import numpy as np
import pytest
import torch

TESTS = Path(__file__).resolve().parent
NOTEBOOKS = sorted((TESTS.parent / "notebooks").glob("[0-9]*.py"))
ANSWERS = {path.stem: runpy.run_path(path)["ANSWERS"] for path in (TESTS / "answers").glob("*.py")}
WORDS = {  # what the check says of an answer, where its mistake in the table has this name
    "the sign alone": "the sign is the other way round",
    "the batch axis lost": "batch axis",
    "a factor missing": "a factor is missing",
    "the order reversed": "in the reverse order",
    "a root missing": "a square root is missing",
    "upside down": "upside down",
}
FEW = "\nsteps, n_images = 5, 2\n"  # instead of the parameters' defaults
SOLUTION = re.compile(r"<summary>Solution</summary>\s*```python\n(.*?)```", re.DOTALL)


def exercises():
    """(lesson, its cells, index of the stub) of every cell tagged `exercise`."""
    for path in NOTEBOOKS:
        cells = jupytext.read(path).cells
        for i, cell in enumerate(cells):
            if "exercise" in cell.metadata.get("tags", ()):
                yield path.stem, cells, i


def function_of(source):
    return next(n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef))


def name_of(source):
    return function_of(source).name


EXERCISES = [
    pytest.param(*found, id=f"{found[0]}-{name_of(found[1][found[2]].source)}")
    for found in exercises()
]


SCOPES = ast.FunctionDef | ast.ClassDef | ast.Lambda | ast.ListComp | ast.SetComp
SCOPES |= ast.DictComp | ast.GeneratorExp


def names(*nodes):
    """(the module's names that this code reads, those that it binds or fills there)."""
    read, bound = set(), set()
    for node in nodes:
        r, b = names(*ast.iter_child_nodes(node))
        if isinstance(node, SCOPES):  # its own names stay within it, but for defaults such as x=x
            args = getattr(node, "args", None)
            outside = [*args.defaults, *filter(None, args.kw_defaults)] if args else []
            r, b = r - b | names(*outside)[0], {node.name} if hasattr(node, "name") else set()
        elif isinstance(node, ast.Name):
            (r if isinstance(node.ctx, ast.Load) else b).add(node.id)
        elif isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store):
            b = b | r  # `found[name] = 3` needs `found` before, and what needs it needs this
        elif isinstance(node, ast.AugAssign):
            r = r | b
        elif isinstance(node, ast.arg):
            b.add(node.arg)
        elif isinstance(node, ast.alias):
            b.add((node.asname or node.name).split(".")[0])
        read, bound = read | r, bound | b
    return read, bound


def needed(body, after=frozenset()):
    """The names that these statements need before them, if those `after` are needed behind them."""
    for node in reversed(body):
        if isinstance(
            node, ast.For | ast.While | ast.If | ast.With | ast.Try
        ):  # its body may not be run
            parts = [part for part in ast.iter_child_nodes(node) if not isinstance(part, ast.stmt)]
            read, bound = names(*parts)
            inner = needed(node.body) | needed(getattr(node, "orelse", []))
            after = after | read | inner - bound
        else:
            read, bound = names(node)
            after = read | after - bound
    return after


def check_of(cells, stub):
    """The index of the cell that checks the exercise."""
    wanted = name_of(cells[stub].source)
    return next(
        i
        for i, c in enumerate(cells)
        if i > stub and c.cell_type == "code" and re.search(rf"exercise\(\s*{wanted},", c.source)
    )


def before(cells, stub, answers):
    """The namespace that the exercise finds: only what the answers and the check need is run."""
    last = check_of(cells, stub)
    wanted = set().union(*(needed(ast.parse(f"{a}\n{cells[last].source}").body) for a in answers))
    kept, code = [], [c for c in cells[:last] if c.cell_type == "code" and c is not cells[stub]]
    for cell in reversed(code):
        parameters = "parameters" in cell.metadata.get("tags", ())
        for node in reversed(ast.parse(cell.source + FEW * parameters).body):
            if parameters or names(node)[1] & wanted:
                wanted = needed([node], wanted)
                kept.insert(0, node)
    namespace = {"math": math, "np": np, "torch": torch}
    exec(compile(ast.Module(kept, []), "lesson", "exec"), namespace)
    return namespace


def solution_of(cells, stub):
    text = "\n".join(c.source for c in cells[stub : stub + 4] if c.cell_type == "markdown")
    return SOLUTION.search(text).group(1)


def written(stub, body):
    """The stub with an answer of the table in its gap."""
    function, answer = function_of(stub), ast.parse(body).body
    if len(answer) == 1 and isinstance(answer[0], ast.Expr):
        answer = [ast.Return(answer[0].value)]
    function.body = answer
    return ast.unparse(ast.fix_missing_locations(function))


@pytest.mark.parametrize(("name", "cells", "stub"), EXERCISES)
def test_exercise(name, cells, stub, capsys):
    source, check = cells[stub].source, cells[check_of(cells, stub)].source
    table = ANSWERS.get(name, {}).get(name_of(source))
    assert table, f"answers/{name}.py has no answers to {name_of(source)}"
    right = [solution_of(cells, stub), *(written(source, body) for body in table["right"])]
    wrong = {mistake: written(source, body) for mistake, body in table["wrong"].items()}
    assert len(right) >= 3 and len(wrong) >= 3
    given = before(cells, stub, [*right, *wrong.values()])

    def said(answer):
        namespace = dict(given)
        exec(answer, namespace)
        exec(check, namespace)
        return capsys.readouterr().out

    assert said(source).startswith(f"○ {name_of(source)} ")
    for answer in right:
        assert said(answer).startswith("✓ "), answer
    hints = set()
    for mistake, answer in wrong.items():
        line = said(answer)
        assert WORDS.get(mistake, "") in line, f"{mistake}: {line}"
        assert line.startswith("✗ ") and line.count("\n") == 1 and " stops" not in line, mistake
        hints.add(line.partition(" Hint: ")[2])
    assert len(hints) >= 2, "the second failure shows the second hint"


def test_every_answer_of_the_table_is_an_exercises():
    there = {(name, name_of(cells[stub].source)) for name, cells, stub in exercises()}
    assert {(name, exercise) for name in ANSWERS for exercise in ANSWERS[name]} <= there


@pytest.mark.parametrize(("name", "cells", "stub"), EXERCISES)
def test_a_solution_differs_from_its_stub_only_in_the_gap(name, cells, stub):
    def head(source):
        function = function_of(source)
        return function.name, ast.unparse(function.args), ast.get_docstring(function)

    assert head(cells[stub].source) == head(solution_of(cells, stub))


def of_lesson(found):
    """By lesson: what `found` gives for its cells."""
    return {path.stem: found(jupytext.read(path).cells) for path in NOTEBOOKS}


COMMANDS = {"13_sweeps"}  # a lesson on a command: fewer exercises, and no figure to draw by oneself


def test_every_lesson_has_three_to_five_exercises():
    counts = of_lesson(lambda cells: sum("exercise" in c.metadata.get("tags", ()) for c in cells))
    assert {n: k for n, k in counts.items() if not 3 - (n in COMMANDS) <= k <= 5} == {}
    assert sum(counts.values()) >= 48


def capstone_is_used(cells):
    """Whether the one capstone's function, or the library's in its place, draws what comes after it."""
    (at,) = [i for i, c in enumerate(cells) if re.search(r"^### .*capstone", c.source, re.M)]
    check = check_of(cells, next(i for i in range(at, at + 3) if cells[i].cell_type == "code"))
    (used,) = [
        n
        for n in ast.parse(cells[check].source).body
        if isinstance(getattr(n, "value", 0), ast.IfExp)
    ]
    later = ast.parse("\n".join(c.source for c in cells[check + 1 :] if c.cell_type == "code"))
    return used.targets[0].id in needed(later.body)


def test_the_capstone_of_a_lesson_draws_a_figure_after_it():
    found = {
        n: capstone_is_used(cells) for n, cells in of_lesson(list).items() if n not in COMMANDS
    }
    assert [name for name, used in found.items() if not used] == []


LONGEST, MEDIAN = 25, 10  # lines of a code cell, and of half of a lesson's


def lengths(cells):
    return [len(c.source.splitlines()) for c in cells if c.cell_type == "code"]


def test_code_cells_are_short():
    found = of_lesson(lengths)
    assert {n: max(v) for n, v in found.items() if max(v) > LONGEST} == {}
    assert {n: median(v) for n, v in found.items() if median(v) > MEDIAN} == {}
    assert median([k for v in found.values() for k in v]) <= 8


def test_every_guess_is_compared():
    def open_ends(cells):
        code = "\n".join(c.source for c in cells if c.cell_type == "code")
        asked = re.findall(r"^(\w+) = lesson\.predict\(", code, re.M)
        return [name for name in asked if not re.search(rf"lesson\.compare\(\s*{name},", code)]

    assert {n: v for n, v in of_lesson(open_ends).items() if v} == {}


def test_no_cell_ends_with_a_value_that_nobody_reads():
    """`lesson.record(…)` as the last line would print its number again: a semicolon hides it."""
    hidden = {"lesson.record", "lesson.exercise", "lesson.compare", "torch.set_grad_enabled"}

    def stray(cells):
        for source in (c.source.rstrip() for c in cells if c.cell_type == "code"):
            last = (ast.parse(source).body or [ast.Pass()])[-1]
            call = getattr(last, "value", None)
            if isinstance(last, ast.Expr) and isinstance(call, ast.Call):
                told = re.sub(r"# fmt: skip$", "", source).rstrip()
                if ast.unparse(call.func) in hidden and not told.endswith(";"):
                    yield source.splitlines()[0]

    assert {n: v for n, v in of_lesson(lambda cells: list(stray(cells))).items() if v} == {}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_hints_are_html_in_which_markdown_would_be_shown_as_it_is_typed(path):
    hints = re.findall(r"<details><summary>Hint.*?</details>", path.read_text("utf-8"), re.DOTALL)
    marked = [
        hint
        for hint in hints
        if re.search(r"`|(?<![\w*])\*\w+\*(?!\w)", re.sub(r"<code>.*?</code>", "", hint))
    ]
    assert not marked
