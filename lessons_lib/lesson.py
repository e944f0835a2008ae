"""What every lesson needs: checked parameters, recorded results, checked exercises."""

from __future__ import annotations

import difflib
import math
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from types import ModuleType, SimpleNamespace

import numpy as np
from torch import Tensor

from .answers import difference, short
from .checks import whole
from .guesses import Guess, compare, predict
from .paths import MIME

__all__ = [
    "MIME",
    "Guess",
    "compare",
    "conclude",
    "exercise",
    "parameters",
    "predict",
    "ratio",
    "record",
]
MAY_BE_EMPTY = {  # of texts: '' is none
    "images", "prompt", "source_prompt", "other_prompt", "stranger", "own_source", "own_target", "keep",
}  # fmt: skip
MAY_BE_LABELS = "prompt", "source_prompt", "other_prompt"  # texts, or whole numbers
_IPYTHON = {"In", "Out", "get_ipython", "exit", "quit", "open", "lesson"}


def parameters(namespace: Mapping[str, object], **allowed: object) -> SimpleNamespace:
    """Check a lesson's parameters before anything is computed.

    namespace: the notebook's `globals()`, right after the parameters cell, so that a misspelt name
        injected by papermill (which only warns) is found.
    allowed: name=(low, high) for a number, whole if both ends are; name=(low, high, None) for a
        list of them; name=str for text; name=bool; or a list of the values that are possible.

    Raises ValueError, in one sentence, for a misspelt name or a value of the wrong kind or range.
    """
    given = {k: v for k, v in namespace.items() if _is_parameter(k, v)}
    for name in sorted(set(given) - set(allowed)):
        close = difflib.get_close_matches(name, allowed, 1)
        guess = f" did you mean {close[0]!r}?" if close else f" they are {', '.join(allowed)}."
        raise ValueError(f"There is no parameter {name!r}:{guess}")
    for name in allowed:
        if name not in given:
            raise ValueError(f"Parameter {name!r} is missing from the parameters cell.")
        _check(name, given[name], allowed[name])
    return SimpleNamespace(**{name: given[name] for name in allowed})


def record(name: str, value: float | Tensor, note: str = "", show: bool = True) -> float:
    """Print a result and keep it, as data, in the executed notebook, where a sweep finds it.

    show: False where a table or a figure says the same; then it is kept, and not printed.

    Raises ValueError for a value that is not finite: a lesson never reports a silent NaN.
    """
    value = float(value)
    if not math.isfinite(value):
        raise ValueError(f"The result {name!r} is {value}: it must be finite.")
    text = f"{name}: {value:.4g}{' ' + note if note else ''}"
    _show(text if show else "", {MIME: {"name": name, "value": value, "note": note}})
    return value


def ratio(
    name: str, part: float | Tensor, whole: float | Tensor, note: str = "", show: bool = True
) -> float | None:
    """Record part / whole. Of a whole of 0 it is undefined: that is printed, nothing is recorded, and None
    comes back. Raises ValueError as `record`."""
    if float(whole) == 0:
        _show(f"{name}: undefined, because what it divides by is 0", {})
        return None
    return record(name, float(part) / float(whole), note, show)


def conclude(text: str) -> None:
    """Show what a section has found: a sentence, with this run's numbers."""
    _show(f"In this run: {text}", {"text/markdown": f"**In this run:** {text}"})


def _show(text: str, other: dict) -> None:
    """Text, and in a notebook the same in other formats too."""
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        get_ipython = lambda: None  # noqa: E731
    if get_ipython() is not None:
        display(({"text/plain": text} if text else {}) | other, raw=True)
    elif text:
        print(text)


def exercise(answer: Callable, oracle: Callable, cases: list[tuple], hints: list[str]) -> bool:
    """Compare the student's function with the oracle on each case, and say what is wrong.

    answer, oracle: both give a number, an array, a tensor or a list of these. They agree if they
        have the same shape, but for leading axes of length 1, and the same numbers, to a ten
        thousandth of each or a millionth of the largest. The dtype does not matter. The answer
        works on copies of the tensors, arrays, lists and dicts in a case.
    cases: the arguments of each call. Levels such as ᾱ are tensors, which every root takes.
    hints: from a nudge to nearly the answer, at least two. Each further failure shows the next.

    A stub that returns None or ... counts as not attempted, so that the lesson runs on. An error
    in the answer is told in a sentence. Returns whether the answer is right.
    """
    name = getattr(answer, "__name__", type(answer).__name__)
    for number, case in enumerate(cases):
        try:
            got = answer(*_copy(case))
        except Exception as error:
            fault = f"stops{_place(error, answer)} with {_sentence(error)}"
        else:
            if number == 0 and (got is None or got is ...):
                print(f"○ {name} returns nothing yet. Write it, then run its cell and this one.")
                return False
            fault = difference(got, oracle(*case))
        if fault:
            hint = hints[min(_failures[name], len(hints) - 1)]
            _failures[name] += 1
            given = ", ".join(short(argument, 3) for argument in case)
            print(f"✗ {name}({given}) {fault}. Hint: {hint}")
            return False
    del _failures[name]
    print(f"✓ {name} is right in {len(cases)} of {len(cases)} cases.")
    return True


_failures: Counter[str] = Counter()  # of each exercise since it was last right


def _copy(value: object) -> object:
    """The value, with every tensor and array in it cloned."""
    if isinstance(value, (list, tuple)):
        return getattr(type(value), "_make", type(value))(_copy(item) for item in value)
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, Tensor):
        return value.clone()
    return value.copy() if isinstance(value, np.ndarray) else value


def _place(error: Exception, answer: Callable) -> str:
    """The last line of the student's own cell that an error came through."""
    home = getattr(getattr(answer, "__code__", None), "co_filename", None)
    lines = [f.line for f in traceback.extract_tb(error.__traceback__) if f.filename == home]
    return f" at `{lines[-1]}`" if lines and lines[-1] else ""


def _sentence(error: Exception) -> str:
    first = next(iter(str(error).strip().splitlines()), "").rstrip(".")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _is_parameter(name: str, value: object) -> bool:
    if name.startswith("_") or name in _IPYTHON or isinstance(value, ModuleType) or callable(value):
        return False
    return isinstance(value, (bool, int, float, str, list, dict, type(None)))


def _check(name: str, value: object, allowed: object) -> None:
    if name in MAY_BE_LABELS and whole(value, 0):
        return
    if isinstance(allowed, list):
        if value not in allowed:
            raise ValueError(
                f"{name} is {value!r}: it must be one of {', '.join(map(str, allowed))}."
            )
    elif allowed in (str, bool):
        if not isinstance(value, allowed) or (value == "" and name not in MAY_BE_EMPTY):
            raise ValueError(
                f"{name} is {value!r}: give {'text' if allowed is str else 'True or False'}."
            )
    elif len(allowed) == 3:
        if not isinstance(value, list) or not value:
            raise ValueError(
                f"{name} is {value!r}: give a list of numbers, such as [{allowed[0]}]."
            )
        for item in value:
            _check(name, item, allowed[:2])
    else:
        low, high = allowed
        count = isinstance(low, int) and isinstance(high, int)
        number = isinstance(value, int if count else (int, float)) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            kind = "a whole number" if count else "a number"
            raise ValueError(f"{name} is {value!r}: give {kind} from {low} to {high}.")
