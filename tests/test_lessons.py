"""Every exercise of every lesson: its stub is unattempted, its solution right, a wrong answer wrong."""

import ast
import re
from pathlib import Path

import jupytext
import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("[0-9]*.py"))
FEW = "\nsteps, n_images = 5, 2\n"  # instead of the parameters' defaults
SOLUTION = re.compile(r"<summary>Solution</summary>\s*```python\n(.*?)```", re.DOTALL)


def exercises():
    """(lesson, its cells, index of the stub) of every cell tagged `exercise`."""
    for path in NOTEBOOKS:
        cells = jupytext.read(path).cells
        for i, cell in enumerate(cells):
            if "exercise" in cell.metadata.get("tags", ()):
                yield pytest.param(cells, i, id=f"{path.stem}-{name_of(cell.source)}")


def name_of(source):
    return next(n.name for n in ast.parse(source).body if isinstance(n, ast.FunctionDef))


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


def before(cells, stub, solution):
    """The namespace that the exercise finds: only what its solution and check need is run."""
    last = check_of(cells, stub)
    wanted = needed(ast.parse(f"{solution}\n{cells[last].source}").body)
    kept, code = [], [c for c in cells[:last] if c.cell_type == "code" and c is not cells[stub]]
    for cell in reversed(code):
        parameters = "parameters" in cell.metadata.get("tags", ())
        for node in reversed(ast.parse(cell.source + FEW * parameters).body):
            if parameters or names(node)[1] & wanted:
                wanted = needed([node], wanted)
                kept.insert(0, node)
    namespace = {}
    exec(compile(ast.Module(kept, []), "lesson", "exec"), namespace)
    return namespace


def solution_of(cells, stub):
    text = "\n".join(c.source for c in cells[stub : stub + 4] if c.cell_type == "markdown")
    return SOLUTION.search(text).group(1)


@pytest.mark.parametrize(("cells", "stub"), list(exercises()))
def test_exercise(cells, stub, capsys):
    stub_source, solution = cells[stub].source, solution_of(cells, stub)
    check, name = cells[check_of(cells, stub)].source, name_of(stub_source)
    given = before(cells, stub, solution)
    wrong = f"{solution}\n_right = {name}\ndef {name}(*a):\n    return _right(*a) * 1.5 + 1\n"
    for answer, says in ((stub_source, "○"), (solution, "✓"), (wrong, "✗")):
        namespace = dict(given)
        exec(answer, namespace)
        exec(check, namespace)
        assert f"{says} {name}" in capsys.readouterr().out


@pytest.mark.parametrize(("cells", "stub"), list(exercises()))
def test_a_solution_differs_from_its_stub_only_in_the_gap(cells, stub):
    def head(source):
        function = next(n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef))
        return function.name, ast.unparse(function.args), ast.get_docstring(function)

    assert head(cells[stub].source) == head(solution_of(cells, stub))


def test_every_lesson_has_two_to_four_exercises():
    for path in NOTEBOOKS:
        tagged = [c for c in jupytext.read(path).cells if "exercise" in c.metadata.get("tags", ())]
        assert 2 <= len(tagged) <= 4, path.stem
