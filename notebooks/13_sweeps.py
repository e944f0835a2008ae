# %% [markdown]
# # 13 · Many runs, one table
#
# **Afterwards you can say** how a lesson becomes a job with parameters, what a grid of settings costs, and what its table
# says that a single run cannot.
#
# 15 minutes. No new equations: the runs sample one model by G at several numbers of steps and several η (Song et al., ICLR
# 2021, eqs. 12 and 16).

# %% tags=["parameters"]
checkpoint = "moons"  # an exact or embedded model, a folder, or a hub id
device = "cpu"
seed = 0
n_images = 500
counts = [4, 40]  # numbers of steps
etas = [0.0, 1.0]

# %%
from lessons_lib import lesson
from lessons_lib.studies import inputs

p = lesson.parameters(
    globals(), checkpoint=str, device=str, seed=(0, 289_999_999), n_images=(2, 5000),
    counts=(2, 1000, None), etas=(0.0, 1.0, None),
)  # fmt: skip
inputs.check_networks(p)

# %%
import subprocess
import sys
import tempfile
from pathlib import Path

import jupytext
import pandas as pd
import torch

from lessons_lib import plots
from lessons_lib.sweeps import grid
from lessons_lib.widgets import choice, explore

# %% [markdown]
# ## A notebook with parameters
#
# Every lesson here has one cell of literals, tagged `parameters`. A run replaces some of them, and `lesson.record` keeps its
# numbers. Here is a notebook of our own, small enough to run many times.

# %%
TEXT = f"""
# %% tags=["parameters"]
steps = 20
eta = 0.5
# %%
import torch
from lessons_lib import Sampler, lesson, load
g = Sampler(load({p.checkpoint!r}, {p.device!r}), steps=steps, eta=eta)
z = g.draw({p.n_images}, seed={p.seed})
x = g.decode(z)
lesson.record("spread of the samples", x.std())
pairs = torch.stack([z.x_T.flatten(), x.flatten().to(z.x_T)]).cpu()
lesson.record("correlation of x_T and x", torch.corrcoef(pairs)[0, 1])
"""
folder = Path(tempfile.mkdtemp())
jupytext.write(jupytext.reads(TEXT, "py:percent"), folder / "tiny.ipynb")

# %% [markdown]
# ## The grid
#
# Values with commas, or `first:last:step` with both ends. The grid is every combination. **Predict**: how many runs are
# `steps=4,40` and `eta=0,1`? And with a third parameter of ten values?

# %%
words = [f"steps={','.join(map(str, p.counts))}", f"eta={','.join(map(str, p.etas))}"]
command = [sys.executable, "-m", "lessons_lib.sweep", str(folder / "tiny.ipynb"), "--workers", "2"]
command += ["--out", str(folder / "out"), *(w for word in words for w in ("-p", word))]
print("python -m lessons_lib.sweep tiny.ipynb --out out -p", " -p ".join(words))


# %% [markdown]
# ### Exercise 1 · both ends <small>(easy · 3 minutes)</small>
#
# `0:1:0.25` are five values, not four as in Python's `range`.

# %% tags=["exercise"]
def inclusive(first, last, step):
    """The values from first to last, both among them: a list."""
    return None


# %%
def library(first, last, step):
    return [float(number) for number in grid.span("x", f"{first}:{last}:{step}")]


cases = [(0, 1, 0.25), (5, 50, 15), (1, 0, -0.5), (3, 3, 1)]
hints = [
    "there is one value more than there are steps",
    "first + i * step, for i up to (last - first) / step",
]
lesson.exercise(inclusive, library, cases, hints);

# %% [markdown]
# <details><summary>Hint 1</summary>Count the steps first: `round((last - first) / step)`.</details>
# <details><summary>Hint 2</summary>i goes from 0 to that count, itself included.</details>
# <details><summary>Solution</summary>
#
# ```python
# def inclusive(first, last, step):
#     """The values from first to last, both among them: a list."""
#     return [first + i * step for i in range(round((last - first) / step) + 1)]
# ```
# </details>

# %% [markdown]
# ## The runs
#
# Each has a kernel, a folder and a page of its own. A run that is there already is not done again, so that the same command
# goes on after a crash.

# %%
said = subprocess.run(command, capture_output=True, text=True)
print((said.stdout or said.stderr).replace(str(folder), "…"))
assert said.returncode == 0, "a run failed: see the lines above"

# %%
table = pd.read_csv(folder / "out" / "results.csv")
table[["name", "value", "steps", "eta"]]


# %% [markdown]
# A row a number, with all parameters. Because its name is the same in every run, the table pivots:

# %%
def pivot(name):
    rows = table[table.name == name]
    return rows.pivot_table(index="steps", columns="eta", values="value")


pivot("correlation of x_T and x").round(3)


# %%
def draw(name):
    fig, ax = plots.figure(width=7)
    for eta, values in pivot(name).items():
        ax.plot(values.index, values, "o-", color=plots.ETAS(eta), label=f"η = {eta:g}")
    ax.set(xscale="log", xlabel="steps", ylabel=name)
    ax.legend()
    return fig


# %% tags=["gallery"]
explore(draw, name=choice(sorted(set(table.name)), "correlation of x_T and x", "number"))


# %% [markdown]
# ### Exercise 2 · what a parameter does <small>(medium · 4 minutes)</small>
#
# The effect of η: from its first value to its last, in the mean over the rows. A row is a number of steps, a column an η.

# %% tags=["exercise"]
def effect_of_columns(values):
    """The mean over rows of the last column less the first; values (rows, columns), a tensor."""
    return None


# %%
cases = [
    (torch.tensor([[0.9, 0.7], [0.9, 0.2]]),), (torch.eye(3),),
    (torch.tensor([[1.0, 5.0, 2.0], [0.0, 9.0, 4.0]]),),
]  # fmt: skip
hints = ["columns are the second axis: values[:, -1]", "the difference of two columns, and then its mean"]
lesson.exercise(effect_of_columns, lambda v: torch.diff(v, dim=1).sum(1).mean(), cases, hints);

# %% [markdown]
# <details><summary>Hint 1</summary>`values[:, -1]` is the last column.</details>
# <details><summary>Hint 2</summary>Subtract `values[:, 0]`, then take the mean.</details>
# <details><summary>Solution</summary>
#
# ```python
# def effect_of_columns(values):
#     """The mean over rows of the last column less the first; values (rows, columns), a tensor."""
#     return (values[:, -1] - values[:, 0]).mean()
# ```
# </details>

# %% [markdown]
# Of the runs above:

# %%
found = pivot("correlation of x_T and x")
effect = (found.iloc[:, -1] - found.iloc[:, 0]).mean()
lesson.record("effect of the last η against the first on the correlation of x_T and x", effect);

# %% [markdown]
# At η = 0 nothing but x_T decides where a sample ends; at η = 1 the fresh noise has nearly the last word.
#
# ## What this does not say
#
# Every run here has one seed. A difference between two cells of the table may be the seed's: add `-p seed=0:4:1` to a grid
# whose notebook has a `seed`, and hold the difference against the spread. A grid also shows nothing between its values.
