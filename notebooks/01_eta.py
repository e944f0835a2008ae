# %% [markdown]
# # 01 · From DDIM to DDPM: one knob, η
#
# **Afterwards you can say** what the three terms of a sampling step do, what σ_t(η) is, why every η
# samples the same distribution *in the limit of many steps*, and what the noise is good for when
# something went wrong.
#
# 40 minutes. Equations: DDIM (Song et al., ICLR 2021) eqs. 7, 12 and 16; the names P_t and D_t are those
# of Kwon et al. (ICLR 2023), eq. 2.

# %% tags=["parameters"]
checkpoint = "faces"  # an embedded model, a folder, or a hub id such as "google/ddpm-cifar10-32"
device = "cpu"
seed = 0
steps = 50
n_images = 6
etas = [0.0, 0.25, 0.5, 0.75, 1.0]

# %%
from lessons_lib import lesson

p = lesson.parameters(
    globals(), checkpoint=str, device=str, seed=(0, 2**31), steps=(2, 1000), n_images=(1, 64),
    etas=(0.0, 1.0, None),
)  # fmt: skip

# %%
import torch

from lessons_lib import Code, Sampler, load, metrics, plots
from lessons_lib.schedule import direction, sigma
from lessons_lib.widgets import explore, slider

# %% [markdown]
# ## A model with nothing to learn
#
# We start where everything is exact: a mixture of Gaussians in the plane. Noised to level ᾱ it is again
# a mixture of Gaussians, so ε(x, t) has a closed form and no network can be blamed for anything.
# A sampler **G** maps a code z to a point x; η is its only knob.

# %%
moons = load("moons")
g = Sampler(moons, steps=12, eta=0.7)
step = list(g.trajectory(g.draw(1, seed=p.seed)))[7]

# %% [markdown]
# ### One step, taken apart
#
# $$x_{t'} = \sqrt{\bar\alpha_{t'}}\,\underbrace{\frac{x_t-\sqrt{1-\bar\alpha_t}\,\varepsilon}{\sqrt{\bar\alpha_t}}}_{P_t\text{: the predicted image}}
# \;+\;\underbrace{\sqrt{1-\bar\alpha_{t'}-\sigma_t^2}\;\varepsilon}_{D_t\text{: direction to }x_t}\;+\;\underbrace{\sigma_t\,\varepsilon_t}_{\text{noise}}$$
#
# **Predict.** Halfway through, x_t is still half noise. Where will P_t point: at one of the grey
# clusters, between them, or at x_t itself?

# %%
a_to = g.schedule.a_to[step.i].item()
base = a_to**0.5 * step.P[0]
fig, ax = plots.figure(width=6.5, height=6)
plots.density(ax, lambda x: moons.log_density(x, -1))
plots.arrow(ax, torch.zeros(2), base, plots.P, "√ᾱ' P")
plots.arrow(ax, base, base + step.D[0], plots.D, "D")
plots.arrow(ax, base + step.D[0], step.x_to[0], plots.NOISE, "σ·noise")
ax.plot(*step.x[0], "o", color=plots.SOURCE, ms=9, label="x_t")
ax.plot(*step.x_to[0], "ko", ms=9, label="x_t'")
ax.legend(loc="upper left")
fig

# %% [markdown]
# The three arrows, put end to end, lead from the origin to the next point: this is the whole algorithm.
# The blue one ends at (a shrunken copy of) the posterior mean, an *average* over the clusters that x_t
# may have come from. It is no sample yet: halfway, it need not lie on the data at all.

# %%
recombined = a_to**0.5 * step.P + step.D + step.noise
error = lesson.record("P, D and noise recombine to x_t', error", (recombined - step.x_to).abs().max())

# %% [markdown]
# ## σ_t(η): how much of the noise is fresh
#
# $$\sigma_t(\eta) = \eta\,\sqrt{\frac{1-\bar\alpha_{t'}}{1-\bar\alpha_t}}\,\sqrt{1-\frac{\bar\alpha_t}{\bar\alpha_{t'}}}$$
#
# At every η the noise in x_t' has the same total variance 1-ᾱ_t'. η decides how much of it is *fresh*
# (σ_t²) and how much is *kept* (1-ᾱ_t'-σ_t², the factor of ε in D_t).
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
for count in (20, 200):
    s, middle = Sampler(moons, steps=count).schedule, count // 2
    share = s.sigma(1.0)[middle] ** 2 / (1 - s.a_to[middle])
    lesson.record(f"fresh share at mid-way, η = 1, {count} steps", share)

# %% [markdown]
# Smaller: σ² shrinks in proportion to the step, but there are more steps. What stays constant is the
# *rate* at which noise is replaced, which is why η means something independent of the number of steps.

# %% [markdown]
# ### Exercise 1 · write σ_t(η) <small>(easy · 3 minutes)</small>

# %% tags=["exercise"]
def my_sigma(a, a_to, eta):
    """σ_t(η) from ᾱ_t, ᾱ_t' and η; tensors or floats."""
    return None


# %%
levels = [(0.2, 0.5, 1.0), (0.5, 0.9, 0.3), (0.1, 1.0, 1.0)]
cases = [(torch.tensor(a), torch.tensor(b), eta) for a, b, eta in levels]
lesson.exercise(my_sigma, sigma, cases, ["two square roots, and η in front"]);

# %% [markdown]
# <details><summary>Hint 1</summary>It is η times the standard deviation of the posterior q(x_t'|x_t, x_0).</details>
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
# All samplers below start from the same x_T (rings) and end somewhere (dots).
#
# **Predict.** For η = 0 the curves are smooth. Will the *end points* for η = 1 be near those of η = 0?

# %%
fig, axes = plots.figure(1, len(p.etas), width=15, height=3.6)
for ax, eta in zip(axes, p.etas, strict=True):
    g = Sampler(moons, steps=p.steps, eta=eta)
    plots.density(ax, lambda x: moons.log_density(x, -1))
    plots.paths(ax, g.path(g.draw(8, seed=p.seed)), plots.ETAS(eta))
    ax.set_title(f"η = {eta:g}")
fig

# %% [markdown]
# Not near: with fresh noise, x_T alone no longer decides where we end. The whole code
# z = x_T ⊕ ε_T ⊕ … ⊕ ε_1 does, and lesson 03 takes that seriously. But *where the dots lie as a set*
# looks the same.
#
# The same on 1,797 real handwritten digits (again exact: one Gaussian on each digit), and on a trained
# network:

# %%
digits = load("digits")
rows = []
for eta in p.etas:
    g = Sampler(digits, steps=p.steps, eta=eta)
    rows.append(g.decode(g.draw(10, seed=p.seed)))
plots.strips(rows, [f"η = {eta:g}" for eta in p.etas], [f"z {i}" for i in range(10)])

# %%
model = load(p.checkpoint, p.device)
rows = []
for eta in p.etas:
    g = Sampler(model, steps=p.steps, eta=eta)
    rows.append(g.decode(g.draw(p.n_images, seed=p.seed)))
plots.strips(rows, [f"η = {eta:g}" for eta in p.etas], [f"z {i}" for i in range(p.n_images)])

# %%
moved = [metrics.rms(row, rows[0]).mean().item() for row in rows[1:]]
apart = metrics.rms(rows[0], rows[0].roll(1, 0)).mean() if p.n_images > 1 else torch.zeros(())
for eta, value in zip(p.etas[1:], moved, strict=True):
    lesson.record(f"rms change of the image from η = {p.etas[0]:g} to η = {eta:g}", value)
lesson.record("rms difference of two unrelated samples, for scale", apart)

# %% [markdown]
# A column shares its x_T. Read the numbers against the last one: a small η keeps much of what x_T
# decided, η = 1 keeps little more than two unrelated samples share.

# %% [markdown]
# ### The same step, as images
#
# P_t is what the network believes the image is; D_t and the noise are what keeps x_t' at its noise level.

# %%
g = Sampler(model, steps=p.steps, eta=1.0)
walk = list(g.trajectory(g.draw(1, seed=p.seed)))
shown = walk[:: max(1, len(walk) // 9)]
rows = [torch.cat([getattr(s, name) for s in shown]) for name in ("x", "P", "D", "noise")]
plots.strips(rows, ["x_t", "P_t", "D_t", "σ·noise"], [f"t = {s.t}" for s in shown])

# %% [markdown]
# P_t starts as the average face and gains detail as t falls; early steps settle layout and colour, late
# ones the edges.

# %% [markdown]
# ## Every η has the same marginals – in the limit
#
# The theory (DDIM, Theorem 1 and Appendix B) says that all these samplers share the distributions of x_t *if the steps are
# small*. We can measure it: the **energy distance** between 2,000 samples and 2,000 exact draws is 0
# for equal distributions, and its scatter between two exact sets tells how small is 'zero'.
#
# **Predict.** With only 5 steps, which η is closest to the truth?

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
for eta, curve in curves.items():
    shown = torch.tensor(curve).clamp_min(1e-5)
    ax.plot(counts, shown, "o-", color=plots.ETAS(eta), label=f"η = {eta:g}")
ax.axhspan(1e-5, floor, color=plots.SOURCE, alpha=0.25, label="exact sets among themselves")
ax.set(xscale="log", yscale="log", xlabel="steps", ylabel="energy distance to the exact density")
ax.legend()
fig

# %%
for n in (5, 200):
    for eta in (p.etas[0], p.etas[-1]):
        lesson.record(f"energy distance, {n} steps, η = {eta:g}", curves[eta][counts.index(n)])
lesson.record("largest energy distance of 5 exact sets", floor)

# %% [markdown]
# All curves fall to the grey band, so no η is 'the right one'; but they fall at different speeds. With
# few steps fresh noise hurts: the step's Gaussian is a poor stand-in for a posterior that is still spread over
# several clusters. That is why DDIM (η = 0) is the sampler for few steps.

# %% [markdown]
# ## What the noise corrects
#
# Now a mistake: start from an x_T that was *not* drawn from N(0, I), shifted by 1.5 in one direction.
#
# **Predict.** Which η forgets the mistake?

# %%
def spoiled(eta, offset=1.5, steps=200):
    """Samples from a code whose x_T is off by `offset` along the first axis."""
    g = Sampler(moons, steps=steps, eta=eta)
    z = g.draw(1000, seed=p.seed)
    return g.decode(Code(z.x_T + torch.tensor([offset, 0.0]), z.eps))


# %%
results = {eta: spoiled(eta) for eta in p.etas}
fig, axes = plots.figure(1, len(p.etas), width=15, height=3.6)
for ax, (eta, x) in zip(axes, results.items(), strict=True):
    plots.density(ax, lambda x: moons.log_density(x, -1))
    ax.scatter(*x[:400].T, s=5, color=plots.ETAS(eta))
    ax.set_title(f"η = {eta:g}: {metrics.energy_distance(x, exact):.3f}")
fig

# %%
for eta in (p.etas[0], p.etas[-1]):
    distance = metrics.energy_distance(results[eta], exact)
    lesson.record(f"energy distance after a shifted start, η = {eta:g}", distance)

# %% [markdown]
# The deterministic sampler carries the mistake to the end: it can only transport what it was given. Fresh
# noise washes it out, since whatever x_t is, each step pulls it towards the distribution it should have. A trained
# network makes small mistakes at every step, and that is why η > 0 often looks better when steps are plenty
# (the *quality boosting* of lesson 06).

# %% [markdown]
# ### Exercise 2 · how much of ε is kept? <small>(medium · 5 minutes)</small>
#
# x_t' must contain noise of variance 1-ᾱ' in all. σ² of it is fresh. Which factor does ε get?

# %% tags=["exercise"]
def factor_of_eps(a_to, sigma):
    """The factor of ε in D_t."""
    return None


# %%
cases = [(torch.tensor(0.5), torch.tensor(0.3)), (torch.tensor(0.9), torch.tensor(0.0))]
lesson.exercise(factor_of_eps, direction, cases, ["variances of independent noises add"]);

# %% [markdown]
# <details><summary>Hint 1</summary>Variances add: kept + fresh = 1-ᾱ'.</details>
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
    P = (x - (1 - a).sqrt() * eps) / a.sqrt()
    return a_to.sqrt() * P + direction(a_to, sigma) * eps + sigma * noise


gen = torch.Generator().manual_seed(p.seed)
x, eps, noise = torch.randn(3, 4, generator=gen)
cases = [(x, eps, noise, torch.tensor(0.3), torch.tensor(0.6), torch.tensor(s)) for s in (0.0, 0.4)]
lesson.exercise(my_step, library_step, cases, ["first P, then the three terms"]);

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
# ## Turn the knob
#
# Left: eight trajectories. Right: 500 end points with their distance to the truth. Try 4 steps at η = 1,
# then at η = 0; then many steps.

# %%
def show(eta, steps, seed):
    g = Sampler(moons, steps=steps, eta=eta)
    path = g.path(g.draw(500, seed=seed))
    fig, axes = plots.figure(1, 2, width=9, height=4.5)
    for ax in axes:
        plots.density(ax, lambda x: moons.log_density(x, -1))
    plots.paths(axes[0], path[:, :8], plots.ETAS(eta))
    axes[1].scatter(*path[-1].T, s=6, color=plots.ETAS(eta))
    axes[1].set_title(f"energy distance {metrics.energy_distance(path[-1], exact):.3f}")
    axes[0].set_title(f"η = {eta:g}, {steps} steps")
    return fig


explore(
    show, eta=slider(0.0, 1.0, 1.0, 0.05, "η"), steps=slider(2, 100, 8, 1), seed=slider(0, 20, 0, 1)
)

# %% [markdown]
# ## What this does not say
#
# - 'The same marginals' holds for the exact ε and small steps. With a trained network neither is given: what
#   is best for your checkpoint at your number of steps has to be measured.
# - The distances above are of a 2-D mixture with 2,000 samples; the grey band is their resolution. They say
#   nothing about how images *look*.
# - η = 1 is DDPM with the *posterior* variance. DDPM's other choice, σ² = β_t, is larger than η = 1 can give.
