"""One look for every lesson: figures without pyplot, so that widgets may draw from any thread."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import matplotlib.image
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from .paths import whole

# Okabe & Ito's palette: told apart by colour-blind readers and in grey. The same thing has the same
# colour in every lesson.
P, D, NOISE = "#0072B2", "#E69F00", "#CC79A7"
EDITED, SOURCE, WRONG = "#009E73", "#7F7F7F", "#D55E00"
ETAS = matplotlib.colors.LinearSegmentedColormap.from_list("eta", ["#0072B2", "#CC79A7", "#D55E00"])

STYLE = {
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.size": 13,
    "axes.titlesize": 14,
    "axes.labelsize": 13,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "lines.linewidth": 2.4,
    "legend.frameon": False,
}


def figure(
    rows: int = 1, columns: int = 1, width: float = 11, height: float = 4, grid: bool = True, **options
):  # fmt: skip
    """(figure, axes): axes is one Axes, or an array of them."""
    with matplotlib.rc_context(STYLE | {"axes.grid": grid}):
        fig = Figure(figsize=(width, height))
        FigureCanvasAgg(fig)
        axes = fig.subplots(rows, columns, **options)
    show_figures()
    return fig, axes


def png(fig: Figure) -> bytes:
    """The figure as a PNG picture."""
    out = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        fig.savefig(out, format="png")
    return out.getvalue()


def preview():
    """In a notebook, a function that shows pictures (B, 3, H, W) in one place, the last ones in the place of
    those before; None outside of one."""
    from IPython import get_ipython
    from IPython.display import Image, display

    shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return None
    places = []

    def show(pictures: Tensor) -> None:
        row = torch.cat(list(pictures), 2)  # (3, H, B·W)
        out = io.BytesIO()
        matplotlib.image.imsave(out, pixels(row), format="png")
        image = Image(out.getvalue(), width=max(row.shape[2], 640))
        if places:
            places[0].update(image)
        else:
            places.append(display(image, display_id=True))

    return show


def show_figures() -> None:
    """In a notebook, let a Figure that is a cell's last value be shown."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is not None:
        formatter = shell.display_formatter.formatters["image/png"]
        formatter.for_type(Figure, lambda fig: (png(fig), {"alt": described(fig)}))


def described(fig: Figure) -> str:
    """What a figure shows, in words, for who cannot see it: its titles, axes, rows, columns and curves."""
    title = fig.get_suptitle()
    pictures = [ax for ax in fig.axes if ax.images and not ax.xaxis.get_label_text()]
    charts = [ax for ax in fig.axes if ax not in pictures and ax.has_data()]
    said = [title] if title else []
    if pictures:
        rows = _told(ax.yaxis.get_label_text() for ax in pictures)
        columns = _told(ax.get_title() for ax in pictures)
        said.append(f"{len(pictures)} pictures")
        said += [f"rows: {rows}"] if rows else []
        said += [f"columns: {columns}"] if columns else []
    for ax in charts:
        across, up = ax.xaxis.get_label_text(), ax.yaxis.get_label_text()
        what = " over ".join(name for name in (up, across) if name)
        curves = _told(line.get_label() for line in (*ax.lines, *ax.collections, *ax.containers))
        parts = (ax.get_title(), what, curves and f"showing {curves}")
        said.append("chart " + ", ".join(part for part in parts if part))
    return ". ".join(" ".join(part.split()) for part in said) or "a figure without words"


def _told(names) -> str:
    """Names in their order, once each, without those that matplotlib made up."""
    kept = dict.fromkeys(
        " ".join(str(n).split()) for n in names if n and not str(n).startswith("_")
    )
    return ", ".join(k for k in kept if k)


def pixels(image: Tensor) -> np.ndarray:
    """(C, H, W) in [-1, 1] as (H, W, 3) or (H, W) in [0, 1]; ValueError for other than 1 or 3 channels."""
    if image.ndim != 3 or len(image) not in (1, 3):
        raise ValueError(
            f"The image is {tuple(image.shape)}: give one picture, (3, H, W) or grey (1, H, W)."
        )
    shown = (image.detach().cpu().float().clamp(-1, 1) + 1) / 2
    return shown.permute(1, 2, 0).numpy() if len(shown) == 3 else shown[0].numpy()


def picture(ax: Axes, image: Tensor, title: str = "", colour: str = "black") -> None:
    """One image (C, H, W) in [-1, 1], its pixels uninterpolated, with a title above."""
    _shown(ax, image, title, colour)
    _bare(ax)


def _shown(ax: Axes, image: Tensor, title: str, colour: str = "black") -> None:
    ax.imshow(pixels(image), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_title(title, fontsize=12, color=colour)


def _bare(ax: Axes) -> None:
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)


def strips(
    rows: Sequence[Tensor], names: Sequence[str], values: Sequence[str], title: str = ""
) -> Figure:
    """Rows of images (N, C, H, W) in [-1, 1]: a name left of each row, what varies above each column."""
    if not len(rows):
        raise ValueError("There are no rows of images: give at least one.")
    columns = max(len(row) for row in rows)
    size = min(1.5, 12 / columns)
    fig, axes = figure(
        len(rows), columns, size * columns + 1.6, size * len(rows) + 0.55 + 0.35 * bool(title),
        grid=False, squeeze=False,
    )  # fmt: skip
    for axis in axes.flat:
        axis.axis("off")  # ticks that are made, and then hidden, take half of the time
    for r, row in enumerate(rows):
        for c, image in enumerate(row):
            _shown(axes[r, c], image, values[c] if r == 0 and c < len(values) else "")
        axes[r, 0].axis("on")
        _bare(axes[r, 0])
        axes[r, 0].set_ylabel(names[r], rotation=0, ha="right", va="center", fontsize=12)
    if title:
        fig.suptitle(title, x=0.01, ha="left")  # in the middle it reads as part of a column's name
    return fig


def sheet(images: Tensor, columns: int = 8, scale: int = 2, gap: int = 1) -> Tensor:
    """Images (N, C, H, W) tiled into one (C, H', W'), all in [-1, 1], each pixel `scale` wide."""
    from . import _torchvision  # noqa: F401

    from torchvision.utils import make_grid  # isort: skip

    images = images.clamp(-1, 1).repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    return make_grid(images, columns, padding=gap, pad_value=1)


def save(image: Tensor, path, colours: int = 0) -> None:
    """Write an image (C, H, W) in [-1, 1] as a PNG file, of at most so many colours (2 to 256) if named."""
    from PIL import Image

    picture = Image.fromarray((pixels(image) * 255).round().astype("uint8"))
    if colours:
        picture = picture.convert("RGB").quantize(colours, dither=Image.Dither.NONE)
    with whole(Path(path)) as part:
        picture.save(part, optimize=True)


def density(ax: Axes, log_density, extent: float = 2.2, points: int = 120) -> None:
    """Grey shading of a 2-D density; `log_density` takes (N, 2) and gives (N,)."""
    axis = torch.linspace(-extent, extent, points, dtype=torch.float64)
    where = torch.cartesian_prod(axis, axis)
    p = log_density(where).exp().view(points, points).T
    ax.imshow(
        p.sqrt(), origin="lower", extent=(-extent, extent) * 2, cmap="Greys", aspect="equal",
        vmax=1.4 * p.sqrt().max(),
    )  # fmt: skip
    ax.set(xlim=(-extent, extent), ylim=(-extent, extent))
    _bare(ax)


BOUNDS = {  # a bound's name: its label and its line
    "measured": ("measured ‖x_t - x̂_t‖", {"color": "black", "lw": 3}),
    "tight": ("proved: K B + S", {"color": P}),
    "printed": ("proved, as printed: (K+1) B + S", {"color": WRONG, "ls": "-."}),
    "local": ("K on the segment: K B + S", {"color": EDITED}),
    "estimated": ("K estimated: K B + S, no bound", {"color": EDITED, "ls": "--"}),
    "reach": ("√ᾱ D, without K", {"color": SOURCE, "ls": ":"}),
}


def over_t(ax: Axes, t: Tensor, **curves: Tensor) -> None:
    """Distances B (S+1,) on a log axis, from noise (left) to the image (right).

    t: (S,), the schedule's times; curves: by their names in BOUNDS. B_T = 0 is not drawn.
    """
    for name, B in curves.items():
        label, line = BOUNDS[name]
        ax.plot([*t[1:].tolist(), -1], B[1:].tolist(), label=label, **line)
    ax.set(yscale="log", xlabel="t", ylabel="distance", xlim=(t[0].item(), -1))


def paths(ax: Axes, trajectory: Tensor, colour, alpha: float = 0.8) -> None:
    """2-D trajectories (S+1, B, 2): a line each, a ring where it starts, a dot where it ends."""
    xy = trajectory.detach().cpu().numpy()
    ax.plot(xy[:, :, 0], xy[:, :, 1], color=colour, lw=1.3, alpha=alpha)
    ax.scatter(*xy[0].T, s=26, facecolors="none", edgecolors="black", zorder=3)
    ax.scatter(*xy[-1].T, s=26, color=colour, edgecolors="white", linewidths=0.6, zorder=4)


def named_points(ax: Axes, points: dict[str, tuple[float, float]], colour: str = "black") -> None:
    """Points in the plane, each with its name beside it, left of those in the right half."""
    ends = [min(x for x, _ in points.values()), max(x for x, _ in points.values())]
    for name, (x, y) in points.items():
        right = x > sum(ends) / 2
        ax.plot(x, y, "o", color=colour, ms=5)
        ax.annotate(
            name, (x, y), (-6 if right else 6, 3), textcoords="offset points", fontsize=10,
            ha="right" if right else "left",
        )  # fmt: skip


def dumbbells(ax: Axes, pairs: dict[str, tuple[float, float]], names: tuple[str, str]) -> None:
    """Two numbers a row, joined by a line: ours as a dot and another's as a square, named in the legend."""
    for i, (row, (ours, theirs)) in enumerate(pairs.items()):
        first = i == 0
        ax.plot([ours, theirs], [i, i], color=SOURCE, lw=1)
        ax.plot(ours, i, "o", color=EDITED, label=names[0] if first else None)
        ax.plot(theirs, i, "s", color=WRONG, label=names[1] if first else None)
        ax.annotate(row, ((ours + theirs) / 2, i), (0, 6), textcoords="offset points", ha="center")
    ax.set(yticks=[], ylim=(-0.6, len(pairs) + 0.4))
    if pairs:
        ax.legend(fontsize=11)


def arrow(ax: Axes, start: Tensor, end: Tensor, colour: str, label: str) -> None:
    """An arrow in the plane from one point (2,) to another, named in the legend."""
    ax.annotate(
        "", end.tolist(), start.tolist(), zorder=5,
        arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2.6, "shrinkA": 0, "shrinkB": 0},
    )  # fmt: skip
    ax.plot([], [], color=colour, label=label)
