"""Reading a table of scores: means with intervals, verdicts over pairs, and their figures.

`rows` are {method: {metric: values (N,) of the images}} everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.patches import Rectangle
from torch import Tensor

from .. import lesson, plots
from . import metrics

Row = Mapping[str, Tensor]  # metric -> (N,)

# Where lower is better.
SIGN = {
    "distance to the true dog": -1,
    "distance to the true edit": -1,
    "FID": -1,
    "KID": -1,
    "seconds": -1,
}


def interval(values: Tensor, seed: int = 0) -> metrics.Interval:
    """Mean and 95 % bootstrap interval of the finite values (N,); a share is NaN where it is not defined."""
    values = torch.as_tensor(values)
    return metrics.bootstrap(values[values.isfinite()], seed)


def report(rows: Mapping[str, Row], seed: int = 0, show: bool = True) -> None:
    """Record the mean of each score with its 95 % bootstrap interval over the images.

    show: False where a table or a figure says the same.
    """
    for metric in metrics_of(rows):
        for name, row in rows.items():
            if metric in row:
                mean, low, high = interval(row[metric], seed)
                lesson.record(f"{metric}, {name}", mean, f"[{low:.3g}, {high:.3g}]", show=show)


def verdict(metric: str, one: Row, other: Row, seed: int = 0) -> str:
    """Whether the first is 'better' or 'worse' by this score over the same images, or 'undecided'.

    Decided is what the 95 % bootstrap interval of the images' differences leaves: one without 0.
    """
    _, low, high = interval(SIGN.get(metric, 1) * (one[metric] - other[metric]), seed)
    return "better" if low > 0 else "worse" if high < 0 else "undecided"


def table(rows: Mapping[str, Row], seed: int = 0) -> str:
    """Markdown: a method a row, a score a column, each a mean and its interval."""
    columns = metrics_of(rows)

    def cell(row: Row, metric: str) -> str:
        if metric not in row:
            return ""
        mean, low, high = interval(row[metric], seed)
        return f"{mean:z.2f} [{low:z.2f}, {high:z.2f}]"

    return markdown(columns, {n: [cell(r, m) for m in columns] for n, r in rows.items()})


def markdown(columns: list[str], lines: Mapping[str, list[str]]) -> str:
    """A Markdown table: the columns' heads, and each line by its name."""
    head = ["| |" + "|".join(columns) + "|", "|---|" + "---|" * len(columns)]
    return "\n".join(head + [f"|{name}|" + "|".join(cells) + "|" for name, cells in lines.items()])


def coloured(rows: Mapping[str, Row], ours: str, seed: int = 0):
    """A figure: a method a row, a score a column, each a mean. By `verdict` over the same images a cell is
    green with ▼ where it is worse than the row `ours`, orange with ▲ where better, grey where undecided."""
    looks = {
        "better": (plots.EDITED, " ▼"),
        "worse": (plots.D, " ▲"),
        "undecided": (plots.SOURCE, ""),
    }
    shown = metrics_of(rows)
    fig, ax = plots.figure(width=2.6 + 1.9 * len(shown), height=0.42 * len(rows) + 1.1)
    for i, (name, row) in enumerate(rows.items()):
        for j, metric in ((j, k) for j, k in enumerate(shown) if k in row):
            said = "" if name == ours else verdict(metric, rows[ours], row, seed)
            colour, mark = looks.get(said, ("white", ""))
            ax.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, color=colour, alpha=0.3))
            ax.text(
                j, i, f"{row[metric].nanmean():.2f}{mark}", ha="center", va="center", fontsize=12
            )
    heads = [
        m.replace(" to ", "\nto ").replace(" of ", "\nof ").replace(" (dB)", ", dB") for m in shown
    ]
    ax.set(xlim=(-0.5, len(shown) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    ax.set(xticks=range(len(shown)), yticks=range(len(rows)), yticklabels=list(rows))
    ax.set_xticklabels(heads, fontsize=11), ax.xaxis.tick_top(), ax.grid(False)
    ax.tick_params(length=0), ax.spines[:].set_visible(False)
    return fig


def metrics_of(rows: Mapping[str, Row]) -> list[str]:
    """Every metric that a row has, in the order in which they come."""
    return list(dict.fromkeys(metric for row in rows.values() for metric in row))


def beside(text: str, columns: list[str], lines: Mapping[str, list[str]]) -> str:
    """A Markdown table with further columns at its right."""
    more = [columns, ["---"] * len(columns), *lines.values()]
    rows = zip(text.splitlines(), more, strict=True)
    return "\n".join(row + "|".join(cells) + "|" for row, cells in rows)


def rounded(value):
    """Numbers with four digits behind the point, for a small file; NaN as null."""
    if isinstance(value, Mapping):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, Tensor) and value.ndim:
        return [None if v != v else round(v, 4) for v in value.tolist()]
    return round(float(value), 4 if abs(value) < 100 else 2)


def numbers(rows: Mapping[str, Mapping[str, float]]) -> str:
    """Markdown: plain numbers by row and column; what a row does not have is left empty."""
    columns = metrics_of(rows)
    lines = {
        label: [f"{row[c]:.3g}" if c in row else "" for c in columns] for label, row in rows.items()
    }
    return markdown(columns, lines)
