"""The grid: all combinations of the values given, for each notebook, checked before anything runs."""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import yaml
from nbformat import NotebookNode

from ..press.runner import check_known, defaults_of, lessons_named, of_kind, read, typed

MOST = 100_000  # runs of a grid, and values of a parameter: more was a slip of the keyboard
SPAN = re.compile(r"[^:,\[\]'\"]*:[^:,\[\]'\"]*(:[^:,\[\]'\"]*)*")


def lessons_of(names: list[str]) -> dict[Path, dict]:
    """The notebooks named, by path or by (the beginning of) a lesson's name, and their parameters' defaults.

    Raises ValueError for a name of no lesson or of several, and for a file that is no lesson.
    """
    if not names:
        raise ValueError("Name the notebooks to run, such as 01_eta.")
    return {path: defaults_of(read(path)) for path in lessons_named(names)}


def from_words(words: list[str]) -> dict[str, str]:
    """`name=values` as {name: values}. Raises ValueError for a word without a name, or a name given twice."""
    given: dict[str, str] = {}
    for word in words:
        name, equals, text = word.partition("=")
        name = name.strip()
        if not (equals and name.isidentifier()):
            raise ValueError(
                f"-p {word!r}: write NAME=VALUE or NAME=VALUE,VALUE, such as steps=20,50."
            )
        if name in given:
            raise ValueError(f"{name} is given twice: write all its values in one, {name}=A,B.")
        given[name] = text
    return given


def values(name: str, text: str, default: object) -> list:
    """What a word of the command line holds for a parameter: one value, several with commas, or `a:b:step`.

    Of a parameter that is a list itself, `0,1` is one list, and `[0,1],[0,0.5,1]` are two.
    Raises ValueError for another kind than the default's.
    """
    if isinstance(default, (list, tuple)):
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            value = text
        several = (
            isinstance(value, tuple) and value and all(isinstance(v, (list, tuple)) for v in value)
        )
        return [of_kind(name, v, default, text) for v in (value if several else [value])]
    if not isinstance(default, str) and SPAN.fullmatch(text):
        return [typed(name, number, default) for number in span(name, text)]
    return [typed(name, part.strip(), default) for part in text.split(",")]


def span(name: str, text: str) -> list[str]:
    """The numbers of `a:b:step`, both ends among them. Raises ValueError if they do not end at b."""
    try:
        first, last, step = (Decimal(part) for part in text.split(":"))
        count = (last - first) / step
        if not count.is_finite():
            raise InvalidOperation
    except (ValueError, ArithmeticError):
        raise ValueError(
            f"{name}={text}: write a range as FIRST:LAST:STEP, three numbers, such as 0:1:0.25."
        ) from None
    if not 0 <= count < MOST or count != int(count):
        raise ValueError(
            f"{name}={text}: steps of {step} do not lead from {first} to {last} "
            f"in at most {MOST} values: give ends that they reach."
        )
    return [str(first + i * step) for i in range(int(count) + 1)]


def from_file(path: Path) -> list[dict[str, list]]:
    """The grids of a YAML file, each {name: values}: it holds a mapping, or a list of them.

    Raises ValueError for a file that is missing, is no YAML, or holds something else.
    """
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"The grid {path} cannot be read ({type(error).__name__}).") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise ValueError(
            f"The grid {path} is no YAML{where}: write `name: [value, value]` lines."
        ) from None
    grids = said if isinstance(said, list) else [said]
    for one in grids:
        if not isinstance(one, dict) or not all(isinstance(k, str) for k in one) or not one:
            raise ValueError(
                f"The grid {path} holds {one!r}: write a mapping of names to values, or a list of mappings."
            )
    return [{k: v if isinstance(v, list) else [v] for k, v in one.items()} for one in grids]


def from_json(text: str) -> dict[str, list]:
    """The one grid of the parameters of one run. Raises ValueError for what is no JSON object."""
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise ValueError(
            f"--one {text!r}: write the parameters as JSON, such as '{{\"steps\": 20}}'."
        )
    return {name: [value] for name, value in said.items()}


def combinations(
    lessons: dict[Path, dict], words: dict[str, str], grids: list[dict[str, list]]
) -> list[tuple[Path, dict]]:
    """Every run: each notebook with each combination of what it has of the values given, no run twice.

    words: of the command line, the same in every grid. grids: of a file; [{}] for none.
    Raises ValueError for a name that no notebook has or that is given twice, for a value of the wrong kind,
    and for a grid without values or of more than 100,000 runs.
    """
    check_known([*words, *(name for one in grids for name in one)], lessons)
    found: dict[str, tuple[Path, dict]] = {}
    for one in grids:
        if both := words.keys() & one.keys():
            raise ValueError(f"{min(both)} is given twice: by -p, and in the grid's file.")
        for path, defaults in lessons.items():
            axes = {n: values(n, t, defaults[n]) for n, t in words.items() if n in defaults}
            axes |= {n: _listed(n, v, defaults[n]) for n, v in one.items() if n in defaults}
            if math.prod(map(len, axes.values())) + len(found) > MOST:
                raise ValueError(f"This grid has more than {MOST} runs: give fewer values.")
            for chosen in product(*axes.values()):
                given = dict(zip(axes, chosen, strict=True))
                found[json.dumps([str(path), defaults | given], sort_keys=True)] = path, given
    return list(found.values())


def _listed(name: str, given: list, default: object) -> list:
    """The values that a file gives for a parameter, of the default's kind."""
    if isinstance(default, (list, tuple)) and not all(isinstance(v, list) for v in given):
        given = [given]  # one list, not a list of lists
    if not given:
        raise ValueError(f"{name} has no values in the grid's file: give one at least.")
    kept = [of_kind(name, v, default, v) for v in given]
    for value in kept:
        if not isinstance(value, (bool, int, float, str, list, type(None))):
            raise ValueError(f"{name} is {value!r}: give numbers, texts, or lists of them.")
    return kept


def check(runs: list[tuple[Path, dict]], lessons: dict[Path, dict]) -> None:
    """That each run's parameters are within what its lesson allows, and that its networks are there.

    A lesson's own check, `lesson.parameters(globals(), name=…)`, is read from its cells as far as it is
    written in literals. Raises ValueError, with the first that is not allowed.
    """
    from ..lesson import parameters
    from ..studies.inputs import check_networks

    allowed, seen = {path: allowed_by(read(path)) for path in lessons}, set()
    for path, given in runs:
        chosen = lessons[path] | given
        for name, value in given.items():
            try:
                json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
            except ValueError:
                raise ValueError(
                    f"{name} is {value!r}: give finite numbers and whole texts."
                ) from None
        known = {n: rule for n, rule in allowed[path].items() if n in chosen}
        parameters({n: chosen[n] for n in known}, **known)
        texts = {n: v for n, v in chosen.items() if isinstance(v, str)}
        if texts and (key := tuple(sorted(texts.items()))) not in seen:
            seen.add(key)
            check_networks(SimpleNamespace(**texts))


def allowed_by(notebook: NotebookNode) -> dict[str, object]:
    """What a lesson's own check allows for each parameter, where it says so in literals, `str` or `bool`."""
    allowed = {}
    for call in _calls(notebook):
        for keyword in call.keywords:
            kind = {"str": str, "bool": bool}.get(getattr(keyword.value, "id", ""))
            try:
                allowed[keyword.arg] = kind or ast.literal_eval(keyword.value)
            except ValueError:
                continue  # an expression: the lesson checks it when it runs
    return {name: rule for name, rule in allowed.items() if name}


def _calls(notebook: NotebookNode) -> Iterator[ast.Call]:
    for cell in notebook.cells:
        try:
            tree = ast.parse(cell.source) if cell.cell_type == "code" else ast.Module([], [])
        except SyntaxError:
            continue  # a magic
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "lesson.parameters":
                yield node
