"""Controls beside a figure: `explore(draw, **controls)`.

The figure of the controls' first values is computed before anything is attached, so that it is a
real output and an error in `draw` fails the run; it is also what a static page shows.
"""

from __future__ import annotations

import base64
import html
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import ipywidgets
import matplotlib
import torch
from matplotlib.figure import Figure
from torch import Tensor

from . import plots
from .plots import png
from .worlds import WORLDS, Factor

QUICK = 0.15  # seconds: what is drawn in less follows a slider as it moves
MASK_COLOURS = matplotlib.color_sequences["tab20"]
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

    Every frame that is newer than the one shown is shown, so that a picture moves with a dragged slider.

    `error` is the text of the last failure, or "" if the last draw went well.
    """

    def __init__(self, draw: Callable[..., Figure], controls: dict[str, ipywidgets.Widget]):
        self.draw, self.controls = draw, controls
        start = time.perf_counter()
        self.frames = {self._key(): png(draw(**self._values()))}
        self._live = time.perf_counter() - start < QUICK
        self.error, self._newest, self._shown, self._lock = "", 0, 0, threading.Lock()
        self._worker = ThreadPoolExecutor(1)
        self._last: Future | None = None
        self.message = ipywidgets.HTML()
        shape = ipywidgets.Layout(align_self="flex-start", max_width="100%")  # else it is stretched
        self.picture = ipywidgets.Image(value=self.frames[self._key()], format="png", layout=shape)
        self.picture.layout.max_width = "100%"
        super().__init__([*controls.values(), self.message, self.picture])
        self._attach(controls)
        OPEN.append(self)

    def wait(self) -> None:
        """Block until the newest move is drawn."""
        if self._last is not None:
            self._last.result()

    def _attach(self, controls: dict[str, ipywidgets.Widget]) -> None:
        for name, control in controls.items():
            control.description = control.description or name.replace("_", " ")
            control.style.description_width = "initial"
            if hasattr(control, "continuous_update"):
                control.continuous_update = self._live
            control.observe(self._moved, "value")

    def _values(self) -> dict:
        return {name: control.value for name, control in self.controls.items()}

    def _key(self) -> tuple:
        return tuple(control.value for control in self.controls.values())

    def _moved(self, _change) -> None:
        with self._lock:
            self._newest += 1
            mine, key, values = self._newest, self._key(), self._values()
        if key in self.frames:
            self._show(mine, key)
            return
        self.message.value = "<i>computing …</i>"
        self._last = self._worker.submit(self._compute, mine, key, values)

    def _compute(self, mine: int, key: tuple, values: dict) -> None:
        if mine != self._newest:
            return  # overtaken by a newer move
        try:
            self.frames[key] = png(self.draw(**values))
        except Exception as error:
            if mine != self._newest:
                return
            self.error = f"{type(error).__name__}: {error}"
            self.message.value = f"<b style='color:#D55E00'>{html.escape(self.error)}</b>"
            return
        self._show(mine, key)

    def _show(self, mine: int, key: tuple) -> None:
        """Show a frame that is newer than the one shown; a newer one may be on its way."""
        with self._lock:
            if mine < self._shown:
                return
            self._shown, self.picture.value = mine, self.frames[key]
            if mine == self._newest:
                self.error, self.message.value = "", ""

    def _repr_mimebundle_(self, **kwargs) -> tuple[dict, dict]:
        """The widget, and beside it the picture for pages where no widget runs, with what it shows."""
        bundle = super()._repr_mimebundle_(**kwargs)
        named = ", ".join(f"{name} = {value}" for name, value in self._values().items())
        alt = {"alt": f"a picture with controls, at {named}", "controls": list(self._values())}
        return bundle | {"image/png": base64.b64encode(self.picture.value).decode()}, {
            "image/png": alt
        }


def explore(draw: Callable[..., Figure], **controls: ipywidgets.Widget) -> Explorer:
    """A figure that follows its controls: `explore(draw, eta=slider(0.0, 1.0, 0.5))`.

    draw: takes each control's value by name and returns a Figure made by `plots.figure`.
    """
    return Explorer(draw, controls)


class FactorExplorer(Explorer):
    """A control for each factor of a world: the picture, its mask and caption, and a strip of one factor."""

    def __init__(self, worlds: list[str], seed: int, vary: str):
        kind = choice(worlds, worlds[0], "world")
        self.sets = {name: {"world": kind} | _factor_controls(name, seed, vary) for name in worlds}
        # Before the base class's own: it then finds the new world's controls.
        kind.observe(lambda change: self._turn_to(change["new"]), "value")
        super().__init__(lambda **values: factor_figure(values, seed), self.sets[worlds[0]])
        for name in worlds[1:]:
            self._attach({k: v for k, v in self.sets[name].items() if k != "world"})
        self._turn_to(worlds[0])

    def _turn_to(self, world: str) -> None:
        self.controls = self.sets[world]
        kind, vary, *factors = self.controls.values()
        grid = ipywidgets.Layout(grid_template_columns="repeat(auto-fill, minmax(310px, 1fr))")
        self.children = [
            kind, vary, ipywidgets.GridBox(factors, layout=grid), self.message, self.picture,
        ]  # fmt: skip


def explore_factors(worlds: list[str], seed: int = 0, vary: str = "") -> FactorExplorer:
    """Sliders for the factors of each of these worlds, which begin at the picture of `seed`.

    vary: the factor that the strip is of; a world that does not have it begins with its first.
    """
    return FactorExplorer(worlds, seed, vary)


def _factor_controls(world: str, seed: int, vary: str) -> dict[str, ipywidgets.Widget]:
    known, start = WORLDS[world], WORLDS[world].sample_factors(1, seed)
    names = [f.name for f in known.factors]
    first = vary if vary in names else names[0]
    # JupyterLab takes the arrow keys from a dropdown, and goes to another cell; not from a slider.
    shown = ipywidgets.SelectionSlider(
        options=names, value=first, description="strip of", continuous_update=False
    )
    return {"vary": shown} | {f.name: _control(f, start[f.name].item()) for f in known.factors}


def _control(factor: Factor, value: float) -> ipywidgets.Widget:
    if factor.choices:
        pairs = [(text, i) for i, text in enumerate(factor.choices)]
        return choice(pairs, int(value))
    return slider(float(factor.low), float(factor.high), value)


def factor_figure(values: dict, seed: int, columns: int = 7) -> Figure:
    """A strip of the factor `values["vary"]` above the picture of `values`, with mask and caption.

    values: the name of a world, of one of its factors, and a number for each factor.
    seed: picks the caption's words.
    """
    factors = {k: v for k, v in values.items() if k not in ("world", "vary")}
    known, vary = WORLDS[values["world"]], values["vary"]
    steps, names = _levels(known.factor(vary), columns)
    (image,), (mask,) = known.paint(factors)
    fig, axes = plots.figure(2, 1, 12, 6, height_ratios=(12 / len(steps), 3))
    strip = known.render(factors | {vary: steps})
    _side_by_side(axes[0], strip, [f"{vary} = {names[0]}", *names[1:]])
    colours = torch.tensor(MASK_COLOURS)[mask].permute(2, 0, 1) * 2 - 1
    _side_by_side(axes[1], torch.stack([image, colours]), ["picture", "mask"])
    for i in mask.unique().tolist():
        axes[1].plot([], [], "s", ms=10, color=MASK_COLOURS[i], label=known.classes[i])
    axes[1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    axes[1].set_xlabel(textwrap.fill(known.captions(factors, seed)[0], 100), fontsize=13)
    return fig


def _levels(factor: Factor, columns: int) -> tuple[Tensor, list[str]]:
    """Values over a factor's range, and what to call them."""
    if factor.choices:
        return torch.arange(len(factor.choices)), list(factor.choices)
    values = torch.linspace(factor.low, factor.high, columns)
    return values, [f"{round(v, 2):zg}" for v in values.tolist()]


def _side_by_side(ax, images: Tensor, names: list[str], gap: int = 4) -> None:
    """Images (N, C, H, W) on one axes, each with its name above."""
    padded = torch.nn.functional.pad(images, (0, gap), value=1.0)
    plots.picture(ax, torch.cat(list(padded), 2)[..., :-gap])
    width = padded.shape[-1]
    for i, name in enumerate(names):
        ax.text(width * i + (width - gap) / 2, -3, name, ha="center", va="bottom", fontsize=12)


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
