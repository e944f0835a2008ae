"""Controls beside a figure: `explore(draw, **controls)`.

The figure of the controls' first values is computed before anything is attached, so that it is a
real output and an error in `draw` fails the run; it is also what a static page shows.
"""

from __future__ import annotations

import base64
import html
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import ipywidgets
from matplotlib.figure import Figure

from .plots import png

OPEN: list[Explorer] = []  # every explorer of this kernel, for `try_all`


def slider(
    low: float, high: float, value: float, step: float = 0.05, label: str = ""
) -> ipywidgets.Widget:
    """A number from low to high; whole numbers where all of them are."""
    whole = all(isinstance(v, int) for v in (low, high, value, step))
    kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    return kind(value, min=low, max=high, step=step, description=label, continuous_update=False)


def choice(values: list, value, label: str = "") -> ipywidgets.Widget:
    """One of a few values, as buttons side by side; (text, value) pairs show the text."""
    return ipywidgets.ToggleButtons(
        options=values, value=value, description=label, style={"button_width": "auto"}
    )


class Explorer(ipywidgets.VBox):
    """Controls above a picture. The newest move wins; what was drawn once is kept.

    `error` is the text of the last failure, or "" if the last draw went well.
    """

    def __init__(self, draw: Callable[..., Figure], controls: dict[str, ipywidgets.Widget]):
        self.draw, self.controls = draw, controls
        self.frames = {self._key(): png(draw(**self._values()))}
        self.error, self._newest, self._lock = "", 0, threading.Lock()
        self._worker = ThreadPoolExecutor(1)
        self._last: Future | None = None
        self.message = ipywidgets.HTML()
        self.picture = ipywidgets.Image(value=self.frames[self._key()], format="png")
        self.picture.layout.max_width = "100%"
        super().__init__([*controls.values(), self.message, self.picture])
        for name, control in controls.items():
            control.description = control.description or name.replace("_", " ")
            control.style.description_width = "initial"
            control.observe(self._moved, "value")
        OPEN.append(self)

    def wait(self) -> None:
        """Block until the newest move is drawn."""
        if self._last is not None:
            self._last.result()

    def _values(self) -> dict:
        return {name: control.value for name, control in self.controls.items()}

    def _key(self) -> tuple:
        return tuple(control.value for control in self.controls.values())

    def _moved(self, _change) -> None:
        with self._lock:
            self._newest += 1
            mine, key, values = self._newest, self._key(), self._values()
        if key in self.frames:
            self._show(key)
            return
        self.message.value = "<i>computing …</i>"
        self._last = self._worker.submit(self._compute, mine, key, values)

    def _compute(self, mine: int, key: tuple, values: dict) -> None:
        if mine != self._newest:
            return  # overtaken by a newer move
        try:
            self.frames[key] = png(self.draw(**values))
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}"
            self.message.value = f"<b style='color:#D55E00'>{html.escape(self.error)}</b>"
            return
        if mine == self._newest:
            self._show(key)

    def _show(self, key: tuple) -> None:
        self.error, self.message.value = "", ""
        self.picture.value = self.frames[key]

    def _repr_mimebundle_(self, **kwargs) -> dict:
        """The widget, and beside it the picture for pages where no widget runs."""
        bundle = super()._repr_mimebundle_(**kwargs)
        return bundle | {"image/png": base64.b64encode(self.frames[self._key()]).decode()}


def explore(draw: Callable[..., Figure], **controls: ipywidgets.Widget) -> Explorer:
    """A figure that follows its controls: `explore(draw, eta=slider(0.0, 1.0, 0.5))`.

    draw: takes each control's value by name and returns a Figure made by `plots.figure`.
    """
    return Explorer(draw, controls)


def try_all() -> None:
    """Move every control of every explorer to each end; raise the first error that shows.

    For tests: a broken callback fails no notebook run by itself.
    """
    for explorer in OPEN:
        for name, control in explorer.controls.items():
            start = control.value
            for value in _ends(control):
                control.value = value
                explorer.wait()
                if explorer.error:
                    raise RuntimeError(f"{name}={value}: {explorer.error}")
            control.value = start
            explorer.wait()


def _ends(control: ipywidgets.Widget) -> tuple:
    if hasattr(control, "options"):
        values = [option[1] if isinstance(option, tuple) else option for option in control.options]
        return values[0], values[-1]
    return control.min, control.max
