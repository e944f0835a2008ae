# %% [markdown]
# # 02 · Shift ε everywhere, and little happens: the cancellation theorem
#
# **Afterwards you can say** by how much one sampling step moves when ε is shifted in both of its terms,
# why that is little when steps are small, why over a *whole* trajectory it need not be little, and why Asyrp (the
# editing method of lesson 05) therefore shifts the P term alone.
#
# 60 minutes. Equations: Kwon et al. (ICLR 2023, arXiv 2210.10960), Theorem 1 and its proof. They write
# α_t for what is ᾱ_t = ∏(1-β_s) here and in every lesson.

# %% tags=["parameters"] nbmake={"mock": {"counts": [10, 100], "few_steps": 5, "n_digits": 6, "n_images": 2, "steps": 10}}
checkpoint = "faces"  # an embedded model, a folder, or a hub id such as "google/ddpm-cifar10-32"
prompt = ""  # what a model that reads texts draws, such as "a portrait of a person"
device = "cpu"
seed = 0
steps = 80  # many; 1000 takes twelve times as long
few_steps = 40
n_images = 3
eta = 0.0
scale = 1.0  # of the random shift: 1 is as large as ε itself
counts = [10, 20, 50, 100, 200, 500, 1000]  # steps of the exact model
n_digits = 64  # of the exact model at 1,000 steps; at other numbers of steps 24 at most

# %%
from lessons_lib import lesson
from lessons_lib.studies import inputs

p = lesson.parameters(
    globals(), checkpoint=str, device=str, seed=(0, 289_999_999), steps=(2, 1000), few_steps=(2, 1000),
    prompt=str, n_images=(1, 64), eta=(0.0, 1.0), scale=(0.001, 10.0), counts=(2, 1000, None),
    n_digits=(2, 1797),
)  # fmt: skip
inputs.check_networks(p)

# %%
import math

import torch

from lessons_lib import Sampler, load, plots
from lessons_lib.code import shift
from lessons_lib.devices import precision
from lessons_lib.judges import metrics
from lessons_lib.models.mixture import GaussianMixture
from lessons_lib.schedule import Schedule, even, factor_in_D, kappa, linear_alpha_bar, p_only, sigma
from lessons_lib.widgets import choice, explore, slider

# %% [markdown]
# ## One step, two places for ε
#
# To edit an image, why not just add something to the predicted noise, ε → ε + Δε? The step uses ε twice:
#
# $$x_{t'} = \sqrt{\bar\alpha_{t'}}\;\underbrace{\frac{x_t-\sqrt{1-\bar\alpha_t}\,\varepsilon}{\sqrt{\bar\alpha_t}}}_{P_t}
# \;+\;\underbrace{\sqrt{1-\bar\alpha_{t'}-\sigma_t^2}\;\varepsilon}_{D_t}\;+\;\sigma_t\,\varepsilon_t$$
#
# Put ε + Δε in both places and subtract the step without Δε. x_t and the fresh noise are the same in
# both, so they drop out:
#
# $$\Delta x_{t'} \;=\; \underbrace{-\sqrt{\frac{\bar\alpha_{t'}(1-\bar\alpha_t)}{\bar\alpha_t}}\;\Delta\varepsilon}_{\text{through }P_t}
# \;+\;\underbrace{\sqrt{1-\bar\alpha_{t'}-\sigma_t^2}\;\Delta\varepsilon}_{\text{through }D_t}
# \;=\;\kappa_t\,\Delta\varepsilon,\qquad
# \kappa_t=\sqrt{1-\bar\alpha_{t'}-\sigma_t^2}-\sqrt{\frac{\bar\alpha_{t'}(1-\bar\alpha_t)}{\bar\alpha_t}}$$
#
# P says: 'more noise in x_t, so less image'. D says: 'so put more noise back'. For a small step t' ≈ t
# and σ_t ≈ 0, and both square roots are nearly √(1-ᾱ_t), with opposite signs. If we shift ε *in P only*, the first
# term stands alone, and nothing cancels.
#
# Does a real sampler agree? We take ten steps of a trained model. In each we shift ε in both places, and then in P
# only, and divide the move by Δε.

# %%
model = inputs.model_for(p.checkpoint, p.device, p.steps, p.few_steps, prompt=p.prompt)


def noise(like, n, seed):
    """n standard normal images of the model's shape."""
    gen = torch.Generator().manual_seed(seed)
    return torch.randn((n, *like.shape), generator=gen, dtype=torch.float64).to(
        like.device, precision(like.device)
    )


# %%
def moved(g, step, **where):
    """By how many Δε one step moves when ε is shifted by Δε."""
    delta = noise(model, 1, p.seed + 1)
    move = g.step(step.x, step.i, step.noise, shift(delta, **where)).x_to - step.x_to
    return ((move * delta).sum() / delta.square().sum()).item()


# %%
g = Sampler(model, steps=10, eta=0.5)
walk, ten = list(g.trajectory(g.draw(1, seed=p.seed))), g.schedule
moves = [[moved(g, q), moved(g, q, in_D=False)] for q in walk]
both, in_P = torch.tensor(moves, dtype=torch.float64).T
off_both, off_P = both - kappa(ten.a, ten.a_to, g.eta), in_P - p_only(ten.a, ten.a_to)
lesson.record("both: largest |measured move / Δε - κ|", off_both.abs().max())
lesson.record("P only: largest |measured move / Δε - coefficient|", off_P.abs().max())
off = max(off_both.abs().max(), off_P.abs().max())
lesson.conclude(f"measured and computed moves differ by at most {off:.1e}.")


# %% [markdown]
# That is rounding. It would be the same for any network: the theorem is algebra about *one* step, and holds whatever ε
# is.

# %% [markdown]
# ### Exercise 1 · write κ_t <small>(easy · 3 minutes)</small>

# %% tags=["exercise"]
def my_kappa(a, a_to, eta):
    """κ_t from ᾱ_t, ᾱ_t' and η; `sigma(a, a_to, eta)` is there to be used."""
    return None


# %%
pairs = torch.tensor([[0.5, 0.6], [0.1, 0.9]], dtype=torch.float64)
cases = [(*pair, eta) for pair in pairs for eta in (0.0, 0.5, 1.0)]
hints = [
    "one root from D, minus one root from √ᾱ' P",
    "√(1-ᾱ'-σ²) from D, and √(ᾱ'(1-ᾱ)/ᾱ) from √ᾱ' P",
]
lesson.exercise(my_kappa, kappa, cases, hints);

# %% [markdown]
# <details><summary>Hint 1</summary>What is the factor of ε in D_t, and what in √ᾱ' P_t? Add them, with their signs.</details>
# <details><summary>Hint 2</summary>The second is -√ᾱ' √(1-ᾱ) / √ᾱ.</details>
# <details><summary>Solution</summary>
#
# ```python
# def my_kappa(a, a_to, eta):
#     """κ_t from ᾱ_t, ᾱ_t' and η; `sigma(a, a_to, eta)` is there to be used."""
#     return (1 - a_to - sigma(a, a_to, eta) ** 2) ** 0.5 - (a_to * (1 - a) / a) ** 0.5
# ```
# </details>

# %% [markdown]
# ## κ over 1,000 steps
#
# The schedule of the paper: 1,000 steps, β rising linearly from 10⁻⁴ to 0.02.
#
# **Predict.** Which is larger in magnitude, κ at η = 0 or at η = 1?

# %%
larger = lesson.predict("Where is |κ| larger, at t = 100?", "at η = 0", "at η = 1", "equal at both")
larger


# %%
def linear(steps, beta_start=1e-4, beta_end=0.02):
    """The schedule of `steps` steps through 1,000 training times with linear β."""
    return Schedule.of(linear_alpha_bar(1000, beta_start, beta_end), even(1000, steps))


# %%
s = linear(1000)
fig, ax = plots.figure(width=8)
ax.plot(s.t, p_only(s.a, s.a_to).abs(), color=plots.P, label="P only")
for eta, style in ((1.0, "--"), (0.0, "-")):
    k = kappa(s.a, s.a_to, eta).abs()
    ax.plot(s.t, k, style, color=plots.EDITED, label=f"both: |κ|, η = {eta:g}")
ax.set(xlabel="t", yscale="log", ylabel="|coefficient of Δε|", ylim=(1e-3, 3))
ax.legend(loc="center right")
fig

# %%
for when in (100, 999):
    for eta in (0.0, 1.0):
        at = kappa(s.a, s.a_to, eta)[999 - when]
        lesson.record(f"κ at t = {when}, η = {eta:g}, 1000 steps", at)
    lesson.record(f"P only at t = {when}", p_only(s.a, s.a_to)[999 - when])
at_0, at_1 = (kappa(s.a, s.a_to, eta)[899].abs() for eta in (0.0, 1.0))
lesson.compare(larger, "at η = 1" if at_1 > at_0 else "at η = 0")
lesson.conclude(f"at t = 100, |κ| at η = 1 is {at_1 / at_0:.2f} times |κ| at η = 0.")


# %% [markdown]
# |κ| is small at every t: between a few thousandths and a few hundredths. At η = 1 it is about twice that at η = 0:
# fresh noise takes some of ε's place in D, so less of it is left to cancel. In P only, the coefficient is near 1 wherever
# x_t is mostly noise. At the last step (t = 0) the curves meet: the step ends at the image, D is 0, and nothing cancels.

# %% [markdown]
# ### Exercise 2 · and in D only? <small>(easy · 3 minutes)</small>
#
# By how much does x_t' move for one unit of Δε that is added in D alone?

# %% tags=["exercise"]
def d_only(a, a_to, eta):
    """The coefficient of Δε when ε is shifted in D_t alone."""
    return None


# %%
def factor_of_eps_in_D(a, a_to, eta):
    return factor_in_D(a_to, sigma(a, a_to, eta))


hints = ["what is multiplied by ε in D_t?", "√(1-ᾱ'-σ²), with σ = sigma(a, a_to, eta)"]
lesson.exercise(d_only, factor_of_eps_in_D, cases, hints);


# %% [markdown]
# <details><summary>Hint 1</summary>D_t = √(1-ᾱ'-σ²) ε, and nothing else in the step changes.</details>
# <details><summary>Hint 2</summary>You need σ_t(η): <code>sigma(a, a_to, eta)</code>.</details>
# <details><summary>Solution</summary>
#
# ```python
# def d_only(a, a_to, eta):
#     """The coefficient of Δε when ε is shifted in D_t alone."""
#     return (1 - a_to - sigma(a, a_to, eta) ** 2) ** 0.5
# ```
# </details>

# %% [markdown]
# ## A statement about small steps
#
# 'Small' compared with what? With what the same Δε does in P alone: |κ| / |P only| is the part that
# survives.
#
# **Predict.** 40 steps instead of 1,000: how many times larger is the surviving part?

# %%
def surviving(s, eta):
    """|κ| / |P only| of every step: 0 is full cancellation, 1 is none."""
    return (kappa(s.a, s.a_to, eta) / p_only(s.a, s.a_to)).abs()


equal = [4, 10, 28, 38, 112, 334, 1000]  # numbers of steps that divide 999 evenly: no rounding of t
sweep = {eta: [surviving(linear(n), eta) for n in equal] for eta in (0.0, 1.0)}

# %%
fig, (left, right) = plots.figure(1, 2, sharey=True)
for n, alpha in ((10, 0.35), (40, 0.6), (1000, 1.0)):
    s = linear(n)
    left.plot(s.t + 1, surviving(s, 0.0), color=plots.EDITED, alpha=alpha, label=f"{n} steps")
for eta, style in ((0.0, "o-"), (1.0, "o--")):
    middle = [survived.median() for survived in sweep[eta]]
    right.plot(equal, middle, style, color=plots.EDITED, label=f"η = {eta:g}")
left.set(xlabel="t + 1", ylabel="surviving part |κ| / |P only|", title="each step, η = 0")
left.set(xscale="log", yscale="log")
right.set(xlabel="steps", xscale="log", title="median over the steps")
left.legend()
right.legend()
fig

# %%
for n in (40, 1000):
    for eta in (0.0, 1.0):
        middle = surviving(linear(n), eta).median()
        lesson.record(f"median |κ| / |P only|, {n} steps, η = {eta:g}", middle)
share = (surviving(linear(1000), 0.0) > 0.05).double().mean()
lesson.record("share of 1000 steps with more than 5 % surviving, η = 0", share)
few, many = (surviving(linear(n), 0.0).median() for n in (40, 1000))
lesson.conclude(
    f"of a shift {many:.1%} survives a step of 1,000, and {few:.0%} a step of 40, {few / many:.0f} times "
    "as much."
)


# %% [markdown]
# The surviving part falls nearly in proportion to 1 / steps. At 40 steps (the number that Asyrp itself uses) it is not
# small at all. Near t = 0 it is never small, because there even a short step changes the noise level by a large *factor*:
# the last steps cancel little at any number of steps.

# %% [markdown]
# ### Exercise 3 · how many steps are 'many'? <small>(medium · 5 minutes)</small>
#
# Find the smallest number of steps, among 10, 20, 30, …, 1000, at which the *median* of
# `surviving(linear(steps), eta)` is below a given limit.

# %% tags=["exercise"]
def fewest_steps(limit, eta):
    """The smallest multiple of 10 whose median of surviving(linear(n), eta) is below limit."""
    return None


# %%
def scan_from_above(limit, eta):
    below = [n for n in range(1000, 0, -10) if surviving(linear(n), eta).median() < limit]
    return min(below)


tries = [(0.05, 0.0), (0.05, 1.0), (0.2, 0.0)]
hints = [
    "try 10, 20, … and stop at the first",
    "return the first n with surviving(linear(n), eta).median() < limit",
]
lesson.exercise(fewest_steps, scan_from_above, tries, hints);

# %% [markdown]
# <details><summary>Hint 1</summary>A for loop over range(10, 1001, 10) with a return inside.</details>
# <details><summary>Hint 2</summary>The condition is surviving(linear(n), eta).median() &lt; limit.</details>
# <details><summary>Solution</summary>
#
# ```python
# def fewest_steps(limit, eta):
#     """The smallest multiple of 10 whose median of surviving(linear(n), eta) is below limit."""
#     return next(n for n in range(10, 1001, 10) if surviving(linear(n), eta).median() < limit)
# ```
# </details>

# %% [markdown]
# ## The experiment: add random z to ε at every step
#
# Now whole images. An experiment that goes with the theorem adds random z ~ N(0, I) to ε, as large as ε itself, at
# *every* step, in both terms. (This z is a shift. It is not the code of lesson 01.) The image is said to stay almost the
# same. 'Random z' can mean two things: **a fresh z** at every step, or **one z**, drawn once for each image and kept. We
# try both, in both terms, in P only and in D only.
#
# **Predict.** Which leaves the image as it was?

# %%
survives = lesson.predict(
    "Which leaves the most digits as they were?",
    "a fresh z in both",
    "one z in both",
    "equally many",
)
survives

# %%
WHERE = {"source": (0, 0), "both": (1, 1), "P only": (1, 0), "D only": (0, 1)}


def compare(g, z, delta):
    """The images of z with ε shifted by delta(t) nowhere, in both, in P, in D; one batch."""
    in_P, in_D = torch.tensor(list(WHERE.values())).repeat_interleave(len(z), 0).T
    edit = shift(lambda t: delta(t).repeat(4, 1, 1, 1), in_P, in_D)
    return dict(zip(WHERE, g.decode(z.repeat(4), edit).split(len(z)), strict=True))


# %%
def experiment(like, steps, n, eta=p.eta, scale=p.scale):
    """Images for a fresh z at every step, and for one z."""
    g = Sampler(like, steps=steps, eta=eta)
    z, one = g.draw(n, seed=p.seed), noise(like, n, p.seed + 1)
    fresh = compare(g, z, lambda t: scale * noise(like, n, p.seed + 2 + t))
    return {"fresh z": fresh, "one z": compare(g, z, lambda t: scale * one)}


# %%
def strip(like, found, title, rows=(0, 1, 2, 3)):
    """A row for each of these images: the source, then every kind of shift in every place."""
    columns = {"source": next(iter(found.values()))["source"]}
    for kind, images in found.items():
        columns |= {f"{kind}\n{where}": images[where] for where in list(WHERE)[1:]}
    images = torch.stack(list(columns.values()), 1)
    rows = [i for i in rows if i < len(images)]
    shown = [like.pictures(images[i]).cpu() for i in rows]
    return plots.strips(shown, [f"image {i}" for i in rows], list(columns), title)


def distances(found, prefix, note="", show=True):
    """The mean change by each kind of shift, in both terms and in P only."""
    means = {}
    for kind, images in found.items():
        for where in ("both", "P only"):
            change = metrics.rms(images[where], images["source"]).mean()
            called = f"{prefix}: rms change, {kind}, {where}"
            means[kind, where] = lesson.record(called, change, note, show)
    return means


# %% [markdown]
# First on an exact model, so that no network's errors are in play: one Gaussian on each of 1,797
# handwritten digits, at the full 1,000 steps.

# %% tags=["gallery"] sentence="A fresh shift of \u03b5 at each step moves a digit by {digits, 1000 steps: rms change, fresh z, both|.2f} rms where it enters both terms, and by {digits, 1000 steps: rms change, fresh z, P only|.2f} where it enters P alone."
digits = load("digits")
found = {
    n: experiment(digits, n, p.n_digits if n == 1000 else min(24, p.n_digits))
    for n in {1000, *p.counts}
}
source = found[1000]["one z"]["source"]
moved_by = metrics.rms(found[1000]["fresh z"]["both"], source)
rows = moved_by.argsort()[torch.linspace(0, len(source) - 1, 4).int()].tolist()
strip(
    digits,
    found[1000],
    "digits, 1000 steps; top: a fresh z in both moves it least, bottom: most",
    rows,
)

# %%
unrelated = metrics.rms(source, source.roll(1, 0)).mean()
lesson.record("digits: rms difference of unrelated images, for scale", unrelated)
at_0 = distances(found[1000], "digits, 1000 steps")
name = "digits, 1000 steps: share of images that {} in both moves by less than 0.1"
fresh = lesson.record(name.format("a fresh z"), (moved_by < 0.1).double().mean())
one = (metrics.rms(found[1000]["one z"]["both"], source) < 0.1).double().mean()
lesson.record(name.format("one z"), one)
most = "equally many" if fresh == one else survives.choices[int(one > fresh)]
lesson.compare(survives, most)
lesson.conclude(
    f"a fresh z in both leaves {fresh:.0%} of {p.n_digits} digits as they were, one z in both {one:.0%}."
)

# %% [markdown]
# A fresh z in both terms leaves many digits as they were, though it is as large as ε itself. The others are *tipped
# over*: their path leads between two digits, and a small push decides which one it becomes. Compare the first two
# columns, from the top row to the bottom one. A fresh z in P only ruins every image. So does z in D only: since the two
# terms nearly cancel, each alone is large. All this is what the theorem says. But **one z**, kept over all steps, moves
# the images even when it is in both terms, though κ is just as small.
#
# **Predict.** At η = 1 κ is twice as large. Does one z move the digits farther than at η = 0?

# %%
called = "digits, 1000 steps, η = 1"
at_1 = distances(experiment(digits, 1000, 8, eta=1.0), called, show=False)
both, in_P = (f"{at_0['one z', w]:.2g} → {at_1['one z', w]:.2g}" for w in ("both", "P only"))
lesson.conclude(f"one z, η = {p.eta:g} → η = 1: rms change in both {both}, in P only {in_P}.")

# %% [markdown]
# It moves them less: the sampler's own fresh noise makes it forget a part of the shift.
#
# Now the trained network. Here the shift has three tenths of that size. (A full one drives the colours to their limits,
# and then all the ruined pictures look alike.)

# %%
few = experiment(model, p.few_steps, p.n_images, scale=0.3 * p.scale)
large = experiment(model, p.steps, p.n_images, scale=0.3 * p.scale)
strip(model, large, f"{p.checkpoint}, {p.steps} steps")

# %%
source = large["one z"]["source"]
apart = metrics.rms(source, source.roll(1, 0)).mean() if p.n_images > 1 else torch.zeros(())
lesson.record("rms difference of unrelated images, for scale", apart)
by_few = distances(few, "few steps", f"({p.few_steps} steps)", show=False)
by_many = distances(large, "many steps", f"({p.steps} steps)", show=False)
moves = [
    f"{kind} in {where} {by_few[kind, where]:.2g} → {by_many[kind, where]:.2g}"
    for kind, where in by_few
]
lesson.conclude(f"rms change in {p.few_steps} → {p.steps} steps: {', '.join(moves)}.")
for kind in large:
    share = by_many[kind, "both"] / by_many[kind, "P only"]
    called = f"{kind}, many steps: change in both / change in P only"
    lesson.record(called, share, f"({p.steps} steps)")


# %% [markdown]
# The same order. A fresh z in both terms moves the image least, and with more steps it moves it less. (A detail such as
# a pair of glasses can tip over.) One z in both terms moves it more, and more steps hardly help. A fresh z in P only
# gives another, grainy face. One z in P only leaves nothing but noise. In P only, more steps make it worse.

# %% [markdown]
# ## What many small κ add up to
#
# **Predict.** From 10 to 1,000 steps each κ becomes about a hundred times smaller. By how much does
# the *image* move less, for a fresh z and for one z?
#
# A digit that is tipped over moves by a whole digit, however small the push was. So we read off the change that a tenth of
# the digits stay below.

# %%
def change(n, kind, where):
    """What a tenth of the same 24 digits stay below: those that are tipped over do not decide it."""
    images = found[n][kind]
    return metrics.rms(images[where], images["source"])[:24].quantile(0.1).item()


steps_tried = sorted(set(p.counts))
fig, axes = plots.figure(1, 2, sharey=True)
for ax, kind in zip(axes, ("fresh z", "one z"), strict=True):
    for where, colour in (("P only", plots.P), ("both", plots.EDITED)):
        values = [change(n, kind, where) for n in steps_tried]
        ax.plot(steps_tried, values, "o-", color=colour, label=where)
    ax.axhline(unrelated, color=plots.SOURCE, ls=":", label="unrelated images")
    ax.set(xscale="log", yscale="log", xlabel="steps", title=f"digits, {kind}")
axes[0].set_ylabel("rms change, lowest tenth")
axes[1].legend()
fig

# %%
expected = {
    ("fresh z", "both"): -0.5,
    ("one z", "both"): 0,
    ("fresh z", "P only"): 0.5,
    ("one z", "P only"): 1,
}
late = [n for n in steps_tried if n >= min(100, steps_tried[-2])] if len(steps_tried) > 1 else []
powers = {}
for (kind, where), power in expected.items() if len(late) > 1 else ():
    ratio = change(late[-1], kind, where) / change(late[0], kind, where)
    powers[kind, where] = math.log(ratio) / math.log(late[-1] / late[0])
    name = f"power of the number of steps, {kind}, {where}"
    lesson.record(name, powers[kind, where], f"({late[0]} to {late[-1]} steps; expected {power:g})")
if powers:
    lesson.conclude(
        f"in both terms, a fresh z moves the image as S^{powers['fresh z', 'both']:.2f} in S steps, one z as "
        f"S^{powers['one z', 'both']:.2f}."
    )


# %% [markdown]
# The expected powers are from a simple count. In both terms each of S steps moves the image by about 1/S. *Fresh* z's
# point in random directions and add up like a random walk, to √S · 1/S = S^-½, which goes to 0. *One* z points the same
# way every time, so the sum S · 1/S does not depend on S. In P only each step moves the image by about 1, and the sums
# grow like S^½ and S. (The powers are measured from 100 steps on. With fewer the steps are too long for this count.)
#
# So the small κ does **not** mean that a persistent shift in both terms is without effect. Shifting ε in both terms by
# one z is the same as sampling with another ε function, and at many steps the image that this gives hardly depends on
# the number of steps.
#
# ### How much exactly, if the network did not notice?
#
# Use the source's ε at every step, plus Δε, and never call the network again. Measured in x/√ᾱ, each step then
# adds κ_t/√ᾱ_t' times Δε. At η = 0, with s_t = √((1-ᾱ_t)/ᾱ_t), κ_t is -√ᾱ_t' (s_t - s_t'). In the sum all s_t
# cancel except the first one, s_T (the last is 0), whatever the steps are:
#
# $$x_0^{\text{shifted}} - x_0 \;=\; \sum_t \frac{\kappa_t}{\sqrt{\bar\alpha_{t'}}}\;\Delta\varepsilon \;=\; -\,s_T\,\Delta\varepsilon .$$

# %%
def replay(walk, delta):
    """An edit that never asks the network: a source trajectory's ε plus delta, in both terms."""
    eps = {step.t: step.eps for step in walk}
    return lambda denoiser, x, t, cond=None: (eps[t] + delta, eps[t] + delta, None)


# %%
def drift(g, n):
    """rms distance to the source after every step: ε replayed, and with the network's answer."""
    z, delta = g.draw(n, seed=p.seed), p.scale * noise(g.denoiser, n, p.seed + 1)
    walk = list(g.trajectory(z))
    source = torch.stack([step.x_to for step in walk])
    edits = {"ε replayed": replay(walk, delta), "ε of the model": shift(delta)}
    paths = {name: g.path(z, edit)[1:] for name, edit in edits.items()}
    return {
        name: (x - source).square().flatten(1).mean(1).sqrt().cpu() for name, x in paths.items()
    }


# %%
names, models, counts_of = ("digits", p.checkpoint), (digits, model), (200, p.few_steps)
samplers = [Sampler(m, steps=n, eta=p.eta) for m, n in zip(models, counts_of, strict=True)]
drifts = [drift(g, p.n_images) for g in samplers]
fig, axes = plots.figure(1, 2, sharey=True)
for ax, name, g, curves in zip(axes, names, samplers, drifts, strict=True):
    t, replayed, answered = g.schedule.t, curves["ε replayed"], curves["ε of the model"]
    ax.plot(t, replayed, color=plots.SOURCE, label="ε replayed, + one z in both")
    ax.plot(t, answered, color=plots.EDITED, label="ε(x_t) + one z in both")
    ax.set(xlabel="t", xlim=(len(g.denoiser.alpha_bar), 0), yscale="log")
    ax.set_title(f"{name}, {len(g.schedule)} steps")
axes[0].set_ylabel("rms distance to the source")
axes[0].legend()
fig

# %%
curves, s = drifts[1], samplers[1].schedule
total = (kappa(s.a, s.a_to, p.eta) / s.a_to.sqrt()).sum()
size = (p.scale * noise(model, p.n_images, p.seed + 1)).square().mean().sqrt().item()
lesson.record("Σ κ/√ᾱ', the image's move in units of Δε if ε is replayed", total)
lesson.record("the same, measured", -curves["ε replayed"][-1] / size)
answered = lesson.record("with the model's own answer", curves["ε of the model"][-1] / size)
s = Sampler(model, steps=len(model.alpha_bar), eta=p.eta).schedule
walk_length = (kappa(s.a, s.a_to, p.eta).square() / s.a_to).sum().sqrt()
name = "√Σ κ²/ᾱ', the same for a fresh z and replayed ε, at every training time"
lesson.record(name, walk_length)
lesson.conclude(
    f"one Δε in both terms of every step moves the image by {abs(total):.0f} Δε if ε is replayed, and by "
    f"{answered:.1f} Δε if the network is asked."
)


# %% [markdown]
# Without feedback the tiny κ's add up to a huge move (grey; at η = 0 it is s_T in size, for any number of steps). Even a
# fresh z would then move the image by the last recorded number of Δε. So the cancellation alone does not hold the image
# together. The **denoiser** does: after the first shifted step it sees a moved x_t, and *its* ε changes so that most of
# the move is taken out again (green).

# %% [markdown]
# ### Exercise 4 · capstone: add up a whole trajectory <small>(hard · 10 minutes)</small>
#
# Write the sum of the formula above for any schedule and any η: by how many Δε does the final image move, if ε is
# replayed and one Δε is added in both terms of every step? ᾱ_t and ᾱ_t' are given for all steps, (S,). The figure
# after it asks your function for eight numbers of steps and three η.
#
# **Predict.** At η = 0 the sum does not depend on the number of steps. And at η = 1?

# %% tags=["exercise"]
def total_move(a, a_to, eta):
    """The image's move in units of Δε, with its sign: from ᾱ_t and ᾱ_t' of all steps (S,), one number."""
    return None


# %%
def by_replaying(a, a_to, eta):
    moved_so_far = torch.zeros((), dtype=torch.float64)  # of x, in units of Δε
    for level, level_to in zip(a, a_to, strict=True):
        moved_so_far = (level_to / level).sqrt() * moved_so_far + kappa(level, level_to, eta)
    return moved_so_far


cases = [(s.a, s.a_to, eta) for s in (linear(4), linear(10)) for eta in (0.0, 0.5, 1.0)]
hints = [
    "κ_t of every step, each over √ᾱ_t', and their sum",
    "(kappa(a, a_to, eta) / a_to**0.5).sum(); kappa works on all steps at once",
]
right = lesson.exercise(total_move, by_replaying, cases, hints)
whole_move = total_move if right else by_replaying

# %% [markdown]
# <details><summary>Hint 1</summary><code>kappa(a, a_to, eta)</code> of tensors (S,) is a tensor (S,).</details>
# <details><summary>Hint 2</summary>In x/√ᾱ the moves simply add; at the end ᾱ = 1, so x/√ᾱ is the image.</details>
# <details><summary>Solution</summary>
#
# ```python
# def total_move(a, a_to, eta):
#     """The image's move in units of Δε, with its sign: from ᾱ_t and ᾱ_t' of all steps (S,), one number."""
#     return (kappa(a, a_to, eta) / a_to**0.5).sum()
# ```
# </details>

# %%
lengths = [10, 20, 40, 80, 160, 320, 640, 1000]
fig, ax = plots.figure(width=8)
for eta in (0.0, 0.5, 1.0):
    total = [abs(float(whole_move(s.a, s.a_to, eta))) for s in map(linear, lengths)]
    ax.plot(lengths, total, "o-", color=plots.ETAS(eta), label=f"η = {eta:g}")
s_T = (1 / linear(10).a[0] - 1).sqrt()
ax.axhline(s_T, color=plots.SOURCE, ls=":", label="s_T")
ax.set(xscale="log", ylim=(0, None), xlabel="steps", ylabel="move of the image / Δε"), ax.legend()
fig

# %%
lesson.conclude(
    f"ε replayed, one Δε in both terms moves the image by {s_T:.0f} Δε at η = 0, however many the steps, "
    f"and by {total[-1]:.0f} Δε in 1,000 steps of η = 1."
)

# %% [markdown]
# At η = 1 the move is larger still. Fresh noise makes a sampler forget only if the network sees the new x_t, and a
# replayed ε does not.
#
# ### What the denoiser removes, and what it keeps
#
# For Gaussian data with standard deviation s along one direction, all of this has a closed form. With
# many steps, at η = 0, a constant shift of one unit along that direction moves the image by -s ·
# asinh(s_T / s).
#
# **Predict.** A direction in which the data hardly vary (small s), such as fine pixel noise: is the
# shift removed or kept?

# %%
spreads = torch.logspace(-1.5, 1, 11, dtype=torch.float64)  # the data's s in each of 11 directions
gaussian = GaussianMixture(torch.zeros(1, 11), covariance=torch.diag(spreads**2)[None])


def response(steps):
    """How far one unit of Δε in every direction, in both terms of every step, moves a sample."""
    g = Sampler(gaussian, steps=steps)
    z = g.draw(1, seed=p.seed)
    return (g.decode(z, shift(torch.ones(11))) - g.decode(z))[0].abs()


s_T = (1 / gaussian.alpha_bar[-1] - 1).sqrt()
exact, answers = spreads * torch.asinh(s_T / spreads), {n: response(n) for n in (40, 1000)}

# %%
fig, ax = plots.figure(width=8)
ax.plot(spreads, exact, color=plots.SOURCE, label="s · asinh(s_T / s)")
ax.plot(spreads, answers[1000], "o", color=plots.EDITED, label="sampler, 1000 steps")
ax.plot(spreads, answers[40], "s", color=plots.NOISE, mfc="none", label="sampler, 40 steps")
ax.set(xscale="log", yscale="log", ylabel="move per unit of Δε")
ax.set_xlabel("s: how much the data vary in the direction of Δε"), ax.legend()
fig

# %%
worst = ((answers[1000] - exact).abs() / exact).max()
lesson.record("largest relative error of the closed form, 1000 steps", worst)
lesson.record("move per unit of Δε where s = 0.03", answers[1000][0])
lesson.record("move per unit of Δε where s = 10", answers[1000][-1])
lesson.conclude(
    f"of one Δε, {answers[1000][0]:.2f} is left where the data hardly vary, and where they vary most it "
    f"has become {answers[1000][-1]:.0f}."
)


# %% [markdown]
# Mostly removed, if we compare with the s_T of a replayed ε: where the data hardly vary, a shift is noise like any
# other, and the denoiser's job is to take noise out. Where they do vary, much more of the shift is *kept*, and the image
# moves by many times Δε.
# White z in pixels points almost entirely into directions of the first kind, and more so in a larger image. We can
# test this on the model. We compare the white z with one of the same size that is smooth (a random 4×4 picture,
# enlarged), both in both terms and at a tenth of the scale.

# %%
def smooth(z):
    """z averaged to 4×4 and enlarged again, at the same rms."""
    coarse = torch.nn.functional.adaptive_avg_pool2d(z, 4)
    big = torch.nn.functional.interpolate(coarse, z.shape[-2:])
    return big * (z.square().mean() / big.square().mean()).sqrt()


# %%
g = samplers[1]
white = 0.1 * p.scale * noise(model, p.n_images, p.seed + 1)
z = g.draw(p.n_images, seed=p.seed)
shifts = {"no z": 0 * white, "white z": white, "smooth z": smooth(white)}
shaped = {kind: g.decode(z, shift(delta)) for kind, delta in shifts.items()}
shown = [model.pictures(x[:6]).cpu() for x in shaped.values()]
plots.strips(shown, list(shaped), [], f"{p.checkpoint}, {p.few_steps} steps, one z in both")

# %%
white_by, smooth_by = (
    metrics.rms(shaped[kind], shaped["no z"]).mean() for kind in ("white z", "smooth z")
)
lesson.record("change in both: smooth z / white z", smooth_by / white_by)
lesson.conclude(
    f"white z moves the image by {white_by:.2f} rms and smooth z by {smooth_by:.2f}. Unrelated images are "
    f"{apart:.2f} apart."
)

# %% [markdown]
# Neither is undone completely. The white z leaves a little grain behind, and most of what the picture shows stays. (A
# detail, such as glasses, may tip over.) The smooth z is of equal size and moves the picture farther: whole parts get
# another light and another colour, and even the person may change.

# %% [markdown]
# ### Exercise 5 · spot the error <small>(hard · 8 minutes)</small>
#
# A published note writes DDPM's step (η = 1, t' = t-1) as $\mu = \frac{1}{\sqrt{\alpha_t}}\big(x_t -
# \frac{\beta_t}{\sqrt{1-\bar\alpha_t}}\,\varepsilon\big)$ and says, in the same paragraph, $\alpha_t =
# \prod_{s\le t}(1-\beta_s)$. Both cannot be right. The coefficient of ε must be κ_t at η = 1. The figure shows
# the note's coefficient, read literally, and the true one.

# %%
betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
alpha_bar = torch.cumprod(1 - betas, 0)
as_written = betas / (alpha_bar * (1 - alpha_bar)).sqrt()
s = linear(1000)
fig, ax = plots.figure(width=8)
ax.plot(as_written, color=plots.WRONG, label="read literally")
ax.plot(s.t, kappa(s.a, s.a_to, 1.0).abs(), "--", color=plots.EDITED, label="|κ|, η = 1")
ax.set(xlabel="t", ylabel="|coefficient of ε|", yscale="log")
ax.legend()
fig


# %% [markdown]
# Write the right coefficient, with its sign, from β alone (0 < t < 1000; `betas[s]` is β_s, starting at
# s = 0).

# %% tags=["exercise"]
def kappa_of_ddpm(betas, t):
    """The coefficient of ε in DDPM's μ, which is κ_t for η = 1 and t' = t-1."""
    return None


# %%
def from_the_schedule(betas, t):
    a = torch.cumprod(1 - betas, 0)
    return kappa(a[t], a[t - 1], 1.0)


times = [(torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), t) for t in (1, 100, 999)]
hints = [
    "which α is 1-β_t, which the product?",
    "-β_t / √((1-β_t)(1-ᾱ_t)): only the last factor holds the product",
]
lesson.exercise(kappa_of_ddpm, from_the_schedule, times, hints);


# %% [markdown]
# <details><summary>Hint 1</summary>One step removes one step's noise: the factor in front is 1/√(1-β_t), close to 1. A product of
# 1,000 of them does not belong there.</details>
# <details><summary>Hint 2</summary>-β_t / √((1-β_t)(1-ᾱ_t)), with ᾱ_t the product up to and including t.</details>
# <details><summary>Solution</summary>
#
# ```python
# def kappa_of_ddpm(betas, t):
#     """The coefficient of ε in DDPM's μ, which is κ_t for η = 1 and t' = t-1."""
#     a = torch.cumprod(1 - betas, 0)[t]
#     return -betas[t] / ((1 - betas[t]) * (1 - a)) ** 0.5
# ```
# </details>
#
# This is the theorem in one line: at η = 1 and single steps κ_t is proportional to β_t, the size of the
# step.

# %% [markdown]
# ## Turn the knobs
#
# Blue and orange nearly cancel; green is what survives. The grey line is |κ| for 1,000 steps
# at the same η and β. Go down to 10 steps, and then make the last β larger: every step is now longer, and
# less cancels.

# %%
def show(steps, eta, beta_start, beta_end):
    s, fine = linear(steps, beta_start, beta_end), linear(1000, beta_start, beta_end)
    share, (fig, ax) = surviving(s, eta).median(), plots.figure(width=9, height=4.5)
    in_D, reference = factor_in_D(s.a_to, s.sigma(eta)), kappa(fine.a, fine.a_to, eta).abs()
    ax.plot(s.t, p_only(s.a, s.a_to).abs(), color=plots.P, label="P only")
    ax.plot(s.t[:-1], in_D[:-1], color=plots.D, label="D only (opposite sign)")
    ax.plot(s.t, kappa(s.a, s.a_to, eta).abs(), color=plots.EDITED, label="both: |κ|")
    ax.plot(fine.t, reference, ":", color=plots.SOURCE, label="|κ|, 1000 steps")
    ax.set(xlabel="t", ylabel="|coefficient of Δε|", yscale="log", ylim=(1e-3, 10), xlim=(0, 1000))
    ax.set_title(f"{steps} steps, η = {eta:g}: {share:.1%} of the shift survives (median)")
    ax.legend(ncols=2, loc="upper right")
    return fig


explore(
    show,
    steps=choice([10, 20, 40, 100, 200, 1000], 40, "steps"),
    eta=slider(0.0, 1.0, 0.0, 0.1, "η"),
    beta_start=choice([1e-5, 1e-4, 1e-3], 1e-4, "first β"),
    beta_end=slider(0.005, 0.05, 0.02, 0.005, "last β"),
)

# %% [markdown]
# ## Why this leads to Asyrp
#
# If a shift of ε is to make an edit, then in both terms a large part of it is lost at each step (nearly all of it when
# there are many steps), and the denoiser works against the rest. Shift ε **in P only** and nothing cancels: x_t' = √ᾱ'
# P_t(ε + Δε) + D_t(ε) + σ_t ε_t. This is the *asymmetric reverse process*. The images above also show what it needs. A
# P-only shift adds up over the steps, so a *random* one of this size ruins the image, and the same Δε at twice as many
# steps moves it about twice as far. Lesson 05 therefore takes Δε from a small, learned change in the network's
# bottleneck (the h-space), so that the image still looks like the data, and scales it with the number of steps.

# %% [markdown]
# ## What this does not say
#
# - The theorem is about **one step** at a given ε(x_t), and about small steps. At 40 steps a good part
#   of the shift survives, and near t = 0 it always does. So give the number of steps whenever you say that it cancels.
# - It does not say that no shift in both terms can edit. One z kept over all steps moves the image as
#   far at 1,000 steps as at 40; and classifier-free guidance, which steers every text-to-image model,
#   *is* a shift of ε in both terms. 'Shifting ε in both does little' is most nearly true of shifts that are fresh
#   at every step, or that the denoiser takes for noise.
# - The rms changes are of these models and images. On a larger image white z has more directions in
#   which the data do not vary, and less of it should get through: run this lesson on your checkpoint.
