"""What every lesson needs: checked parameters, recorded results, checked exercises."""

from __future__ import annotations

import difflib
import itertools
import math
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from types import ModuleType, SimpleNamespace

import numpy as np
import torch
from torch import Tensor

MIME = "application/vnd.lessons-lib.result+json"
MAY_BE_EMPTY = {"images", "prompt"}  # of texts: '' is none
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
            fault = _difference(got, oracle(*case))
        if fault:
            hint = hints[min(_failures[name], len(hints) - 1)]
            _failures[name] += 1
            given = ", ".join(_short(argument, 3) for argument in case)
            print(f"✗ {name}({given}) {fault}. Hint: {hint}")
            return False
    del _failures[name]
    print(f"✓ {name} is right in {len(cases)} of {len(cases)} cases.")
    return True


_failures: Counter[str] = Counter()  # of each exercise since it was last right


def _difference(got: object, want: object) -> str:
    """What is wrong with an answer, as the end of a sentence; empty if it is right."""
    want = _numbers(want)
    if got is None or got is ...:
        return "returns nothing: each way through it has to end in `return`"
    try:
        numbers = _numbers(got)
    except (TypeError, ValueError, RuntimeError):
        return f"gives {_short(got)}, which is not {_kind(want)}"
    if _without_leading_ones(numbers.shape) != _without_leading_ones(want.shape):
        return f"gives {_kind(numbers)}, not {_kind(want)}: look at the shape"
    numbers = numbers.reshape(want.shape)
    finite = want[want.isfinite()].abs()
    scale = finite.max().item() if finite.numel() else 0.0
    wrong = ~torch.isclose(numbers, want, rtol=1e-4, atol=1e-9 + 1e-6 * scale)
    if not wrong.any():
        return ""
    return _values(numbers, want, wrong) + _rounding(got, numbers, want)


def _values(numbers: Tensor, want: Tensor, wrong: Tensor) -> str:
    """The two tensors themselves if they are short, or where they differ most."""
    if want.numel() <= 6:
        return f"gives {_short(numbers)}, not {_short(want)}"
    apart = torch.where(wrong, (numbers - want).abs(), -1.0).nan_to_num(nan=math.inf)
    place = tuple(i.item() for i in torch.unravel_index(apart.argmax(), want.shape))
    return (
        f"differs in {wrong.sum().item()} of {want.numel()} numbers, most at {list(place)}: "
        f"it gives {_short(numbers[place])}, not {_short(want[place])}"
    )


def _rounding(got: object, numbers: Tensor, want: Tensor) -> str:
    """What to say of the dtype, where it is the matter."""
    dtype = torch.as_tensor(got).dtype if isinstance(got, (Tensor, np.ndarray)) else torch.float64
    within = 1e-2 * want.abs() if dtype.is_floating_point else torch.ones_like(want)
    if dtype in (torch.float64, torch.bool) or ((numbers - want).abs() >= within).any():
        return ""
    return f": the dtype {str(dtype).removeprefix('torch.')} rounds it, compute in float64"


def _numbers(value: object) -> Tensor:
    """In float64, on the CPU. Raises TypeError, ValueError or RuntimeError for what is no number."""
    if isinstance(value, (list, tuple)):
        return torch.stack([_numbers(item) for item in value])
    tensor = torch.as_tensor(value).detach().cpu()
    if tensor.is_complex():
        raise TypeError("complex numbers")
    return tensor.to(torch.float64)


def _copy(value: object) -> object:
    """The value, with every tensor and array in it cloned."""
    if isinstance(value, (list, tuple)):
        return getattr(type(value), "_make", type(value))(_copy(item) for item in value)
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, Tensor):
        return value.clone()
    return value.copy() if isinstance(value, np.ndarray) else value


def _without_leading_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(itertools.dropwhile(lambda n: n == 1, shape))


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
        whole = isinstance(low, int) and isinstance(high, int)
        number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            kind = "a whole number" if whole else "a number"
            raise ValueError(f"{name} is {value!r}: give {kind} from {low} to {high}.")


def _kind(numbers: Tensor) -> str:
    return "a single number" if numbers.ndim == 0 else f"a tensor of shape {tuple(numbers.shape)}"


def _short(value: object, most: int = 6) -> str:
    """A few characters for any argument or answer; of a tensor at most so many numbers."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Tensor):
        if value.numel() > most:
            return f"a tensor {tuple(value.shape)}"
        shown = [f"{v + 0:.6g}" for v in value.detach().flatten().tolist()]  # + 0: no minus zero
        return shown[0] if len(shown) == 1 else f"[{', '.join(shown)}]"
    text = getattr(value, "__name__", None) or repr(value)
    return text if len(text) <= 40 else f"a {type(value).__name__}"
