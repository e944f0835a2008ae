"""What every lesson needs: checked parameters, recorded results, checked exercises."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from types import ModuleType, SimpleNamespace

import torch
from torch import Tensor

MIME = "application/vnd.lessons-lib.result+json"
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


def record(name: str, value: float | Tensor, note: str = "") -> float:
    """Print a result and keep it, as data, in the executed notebook, where a sweep finds it.

    Raises ValueError for a value that is not finite: a lesson never reports a silent NaN.
    """
    value = float(value)
    if not math.isfinite(value):
        raise ValueError(f"The result {name!r} is {value}: it must be finite.")
    text = f"{name}: {value:.4g}{' ' + note if note else ''}"
    data = {"name": name, "value": value, "note": note}
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        get_ipython = lambda: None  # noqa: E731
    if get_ipython() is None:
        print(text)
    else:
        display({"text/plain": text, MIME: data}, raw=True)
    return value


def exercise(answer: Callable, oracle: Callable, cases: list[tuple], hints: list[str]) -> bool:
    """Compare the student's function with the oracle on each case, and say what is wrong.

    A stub that returns None or ... counts as not attempted, so that the lesson runs on.
    hints: from a nudge to nearly the answer; a wrong answer shows the first, a crash too.
    Returns whether the answer is right.
    """
    name = answer.__name__
    for case in cases:
        try:
            got = answer(*case)
        except Exception as error:
            print(f"✗ {name} fails with {type(error).__name__}: {error}. Hint: {hints[0]}")
            return False
        if got is None or got is ...:
            print(f"○ {name}: not attempted yet. Write it, then run this cell again.")
            return False
        want = torch.as_tensor(oracle(*case), dtype=torch.float64)
        try:
            got = torch.as_tensor(got, dtype=torch.float64)
            torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-9)
        except (AssertionError, TypeError, ValueError, RuntimeError):
            shown = ", ".join(_short(argument) for argument in case)
            print(f"✗ {name}({shown}) gives {_short(got)}, not {_short(want)}. Hint: {hints[0]}")
            return False
    print(f"✓ {name} is right in {len(cases)} of {len(cases)} cases.")
    return True


def _is_parameter(name: str, value: object) -> bool:
    if name.startswith("_") or name in _IPYTHON or isinstance(value, ModuleType) or callable(value):
        return False
    return isinstance(value, (bool, int, float, str, list, dict, type(None)))


def _check(name: str, value: object, allowed: object) -> None:
    if isinstance(allowed, list):
        if value not in allowed:
            raise ValueError(
                f"{name} is {value!r}: it must be one of {', '.join(map(str, allowed))}."
            )
    elif allowed in (str, bool):
        if not isinstance(value, allowed) or value == "":
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
        whole = isinstance(low, int) and isinstance(high, int)
        number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            kind = "a whole number" if whole else "a number"
            raise ValueError(f"{name} is {value!r}: give {kind} from {low} to {high}.")


def _short(value: object) -> str:
    if not isinstance(value, Tensor):
        return f"{value:.4g}" if isinstance(value, float) else str(value)
    if value.numel() == 1:
        return f"{value.item():.6g}"
    return (
        f"a tensor {tuple(value.shape)}"
        if value.numel() > 6
        else str([round(v, 6) for v in value.flatten().tolist()])
    )
