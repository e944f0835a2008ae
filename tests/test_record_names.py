"""What lessons call their numbers holds no value of a parameter: over a grid, one number has one name."""

import ast
from pathlib import Path

import jupytext
import pytest

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.py"))
# Calls whose result holds the values that they are given; what any other computes is its own.
HANDS_ON = {"sorted", "set", "list", "tuple", "enumerate", "zip", "range", "dict", "reversed", "str", "round",
            "items", "keys", "split", "strip", "index", "fromkeys", "chain", "combinations", "product",
            "names_of", "listed", "unique", "append", "min", "max"}  # fmt: skip
TIMES = {"t", "times"}  # of a schedule, which the number of steps decides


def code(path):
    """A lesson's code as one module."""
    cells = (c.source for c in jupytext.read(path).cells if c.cell_type == "code")
    lines = "\n".join(cells).split("\n")
    return ast.parse("\n".join("" if line.startswith(("%", "!")) else line for line in lines))


def of_a_loop(target, items):
    """The same for a loop's target, and what it runs through."""
    rows = getattr(items, "elts", [])
    if isinstance(target, ast.Tuple) and rows and all(isinstance(r, ast.Tuple) for r in rows):
        for i, one in enumerate(target.elts):
            yield from pairs(one, ast.Set([row.elts[i] for row in rows]))
    else:
        yield from pairs(target, items)


def pairs(target, value):
    """Each name of a target, and the expression that it is bound to."""
    if isinstance(
        target, ast.Subscript
    ):  # what it is filled with may be computed, its keys are names
        yield from pairs(target.value, target.slice)
        return
    if isinstance(target, ast.Tuple):
        if isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            for one, its in zip(target.elts, value.elts, strict=True):
                yield from pairs(one, its)
            return
        called = getattr(getattr(value, "func", None), "attr", "")
        if called == "items":  # a dict's keys may be names, and its values are what was computed
            yield from pairs(
                target.elts[0], ast.Call(ast.Attribute(value.func.value, "keys"), [], [])
            )
            return
        if getattr(getattr(value, "func", None), "id", "") == "enumerate":
            yield from pairs(target.elts[1], value.args[0])
            return
        if getattr(getattr(value, "func", None), "id", "") == "zip":
            for one, its in zip(target.elts, value.args, strict=False):
                yield from pairs(one, its)
            return
    for node in ast.walk(target):
        if isinstance(node, ast.Name):
            yield node.id, value


def bindings(tree):
    """(name, expression, first line, last line): where a name is bound, and how far a loop's name goes."""
    functions = {n.name: n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from ((n, v, node.end_lineno, 0) for n, v in pairs(target, node.value))
        elif isinstance(node, ast.For):
            yield from (
                (n, v, node.lineno, node.end_lineno) for n, v in of_a_loop(node.target, node.iter)
            )
        elif isinstance(node, ast.ListComp | ast.DictComp | ast.GeneratorExp):
            for one in node.generators:
                found = of_a_loop(one.target, one.iter)
                yield from ((n, v, node.lineno, node.end_lineno) for n, v in found)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in functions:
            function = functions[node.func.id]
            for argument, value in zip(function.args.args, node.args, strict=False):
                yield argument.arg, value, function.lineno, function.end_lineno


def meant(name, line, found):
    """The expressions that a name may stand for at a line: of the innermost loop, or of the last before."""
    here = [b for b in found if b[0] == name]
    around = [b for b in here if b[2] <= line <= b[3]]
    if around:
        inner = min(b[3] - b[2] for b in around)
        return [b[1] for b in around if b[3] - b[2] == inner]
    before = [b for b in here if b[2] <= line]
    return [max(before, key=lambda b: b[2])[1]] if before else []


def handed_on(node, found, line, seen=frozenset()):
    """The parameters whose values an expression holds, as `p.name`."""
    line = getattr(node, "lineno", line)
    if (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "p"
    ):
        return {f"p.{node.attr}"}
    if isinstance(node, ast.Subscript | ast.Attribute):
        last = node.value if isinstance(node, ast.Subscript) else node
        if getattr(last, "attr", getattr(last, "id", "")) in TIMES:
            return {"p.steps"}
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        values = [v for v in meant(node.value.id, line, found) if id(v) not in seen]
        more, held = seen | {id(v) for v in values}, set()
        for v in values:  # of a dict, an item is what was computed, and not its key
            inside = v.values if isinstance(v, ast.Dict) else [getattr(v, "value", v)]
            inside = inside if isinstance(v, ast.Dict | ast.DictComp) else [v]
            held = held.union(*(handed_on(one, found, line, more) for one in inside))
        return held
    if isinstance(node, ast.Name) and node.id in TIMES:
        return {"p.steps"}
    if isinstance(node, ast.Name):
        values = [v for v in meant(node.id, line, found) if id(v) not in seen]
        more = seen | {id(v) for v in values}
        return set().union(*(handed_on(v, found, line, more) for v in values))
    if isinstance(node, ast.Call):
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if called not in HANDS_ON:
            return set()
        children = [*node.args, getattr(node.func, "value", ast.Constant(0))]
    elif isinstance(node, ast.Dict):
        children = [key for key in node.keys if key]
    elif isinstance(node, ast.DictComp):
        children = [node.key]
    elif isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp):
        children = [node.elt]
    elif isinstance(node, ast.IfExp):
        children = [node.body, node.orelse]
    elif isinstance(node, ast.Compare | ast.Lambda):
        children = []
    else:
        children = list(ast.iter_child_nodes(node))
    return set().union(*(handed_on(child, found, line, seen) for child in children))


def faults(tree):
    """The names of numbers that hold a parameter's value."""
    found = list(bindings(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "record":
            held = handed_on(node.args[0], found, node.lineno)
            for part in ast.walk(node.args[0]):
                counted = isinstance(part, ast.Call) and getattr(part.func, "id", "") == "len"
                if counted and not ast.unparse(part.args[0]).isupper():
                    held.add("a count")
            if held:
                yield f"{ast.unparse(node.args[0])} holds {', '.join(sorted(held))}"


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_no_number_s_name_holds_a_parameter_s_value(path):
    assert list(faults(code(path))) == []


@pytest.mark.parametrize(
    "text",
    [
        "lesson.record(f'at {p.eta:g}', 1)",
        "for eta in p.etas[1:]:\n    lesson.record(f'{eta}', 1)",
        "for k, eta in enumerate(sorted(p.etas)):\n    lesson.record(f'{eta}', 1)",
        "found = {n: f(n) for n in p.counts}\nfor n, x in found.items():\n    lesson.record(f'{n}', x)",
        "def show(what):\n    lesson.record(what, 1)\nshow(f'{p.steps} steps')",
        "lesson.record(f'std at t = {g.schedule.t[3]}', 1)",
        "lesson.record(f'of {len(images)}', 1)",
        "best = {}\nbest[p.checkpoint] = 1\nfor k in best:\n    lesson.record(k, 1)",
    ],
)
def test_a_name_that_holds_one_is_found(text):
    assert list(faults(ast.parse(text)))


@pytest.mark.parametrize(
    "text",
    [
        "lesson.record('at one η', 1, f'(η = {p.eta:g})')",
        "for eta in (0.0, 1.0):\n    lesson.record(f'η = {eta}', f(p.steps))",
        "rows = {'a': f(p.eta)}\nfor name, x in rows.items():\n    lesson.record(name, x)",
        "for k, eta in enumerate(p.etas):\n    lesson.record(f'η number {k}', 1)",
    ],
)
def test_a_name_that_holds_none_is_not(text):
    assert not list(faults(ast.parse(text)))
