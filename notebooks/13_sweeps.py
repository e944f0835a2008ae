# %% [markdown]
# # 13 · Many runs, one table
#
# **Afterwards you can say** how a lesson becomes a job with parameters, what a grid of settings is, and what its table tells
# you that a single run cannot.
#
# 15 minutes. No new equations: the runs sample one model by G at several numbers of steps and several η (Song et al., ICLR
# 2021, eqs. 12 and 16). Lesson 01 explains η.

# %% tags=["parameters"] nbmake={"mock": {"n_images": 100}}
checkpoint = "moons"  # an exact or embedded model, a folder, or a hub id
prompt = ""  # what a model that reads texts or knows labels draws
device = "cpu"
seed = 0
n_images = 500
counts = [4, 40]  # numbers of steps
etas = [0.0, 1.0]

# %%
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pandas as pd
import torch
from nbformat.v4 import new_code_cell, new_notebook

from lessons_lib import lesson, plots
from lessons_lib.studies import inputs
from lessons_lib.sweeps import grid
from lessons_lib.widgets import choice, explore

p = lesson.parameters(
    globals(), checkpoint=str, prompt=str, device=str, seed=(0, 289_999_999), n_images=(2, 5000),
    counts=(2, 1000, None), etas=(0.0, 1.0, None),
)  # fmt: skip
inputs.check_networks(p)
# A wrong name is refused before any run.
inputs.model_for(p.checkpoint, p.device, *p.counts, prompt=p.prompt);

# %% [markdown]
# ## A notebook with parameters
#
# Every lesson has one cell, tagged `parameters`, that sets plain values such as `steps = 20`. A run can replace some of
# these values. `lesson.record` keeps the run's numbers. The next cell writes a notebook of our own, small enough to run
# many times.

# %%
CODE = f"""import torch
from lessons_lib import Sampler, lesson, load
g = Sampler(load({p.checkpoint!r}, {p.device!r}, {p.prompt!r}), steps=steps, eta=eta)
z = g.draw({p.n_images}, seed={p.seed})
x = g.decode(z)
lesson.record("spread of the samples", x.std())
pairs = torch.stack([z.x_T.flatten(), x.flatten().to(z.x_T)]).cpu()
lesson.record("correlation of x_T and x", torch.corrcoef(pairs)[0, 1])"""
tagged = new_code_cell("steps = 20\neta = 0.5", metadata={"tags": ["parameters"]})
folder = Path(tempfile.mkdtemp())
nbformat.write(new_notebook(cells=[tagged, new_code_cell(CODE)]), folder / "tiny.ipynb")

# %% [markdown]
# ## The grid
#
# The command takes the values of a parameter separated by commas, or as `first:last:step`, where both ends belong to it.
# The grid has one run for every combination.
#
# A lesson is run in the same way, by its name: `python -m lessons_lib.sweep 01_eta -p steps=20,50 --out sweep`.
#
# **Predict.** How many runs are `steps=4,40` with `eta=0,1`? And with a third parameter of ten values?

# %%
words = [f"steps={','.join(map(str, p.counts))}", f"eta={','.join(map(str, p.etas))}"]
command = [sys.executable, "-m", "lessons_lib.sweep", str(folder / "tiny.ipynb"), "--workers", "2"]
command += ["--out", str(folder / "out"), *(w for word in words for w in ("-p", word))]
print("python -m lessons_lib.sweep tiny.ipynb --workers 2 --out out -p", " -p ".join(words))
said = subprocess.run(command, capture_output=True, text=True)
print((said.stdout or said.stderr).replace(str(folder), "…"))
assert said.returncode == 0, "a run failed: see the lines above"


# %% [markdown]
# The number of runs is the product of the numbers of values: a third parameter of ten values makes it ten times as large.
# Each run has its own process, folder and page. Runs that are finished are not done again. So after a crash the same
# command goes on where it stopped.
#
# ### Exercise 1 · both ends <small>(easy · 3 minutes)</small>
#
# `0:1:0.25` means five values: 0, 0.25, 0.5, 0.75 and 1. Unlike Python's `range`, it includes the last one. Write this as
# a function. A whole number of steps leads from `first` to `last`; the step may be negative.

# %% tags=["exercise"]
def inclusive(first, last, step):
    """The values from first to last, both among them: a list."""
    return None


# %%
cases = [(0, 1, 0.25), (5, 50, 15), (1, 0, -0.5), (3, 3, 1)]
hints = ["there is one value more than steps", "first + i * step, i up to (last - first) / step"]
library = lambda *ends: [float(v) for v in grid.span("x", "{}:{}:{}".format(*ends))]  # noqa: E731
lesson.exercise(inclusive, library, cases, hints);

# %% [markdown]
# <details><summary>Hint 1</summary>There are <code>(last - first) / step</code> steps, and one value more.</details>
# <details><summary>Solution</summary>
#
# ```python
# def inclusive(first, last, step):
#     """The values from first to last, both among them: a list."""
#     return [first + i * step for i in range(round((last - first) / step) + 1)]
# ```
# </details>
#
# ## The table
#
# Each row of the table is one recorded number of one run, with all the run's parameters. A number has the same name in
# every run. So we can pivot the table: a row for each number of steps, a column for each η.

# %%
table = pd.read_csv(folder / "out" / "results.csv")


def pivot(name):
    return table[table.name == name].pivot_table(index="steps", columns="eta", values="value")


def draw(name):
    fig, ax = plots.figure(width=7)
    for eta, values in pivot(name).items():
        ax.plot(values.index, values, "o-", color=plots.ETAS(eta), label=f"η = {eta:g}")
    ax.set(xscale="log", xlabel="steps", ylabel=name, xticks=values.index, xticklabels=values.index)
    ax.minorticks_off(), ax.legend()
    return fig


# %% tags=["gallery"] sentence="A lesson becomes many runs on a grid: from the first \u03b7 to the last, the correlation of x_T and x changes by {correlation at the last \u03b7 less that at the first|+.2f}."
explore(draw, name=choice(sorted(set(table.name)), "correlation of x_T and x", "number"))

# %%
found = pivot("correlation of x_T and x")
change = (found.iloc[:, -1] - found.iloc[:, 0]).mean()
lesson.record("correlation at the last η less that at the first", change)
by_steps = (found.iloc[-1] - found.iloc[0]).mean()
lesson.conclude(
    f"from the first η to the last the correlation changes by {change:+.2f}, from the fewest steps to the "
    f"most by {by_steps:+.2f} (means over the other parameter)."
)
found.round(3)


# %% [markdown]
# No single run can say this: it takes a grid to tell what one parameter does from what another does. At η = 0 x_T alone
# decides where a sample ends, so x_T and x are correlated. At η = 1 fresh noise is added in every step. The nearer the
# correlation is to 0, the more that noise decides.
#
# ### Exercise 2 · what a parameter does <small>(medium · 4 minutes)</small>
#
# Write the number that was recorded above, for any table: a row is a number of steps, a column an η.

# %% tags=["exercise"]
def effect_of_columns(values):
    """The mean over rows of the last column less the first; values (rows, columns), a tensor."""
    return None


# %%
cases = [(torch.tensor([[0.9, 0.7], [0.9, 0.2]]),), (torch.tensor([[1.0, 5, 2], [0, 9, 4]]),)]
hints = ["columns are the second axis", "values[:, -1] less values[:, 0], and then the mean"]
lesson.exercise(effect_of_columns, lambda v: torch.diff(v, dim=1).sum(1).mean(), cases, hints);

# %% [markdown]
# <details><summary>Hint 1</summary><code>values[:, 0]</code> is the first column.</details>
# <details><summary>Solution</summary>
#
# ```python
# def effect_of_columns(values):
#     """The mean over rows of the last column less the first; values (rows, columns), a tensor."""
#     return (values[:, -1] - values[:, 0]).mean()
# ```
# </details>
#
# ## What this does not say
#
# All runs here have the same seed, so a difference of two cells may be due to this seed. Give the notebook a parameter
# `seed`, add `-p seed=0:4:1`, and compare the difference with its spread over the seeds. A grid says nothing about values
# between its own.
