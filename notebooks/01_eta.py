# %% [markdown]
# # 01 · From DDIM to DDPM: one knob, η
#
# **Afterwards you can say** what the three terms of a sampling step do, what σ_t(η) is, why every η
# samples the same distribution *in the limit of many steps*, and how the noise helps when something has
# gone wrong.
#
# 55 minutes. Equations: DDIM (Song et al., ICLR 2021) eqs. 7, 12 and 16; the names P_t and D_t are those
# of Kwon et al. (ICLR 2023).

# %% tags=["parameters"] nbmake={"mock": {"etas": [0.0, 0.5, 1.0], "n_images": 2, "steps": 10}}
checkpoint = "faces"  # an embedded model, a folder, or a hub id such as "google/ddpm-cifar10-32"
prompt = ""  # what a model that reads texts draws, such as "a portrait of a person"
device = "cpu"
seed = 0
steps = 50
n_images = 6
images = ""  # pictures of your own: a folder, a file, or a glob such as "me/*.jpg"
etas = [0.0, 0.25, 0.5, 0.75, 1.0]

# %%
from lessons_lib import lesson
from lessons_lib.studies import inputs

p = lesson.parameters(
    globals(), checkpoint=str, device=str, seed=(0, 289_999_999), steps=(2, 1000), n_images=(1, 64),
    prompt=str, etas=(0.0, 1.0, None), images=str,
)  # fmt: skip
inputs.check_networks(p)

# %%
import torch

from lessons_lib import Code, Sampler, load, plots
from lessons_lib.code import predicted_image
from lessons_lib.judges import metrics
from lessons_lib.schedule import factor_in_D, mean_coefficients, sigma
from lessons_lib.widgets import explore, slider

model = inputs.model_for(p.checkpoint, p.device, p.steps, prompt=p.prompt)  # comes after `moons`

# %% [markdown]
# ## A model with nothing to learn
#
# We start where everything is exact: a mixture of Gaussians in the plane. A point x_0 noised to level ᾱ is
# √ᾱ x_0 + √(1-ᾱ) times noise. The noised mixture is again a mixture of Gaussians, so the noise ε(x, t) that an ideal
# model predicts has a closed form. There is no network here, and so no network's error.
# A sampler starts at noise x_T and takes steps. In each step a part of the noise is drawn anew; η says how large a
# part. The cell below takes 20 points through 12 steps, and picks one step of one of them.

# %%
moons = load("moons")
g = Sampler(moons, steps=12, eta=0.7)
step = list(g.trajectory(g.draw(20, seed=p.seed)))[7]
a_to = g.schedule.a_to[step.i].item()
arrows = torch.stack([a_to**0.5 * step.P, step.D, step.noise])  # (3, 20, 2)
turn = step.D[:, 0] * step.noise[:, 1] - step.D[:, 1] * step.noise[:, 0]
k = (turn * arrows[0].norm(dim=1)).abs().argmax()  # of the 20, the one whose arrows are seen best
lesson.record("ᾱ_t, the signal's share", g.schedule.a[step.i]);

# %% [markdown]
# ### One step, taken apart
#
# $$x_{t'} = \sqrt{\bar\alpha_{t'}}\,
# \underbrace{\frac{x_t-\sqrt{1-\bar\alpha_t}\,\varepsilon}{\sqrt{\bar\alpha_t}}}
# _{P_t\text{: the predicted image}}
# \;+\;\underbrace{\sqrt{1-\bar\alpha_{t'}-\sigma_t^2}\;\varepsilon}_{D_t\text{: direction to }x_t}
# \;+\;\underbrace{\sigma_t\,\varepsilon_t}_{\text{noise}}$$
#
# A step (DDIM's eq. 12) leads from x_t to x_t', where t' is the next, smaller time. ε is what the model predicts;
# ε_t is drawn anew.
#
# **Predict.** With the ᾱ_t printed above, x_t is still mostly noise. Where will P_t be?

# %%
where_is_P = lesson.predict(
    "Where is P_t?", "in one of the grey clusters", "between the clusters", "at x_t itself"
)
where_is_P

# %%
P, D, noise = arrows[:, k]
fig, ax = plots.figure(width=8, height=5)
reach = max(2.2, 1.1 * max(v[k].abs().max().item() for v in (step.x, step.x_to)))
plots.density(ax, lambda x: moons.log_density(x, -1), reach)
plots.arrow(ax, torch.zeros(2), P, plots.P, "√ᾱ' P")
plots.arrow(ax, P, P + D, plots.D, "D")
plots.arrow(ax, P + D, P + D + noise, plots.NOISE, "σ·noise")
ax.plot(*step.P[k], "*", color=plots.P, ms=15, label="P_t")
ax.plot(*step.x[k], "o", color=plots.SOURCE, ms=9, label="x_t")
ax.plot(*step.x_to[k], "ko", ms=9, label="x_t'")
ax.plot(0, 0, "k+", ms=12, label="origin")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
fig

# %% [markdown]
# The three arrows, put end to end, lead from the origin to the next point x_t': this is the whole algorithm. P_t is the
# star. (The blue arrow is P_t shrunk by √ᾱ'.) It is the posterior mean, an *average* over the clusters that x_t may have
# come from. It is no sample yet, and need not lie on the data at all.

# %%
away = torch.cdist(step.P[k : k + 1], moons.means).min() / moons.spread[0].sqrt()
name = "P_t to the nearest cluster's centre, in the cluster's standard deviations"
away = lesson.record(name, away)
error = (arrows.sum(0) - step.x_to).abs().max()
lesson.record("P, D and noise recombine to x_t', error", error)
lesson.compare(where_is_P, where_is_P.choices[int(away > 2)])
lesson.conclude(f"P_t is {away:.1f} of a cluster's standard deviations away from the nearest one.")

# %% [markdown]
# ## σ_t(η): how much of the noise is fresh
#
# $$\sigma_t(\eta) =
# \eta\,\sqrt{\frac{1-\bar\alpha_{t'}}{1-\bar\alpha_t}}\,\sqrt{1-\frac{\bar\alpha_t}{\bar\alpha_{t'}}}
# \qquad\text{(DDIM's eq. 16)}$$
#
# At every η the two noise terms have the same total variance, 1-ᾱ_t'. η decides how much of it is *fresh*
# (σ_t²) and how much is *kept* (1-ᾱ_t'-σ_t², the square of ε's factor in D_t).
#
# **Predict.** With more steps, is each step's fresh share larger or smaller?

# %%
fig, axes = plots.figure(1, 2, sharey=True)
for ax, count in zip(axes, (20, 200), strict=True):
    s = Sampler(moons, steps=count).schedule
    for eta in p.etas:
        fresh = s.sigma(eta)[:-1] ** 2 / (1 - s.a_to[:-1])
        ax.plot(s.t[:-1], fresh, color=plots.ETAS(eta), label=f"η = {eta:g}")
    ax.set(title=f"{count} steps", xlabel="t", ylim=(0, 1))
axes[0].set_ylabel("fresh share of the noise, σ² / (1-ᾱ')")
axes[1].legend()
fig

# %%
shares = []
for count in (20, 200):
    s, middle = Sampler(moons, steps=count).schedule, count // 2
    share = s.sigma(1.0)[middle] ** 2 / (1 - s.a_to[middle])
    shares.append(lesson.record(f"fresh share at mid-way, η = 1, {count} steps", share))
lesson.conclude(
    f"mid-way each of 20 steps replaces {shares[0]:.0%} of the noise, each of 200 steps {shares[1]:.1%}."
)


# %% [markdown]
# Ten times as many steps replace nearly ten times less each. So the *rate* at which noise is replaced stays nearly
# constant, and η means nearly the same at any number of steps. (Exactly ten it would be in the limit of short steps: a
# long step cannot replace more than all of the noise.) At the left ends of the curves, next to the image, this fails:
# there a single step of η = 1 still replaces most of the noise. (The small spikes are steps over 6 training times. Most
# steps are over 5.)

# %% [markdown]
# ### Exercise 1 · write σ_t(η) <small>(easy · 3 minutes)</small>

# %% tags=["exercise"]
def my_sigma(a, a_to, eta):
    """σ_t(η) from ᾱ_t, ᾱ_t' and η; tensors or floats."""
    return None


# %%
levels = torch.tensor([[0.2, 0.5, 1.0], [0.5, 0.9, 0.3], [0.1, 1.0, 1.0]], dtype=torch.float64)
cases = [(a, a_to, eta.item()) for a, a_to, eta in levels]
hints = ["two square roots, and η in front", "the roots are of (1-ᾱ')/(1-ᾱ) and of 1-ᾱ/ᾱ'"]
lesson.exercise(my_sigma, sigma, cases, hints);

# %% [markdown]
# <details><summary>Hint 1</summary>It is η times the standard deviation of the posterior
# q(x_t'|x_t, x_0).</details>
# <details><summary>Hint 2</summary>The two factors are (1-ᾱ')/(1-ᾱ) and 1-ᾱ/ᾱ', each under a root.</details>
# <details><summary>Solution</summary>
#
# ```python
# def my_sigma(a, a_to, eta):
#     """σ_t(η) from ᾱ_t, ᾱ_t' and η; tensors or floats."""
#     return eta * ((1 - a_to) / (1 - a)) ** 0.5 * (1 - a / a_to) ** 0.5
# ```
# </details>

# %% [markdown]
# ## The same x_T under every η
#
# All samplers below start from the same four x_T (rings). The end of each is a dot with a number, which is the same for
# the same x_T. The small dots are the ends of 400 starts.
#
# **Predict.** For η = 0 the curves are smooth. Will each *end point* for η = 1 be near the one that has the same
# x_T for η = 0?

# %%
BADGE = {"boxstyle": "circle,pad=0.15", "facecolor": "white"}  # round an end's number
samplers = {eta: Sampler(moons, steps=p.steps, eta=eta) for eta in p.etas}
walks = {eta: g.path(g.draw(400, seed=p.seed)) for eta, g in samplers.items()}
some = list(dict.fromkeys((p.etas[0], p.etas[len(p.etas) // 2], p.etas[-1])))
fig, axes = plots.figure(1, len(some), width=13, height=4.4, squeeze=False)
for ax, eta in zip(axes.flat, some, strict=True):
    walk = walks[eta]
    plots.density(ax, lambda x: moons.log_density(x, -1))
    ax.scatter(*walk[-1].T, s=3, color=plots.ETAS(eta), alpha=0.4)
    plots.paths(ax, walk[:, :4], plots.ETAS(eta), alpha=0.6)
    for i, end in enumerate(walk[-1, :4].tolist()):
        ax.text(*end, str(i + 1), fontsize=12, ha="center", va="center", bbox=BADGE, zorder=5)
    ax.set_title(f"η = {eta:g}")
fig

# %%
first, away = walks[p.etas[0]][-1], torch.zeros(())
for eta in p.etas[1:]:
    away = (walks[eta][-1] - first).norm(dim=1).mean()
    note = f"(η = {eta:g} from η = {p.etas[0]:g})"
    lesson.record("mean distance of the ends from those of the first η", away, note)
unrelated = (first - first.roll(1, 0)).norm(dim=1).mean()
lesson.record("mean distance of unrelated ends, for scale", unrelated)
lesson.conclude(
    f"at η = {p.etas[-1]:g} an end is {away:.2f} away from its partner at η = {p.etas[0]:g}. Two "
    f"unrelated ends are {unrelated:.2f} apart."
)

# %% [markdown]
# Not near: at η = 1 an end is about as far from its partner at η = 0 as from any other end. x_T alone no longer
# decides where we end. All the noise together does: x_T and the ε_t of every step. It is called the *code* z =
# x_T ⊕ ε_T ⊕ … ⊕ ε_1 (⊕ means 'together with'), and lesson 03 makes use of it. But the dots *as a set* look the same
# under every η, if there are many steps.
#
# The same with a trained network. Each column shares its x_T:

# %% tags=["gallery"] sentence="One x_T under five \u03b7: from \u03b7 = 0 to \u03b7 = 1 the picture changes by {rms change of the image from the first \u03b7|.2f} rms, where two unrelated ones differ by {rms difference of unrelated samples, for scale|.2f}."
rows = []
for eta in p.etas:
    g = Sampler(model, steps=p.steps, eta=eta)
    z = inputs.draw_or_invert(g, p.images, p.n_images, p.seed)
    rows.append(model.pictures(g.decode(z)))
plots.strips(rows, [f"η = {eta:g}" for eta in p.etas], [f"x_T {i}" for i in range(p.n_images)])

# %%
change = torch.zeros(())
for eta, row in zip(p.etas[1:], rows[1:], strict=True):
    change = metrics.rms(row, rows[0]).mean()
    note = f"(from η = {p.etas[0]:g} to η = {eta:g})"
    lesson.record("rms change of the image from the first η", change, note)
if p.n_images > 1:
    apart = metrics.rms(rows[0], rows[0].roll(1, 0)).mean()
    lesson.record("rms difference of unrelated samples, for scale", apart)
    lesson.conclude(
        f"from η = {p.etas[0]:g} to η = {p.etas[-1]:g} a picture changes by {change:.2f} rms. Two unrelated "
        f"pictures differ by {apart:.2f}."
    )

# %% [markdown]
# A small η keeps much of what x_T decided. At η = 1 little of it is left: the change is nearly as large as the
# difference of unrelated pictures.

# %% [markdown]
# ### The same step, as images
#
# P_t is the image as the model predicts it from x_t. D_t and the noise keep x_t' at its noise level.
#
# **Predict.** What does P_t look like at the first step, when x_t is nothing but noise?

# %%
g = Sampler(model, steps=p.steps, eta=1.0)
walk = list(g.trajectory(g.draw(1, seed=p.seed)))
shown = [walk[i] for i in torch.linspace(0, len(walk) - 1, 10).int().unique()]
parts = ("x", "P", "D", "noise")
rows = [model.pictures(torch.cat([getattr(s, name) for s in shown])) for name in parts]
plots.strips(rows, ["x_t", "P_t", "D_t", "σ·noise"], [f"t = {s.t}" for s in shown])

# %%
strength = torch.stack([s.D.square().mean().sqrt() for s in walk])
fades = [s.t for s, v in zip(walk, strength, strict=True) if v < strength.max() / 2]
lesson.record("largest rms of D_t", strength.max())
late = lesson.record("t from which on D_t has less than half of it", max(fades, default=0))
lesson.conclude(f"D_t keeps at least half of its largest strength until t = {late:.0f}.")

# %% [markdown]
# P_t starts as nearly the average image, which is the best guess from noise alone. It gains detail as t falls: layout
# and colours are there first, fine detail comes last. D_t fades late.

# %% [markdown]
# ## Every η has the same marginals – in the limit
#
# *Marginals* are the distributions of x_t, one for each t. Given x_0, a step of DDIM leads from the right distribution
# of x_t to that of x_t' at *every* η (Lemma 1 in DDIM's Appendix B). But a sampler does not know x_0. It puts the
# mean, P_t, in its place, and so it leaves out the spread of x_0 around P_t. That spread is there at any number of
# steps. The *error* that it causes becomes smaller with smaller steps, and vanishes in the limit.
#
# We can measure the error. The **energy distance** between two distributions is 0 if they are equal. We estimate it
# from 2,000 samples and 2,000 exact draws. Such an estimate is not exactly 0 even between two exact sets, and it can be
# negative. The grey band shows how large it gets there: smaller values mean nothing, and those too small for the plot
# are drawn on its lower edge.
#
# **Predict.** With only 10 steps, which η is farthest from the truth?

# %%
farthest = lesson.predict(
    "Farthest from the truth, 10 steps.",
    *dict.fromkeys(f"η = {eta:g}" for eta in p.etas),
    "all alike",
)
farthest

# %%
exact = moons.sample(2000, seed=p.seed + 1)
counts = [3, 5, 10, 20, 50, 100, 200]
others = [moons.sample(2000, seed=p.seed + 2 + i) for i in range(5)]
floor = max(abs(metrics.energy_distance(other, exact)) for other in others)
curves = {}
for eta in p.etas:
    samplers = [Sampler(moons, steps=n, eta=eta) for n in counts]
    ends = [g.decode(g.draw(2000, seed=p.seed)) for g in samplers]
    curves[eta] = [metrics.energy_distance(end, exact) for end in ends]

# %%
fig, ax = plots.figure(width=8)
low = floor / 4
for eta, curve in curves.items():
    shown = torch.tensor(curve).clamp_min(low)
    ax.plot(counts, shown, "o-", color=plots.ETAS(eta), label=f"η = {eta:g}")
ax.axhspan(low, floor, color=plots.SOURCE, alpha=0.25, label="exact sets among themselves")
ax.set(xscale="log", yscale="log", xlabel="steps", ylabel="energy distance to the exact density")
ax.legend()
fig

# %%
for n in (10, 200):
    for eta, curve in curves.items():
        distance = curve[counts.index(n)]
        lesson.record(f"energy distance, {n} steps, at each η", distance, f"(η = {eta:g})")
lesson.record("largest energy distance of 5 exact sets", floor)
worst = max(p.etas, key=lambda eta: curves[eta][counts.index(10)])
lesson.compare(farthest, f"η = {worst:g}")
last = max(curve[-1] for curve in curves.values())
lesson.conclude(
    f"with 10 steps η = {worst:g} is farthest, by {curves[worst][2]:.3f}. With 200 steps the farthest is "
    f"at {last:.5f}; exact sets reach {floor:.5f}."
)

# %% [markdown]
# With many steps all curves reach the grey band, so no η is 'the right one'. On the way there η = 1 is farthest from
# the truth. The more noise is replaced, the more of x_t' is rebuilt from P_t, and the more of x_0's spread is
# missing. Small η differ little here. With very few steps all η are bad.

# %% [markdown]
# ## What the noise corrects
#
# Now we make a mistake on purpose. x_T is drawn from N(0, I), and then shifted by 1.5 to the right. There are many
# steps (200). Above each panel is the energy distance of its dots to the exact density.
#
# **Predict.** Which η forgets the mistake?

# %%
forgets = lesson.predict("Which sampler forgets the mistake?", "small η", "large η", "none")
forgets


# %%
def spoiled(eta, offset=1.5, steps=200):
    """Samples from a code whose x_T is off by `offset` along the first axis."""
    g = Sampler(moons, steps=steps, eta=eta)
    z = g.draw(1000, seed=p.seed)
    return g.decode(Code(z.x_T + torch.tensor([offset, 0.0]), z.eps))


# %%
results = {eta: spoiled(eta) for eta in p.etas}
fig, axes = plots.figure(1, len(results), width=12, height=2.9, squeeze=False)
for ax, (eta, x) in zip(axes.flat, results.items(), strict=True):
    plots.density(ax, lambda x: moons.log_density(x, -1))
    ax.scatter(*x[:400].T, s=5, color=plots.ETAS(eta))
    ax.set_title(f"η = {eta:g}: {metrics.energy_distance(x, exact):.2f}".replace("-0.00", "0.00"))
fig

# %%
distances = []
for which, eta in (("first", p.etas[0]), ("last", p.etas[-1])):
    distance = metrics.energy_distance(results[eta], exact)
    name = f"energy distance after a shifted start, {which} η"
    distances.append(lesson.record(name, distance, f"(η = {eta:g})"))
small, large = distances
lesson.compare(forgets, "none" if max(small, large) < 2 * min(small, large) else
               "large η" if large < small else "small η")  # fmt: skip
lesson.conclude(
    f"the mistake leaves a distance of {small:.2f} at η = {p.etas[0]:g}, and of {large:.4f} at "
    f"η = {p.etas[-1]:g}, where exact sets reach {floor:.4f}."
)


# %% [markdown]
# The deterministic sampler carries the mistake to the end: it can only transport what it was given. Fresh noise
# washes the mistake out: each step replaces a part of the wrong noise by right noise. A trained network makes small
# mistakes at every step. This is one reason to use η > 0 when there are many steps (the *quality boosting* of lesson 06).

# %% [markdown]
# ### Exercise 2 · how much of ε is kept? <small>(medium · 5 minutes)</small>
#
# x_t' must contain noise of variance 1-ᾱ' in all. σ² of it is fresh. Which factor does ε get?

# %% tags=["exercise"]
def factor_of_eps(a_to, sigma):
    """The factor of ε in D_t."""
    return None


# %%
cases = [tuple(row) for row in torch.tensor([[0.5, 0.3], [0.9, 0.0]], dtype=torch.float64)]
hints = ["variances of independent noises add", "kept is 1-ᾱ'-σ², and the factor is its root"]
lesson.exercise(factor_of_eps, factor_in_D, cases, hints);


# %% [markdown]
# <details><summary>Hint 1</summary>Variances add: kept + fresh = 1-ᾱ'. A factor is the root of its
# variance.</details>
# <details><summary>Solution</summary>
#
# ```python
# def factor_of_eps(a_to, sigma):
#     """The factor of ε in D_t."""
#     return (1 - a_to - sigma**2) ** 0.5
# ```
# </details>

# %% [markdown]
# ### Exercise 3 · the whole step <small>(medium · 8 minutes)</small>
#
# Write the step from x_t to x_t', given ε, the fresh noise (standard normal), ᾱ_t, ᾱ_t' and σ_t.

# %% tags=["exercise"]
def my_step(x, eps, noise, a, a_to, sigma):
    """x_t' from x_t; the other arguments are tensors."""
    return None


# %%
def library_step(x, eps, noise, a, a_to, sigma):
    c_x, c_P = mean_coefficients(a, a_to, sigma)  # the same mean, written with x_t and P
    return c_x * x + c_P * predicted_image(x, eps, a) + sigma * noise


gen = torch.Generator().manual_seed(p.seed)
x, eps, noise = torch.randn(3, 4, generator=gen, dtype=torch.float64)
levels = torch.tensor([[0.3, 0.6, 0.0], [0.3, 0.6, 0.4]], dtype=torch.float64)
cases = [(x, eps, noise, *row) for row in levels]
hints = [
    "first P, then the three terms",
    "√ᾱ' P with P = (x - √(1-ᾱ) ε)/√ᾱ, then √(1-ᾱ'-σ²) ε, then σ times the noise",
]
lesson.exercise(my_step, library_step, cases, hints);


# %% [markdown]
# <details><summary>Hint 1</summary>Three lines: P, D, and their sum with the noise.</details>
# <details><summary>Hint 2</summary>P = (x - √(1-ᾱ) ε)/√ᾱ, and D = factor_of_eps(ᾱ', σ) ε.</details>
# <details><summary>Solution</summary>
#
# ```python
# def my_step(x, eps, noise, a, a_to, sigma):
#     """x_t' from x_t; the other arguments are tensors."""
#     P = (x - (1 - a) ** 0.5 * eps) / a**0.5
#     D = (1 - a_to - sigma**2) ** 0.5 * eps
#     return a_to**0.5 * P + D + sigma * noise
# ```
# </details>

# %% [markdown]
# ### Exercise 4 · capstone: a sampler of your own <small>(hard · 12 minutes)</small>
#
# Now all of them: start at x_T, and take the steps one after the other. `eps_of(x, t)` is the model. Everything
# else has one entry for each step: `noise` (S, B, 2), and t, ᾱ_t, ᾱ_t' and σ_t, (S,). If your `my_step` is right,
# four lines will do.

# %% tags=["exercise"]
def my_sampler(eps_of, x_T, noise, t, a, a_to, sigma):
    """x_0 (B, 2) from x_T (B, 2), by one step for each of t (S,); t.tolist() are whole numbers."""
    return None


# %%
def library_sampler(eps_of, x_T, noise, t, a, a_to, sigma):
    x = x_T
    for i, time in enumerate(t.tolist()):
        x = library_step(x, eps_of(x, time), noise[i], a[i], a_to[i], sigma[i])
    return x


def arguments(eta, n, steps=20):
    """(a sampler of the library, its code, what `my_sampler` needs of the two)."""
    g = Sampler(moons, steps=steps, eta=eta)
    z, s = g.draw(n, seed=p.seed), g.schedule
    noise = (
        torch.zeros(steps, *z.x_T.shape) if z.eps is None else z.eps
    )  # η = 0: no noise is needed
    return g, z, (moons, z.x_T, noise, s.t, s.a, s.a_to, g.sigma)


# %%
cases = [arguments(eta, 3, 6)[2] for eta in (0.0, 0.7)]
hints = [
    "x = x_T, then a loop over the steps; each makes a new x of the old one",
    "x = my_step(x, eps_of(x, t[i].item()), noise[i], a[i], a_to[i], sigma[i]) for each i; return x",
]
right = lesson.exercise(my_sampler, library_sampler, cases, hints)
sampler = my_sampler if right else library_sampler

# %% [markdown]
# <details><summary>Hint 1</summary><code>for i in range(len(t)):</code>, and x is overwritten in each round.</details>
# <details><summary>Hint 2</summary>Call the model at the <em>current</em> x: <code>eps_of(x, t[i].item())</code>.</details>
# <details><summary>Solution</summary>
#
# ```python
# def my_sampler(eps_of, x_T, noise, t, a, a_to, sigma):
#     """x_0 (B, 2) from x_T (B, 2), by one step for each of t (S,); t.tolist() are whole numbers."""
#     x = x_T
#     for i, time in enumerate(t.tolist()):
#         eps = eps_of(x, time)
#         P = (x - (1 - a[i]) ** 0.5 * eps) / a[i] ** 0.5
#         D = (1 - a_to[i] - sigma[i] ** 2) ** 0.5 * eps
#         x = a_to[i] ** 0.5 * P + D + sigma[i] * noise[i]
#     return x
# ```
# </details>
#
# 400 codes by this sampler (yours, once it is right), and how far its ends are from the library's:

# %%
fig, axes = plots.figure(1, 3, width=11, height=3.9)
for ax, eta in zip(axes, (0.0, 0.5, 1.0), strict=True):
    g, z, needed = arguments(eta, 400)
    ends = sampler(*needed)
    plots.density(ax, lambda x: moons.log_density(x, -1))
    ax.scatter(*ends.T, s=4, color=plots.ETAS(eta))
    ax.set_title(f"η = {eta:g}, off by {(ends - g.decode(z)).abs().max():.0e}")
fig


# %% [markdown]
# ### Exercise 5 · spot the error <small>(medium · 5 minutes)</small>
#
# A published sampler takes σ_t² = η · (1-ᾱ')/(1-ᾱ) · (1-ᾱ/ᾱ'): η stands before the *variance*. At η = 0 and at
# η = 1 it agrees with eq. 16, and between the two it does not. Its authors write 'η = 0.5'. Which η of eq. 16
# gives the same σ?

# %% tags=["exercise"]
def true_eta(eta):
    """The η of eq. 16 at which a step has the σ that the published sampler has at `eta`."""
    return None


# %%
step_checked = torch.tensor([0.3, 0.5], dtype=torch.float64)  # ᾱ and ᾱ'


def by_the_variances(eta):
    variance = eta * sigma(*step_checked, 1.0) ** 2
    return variance**0.5 / sigma(*step_checked, 1.0)


cases = [(torch.tensor(v, dtype=torch.float64),) for v in (0.5, 0.25, 1.0)]
hints = ["ours has η² before the variance", "η_ours² = η_theirs, so take a root"]
lesson.exercise(true_eta, by_the_variances, cases, hints);

# %% [markdown]
# <details><summary>Hint 1</summary>Square eq. 16: which power of η stands before the variance?</details>
# <details><summary>Solution</summary>
#
# ```python
# def true_eta(eta):
#     """The η of eq. 16 at which a step has the σ that the published sampler has at `eta`."""
#     return eta**0.5
# ```
# </details>

# %%
ours, theirs = (
    lesson.record(f"σ from ᾱ = 0.3 to ᾱ' = 0.5 at 'η = 0.5', {whose}", sigma(*step_checked, eta))
    for whose, eta in (("ours", 0.5), ("theirs", 0.5**0.5))
)
lesson.conclude(f"at the same 'η = 0.5' their σ is {theirs / ours:.2f} times ours.")


# %% [markdown]
# Ask for the formula before you compare two papers at one η.

# %% [markdown]
# ## Turn the knob
#
# Left: eight trajectories. Middle: 500 end points with their energy distance to the truth. Right: the end points of
# the same x_T at η = 0. With few steps the ends are drawn together: x_0's spread is missing. At how many steps is η = 1
# as near to the truth as η = 0?

# %%
def show(eta, steps, seed):
    g = Sampler(moons, steps=steps, eta=eta)
    z = g.draw(500, seed=seed)
    path, ddim = g.path(z), g.with_eta(0.0).decode(Code(z.x_T))
    fig, axes = plots.figure(1, 3, width=14.5, height=4.8)
    for ax in axes:
        plots.density(ax, lambda x: moons.log_density(x, -1))
    plots.paths(axes[0], path[:, :8], plots.ETAS(eta))
    axes[0].set_title(f"η = {eta:g}, {steps} steps")
    for ax, at, x in zip(axes[1:], (eta, 0.0), (path[-1], ddim), strict=True):
        ax.scatter(*x.T, s=6, color=plots.ETAS(at))
        ax.set_title(f"η = {at:g}: distance {metrics.energy_distance(x, exact):.3f}")
    return fig


explore(
    show, eta=slider(0.0, 1.0, 1.0, 0.05, "η"), steps=slider(2, 100, 8, 1), seed=slider(0, 20, 0, 1)
)

# %% [markdown]
# ## What this does not say
#
# - 'The same marginals' holds for the exact ε and small steps. A trained network has an inexact ε, and takes steps that
#   are not small. Which η is best for your checkpoint at your number of steps has to be measured.
# - The distances above are of a 2-D mixture with 2,000 samples. Differences smaller than the grey band mean nothing.
#   The distances say nothing about how images *look*.
# - η = 1 is DDPM with the *posterior* variance. DDPM's other choice, σ² = β_t, is larger than that of η = 1.
