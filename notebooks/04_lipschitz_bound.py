# %% [markdown]
# # 04 · One code, two conditions: how far apart?
#
# **Afterwards you can say** why two images decoded from one code z are close, and how a bound B_t on their distance is
# carried from noise to image by two numbers of each step, K_t and S_t. You can also say where that bound says something,
# and where it says nothing. Here all models are exact: nothing is estimated. Lesson 04b asks the same of a network.
#
# 60 minutes. Equations: Wu & De la Torre (ICCV 2023), §3.4, properties 1 and 2 and eq. 8; the step is that of DDIM (Song
# et al., ICLR 2021), eqs. 7 and 12.

# %% tags=["parameters"] nbmake={"mock": {"n_images": 2, "steps": 8}}
checkpoint = "faces"  # shown first; an embedded model, a folder, or a hub id
device = "cpu"
seed = 0  # of the codes
steps = 16  # of the sampler
n_images = 5  # codes of the first picture
prompt = ""  # the two texts of a model that reads texts, such as "a portrait of a man"; or,
other_prompt = ""  # in place of `conditions`, the numbers of two labels
conditions = [1, 2]  # two labels of the checkpoint; of "faces": without and with glasses
digit_pair = [3, 8]  # two digits, from 0 to 9: the conditions of the exact model
eta = 1.0  # of the sampler of digits

# %%
from lessons_lib import lesson
from lessons_lib.studies import inputs

p = lesson.parameters(
    globals(), checkpoint=str, device=str, seed=(0, 289_999_999), steps=(2, 1000), n_images=(2, 64),
    prompt=str, other_prompt=str, conditions=(0, 100000, None), digit_pair=(0, 9, None), eta=(0.0, 1.0),
)  # fmt: skip
inputs.check_networks(p)

# %%
import math

import torch

from lessons_lib import Sampler, load, plots
from lessons_lib.judges.tables import interval
from lessons_lib.methods import bounds
from lessons_lib.models.mixture import GaussianMixture
from lessons_lib.schedule import mean_coefficients
from lessons_lib.widgets import explore, slider

model = load(p.checkpoint, p.device)  # shown first
asked = p.conditions, (p.prompt, p.other_prompt)
two, said = bounds.two_conditions(model, *asked), bounds.names_of(model, *asked)

# %% [markdown]
# ## The question
#
# Practitioners know that *the same seed with another prompt gives a similar picture*. Here are a few codes z (the start
# x_T and the noise of every step, lesson 03). Each is decoded twice by one network: under label 1, 'without glasses', and
# under label 2, 'with glasses'.

# %%
g = Sampler(model, steps=p.steps, eta=1.0)
z = g.draw(p.n_images, seed=p.seed)
opening = [model.pictures(g.decode(z, cond=cond)) for cond in two]
plots.strips(opening, said, [f"z {i}" for i in range(p.n_images)])

# %% [markdown]
# In our words: two conditions c and ĉ make two maps G₁ and G₂. For one code z the images G₁(z) and G₂(z) seem to be near
# each other. How near must they be?
#
# We first ask this of a model in which nothing is approximated: an exact diffusion on handwritten digits. Its condition is
# the digit's value. The network comes back in lesson 04b.
#
# **Predict.** One z is decoded as one digit and as another. Two *unrelated* images are decoded from two different z, one as
# the first digit and one as the second. How much nearer to each other is the pair with one z?

# %%
shared = lesson.predict(
    "How far apart is a pair, compared with two unrelated images?",
    "nearly the same picture (below 1/3)", "clearly nearer (1/3 to 2/3)", "a little nearer", "no nearer",
)  # fmt: skip
shared

# %% tags=["gallery"] sentence="One code under two conditions: the pairs are {distance of two images with one z, mean|.1f} apart, unrelated images {distance of two images with different z, mean|.1f}."
digits = load("digits")
g = Sampler(digits, steps=p.steps, eta=p.eta)
c, c_hat = bounds.two_conditions(digits, p.digit_pair)
z = g.draw(64, seed=p.seed)
x, x_hat, S = bounds.two_paths(g, z, c, c_hat)
shown = [x[-1][:10], x_hat[-1][:10]]
plots.strips(shown, [f"'{k}'" for k in p.digit_pair], [f"z {i}" for i in range(10)])

# %%
same, another = bounds.apart(x[-1], x_hat[-1])  # (B,) each
one_z = lesson.record("distance of two images with one z, mean", same.mean())
other_z = lesson.record("distance of two images with different z, mean", another.mean())
nearer, low, high = interval(another - same)
lesson.record("by how much one z is nearer", nearer, f"[{low:.2f}, {high:.2f}]");

# %%
share = one_z / other_z
verdict = 3 if low <= 0 else (share > 1 / 3) + (share > 2 / 3)
lesson.compare(shared, shared.choices[verdict])
lesson.conclude(
    f"a pair with one z is {share:.2f} times as far apart as two unrelated images, nearer by {nearer:.2f} "
    f"[{low:.2f}, {high:.2f}], of {len(same)} codes."
)

# %% [markdown]
# The two digits of a column share a code. Two digits that share few strokes cannot come very close, so digits are a hard
# case. (Lesson 04b prints the same ratio for faces.) 'Similar' is a matter of degree. A theorem should say *how* similar,
# and when.

# %% [markdown]
# ## The derivation: one triangle per step
#
# Write a step as x_t' = μ(x_t, t | c) + σ_t ε_t. The paper asks for two properties:
#
# 1. μ(·, t | c) is **K_t-Lipschitz**: ‖μ(x|c) - μ(x̂|c)‖ ≤ K_t ‖x - x̂‖;
# 2. at the *same* image the two conditions differ little: ‖μ(x̂_t|c) - μ(x̂_t|ĉ)‖ ≤ **S_t**.
#
# Here x is on the path under c, and x̂ on the path of the same z under ĉ. With one z the noise σ_t ε_t is the same on both
# paths, so it cancels. Let **B_t** be a bound: ‖x_t - x̂_t‖ ≤ B_t. Then
#
# $$\begin{aligned}
# \|x_{t'}-\hat x_{t'}\| &= \|\mu(x_t|c)-\mu(\hat x_t|\hat c)\| \\
# &= \|\mu(x_t|c)-\mu(\hat x_t|c)\;+\;\mu(\hat x_t|c)-\mu(\hat x_t|\hat c)\| \\
# &\le \|\mu(x_t|c)-\mu(\hat x_t|c)\|+\|\mu(\hat x_t|c)-\mu(\hat x_t|\hat c)\| \\
# &\le K_t\,B_t+S_t \;=:\; B_{t'}, \qquad B_T=0 \text{ (the same } x_T).
# \end{aligned}$$
#
# Here is that triangle in the plane: c is one moon, ĉ the other. Of 64 codes we draw the one whose triangle is the least
# flat.
#
# **Predict.** The figure shows a late step. Early on, when x_t and x̂_t have hardly parted, which side will be the longer
# one, blue or orange?

# %%
moons, ZERO, ONE = load("moons"), torch.tensor([0]), torch.tensor([1])
g2, i = Sampler(moons, steps=12, eta=p.eta), 10
here, there, _ = bounds.two_paths(g2, g2.draw(64, seed=p.seed), ZERO, ONE)
A, B = g2.mean(here[i], i, ZERO), g2.mean(there[i], i, ZERO)
C = g2.mean(there[i], i, ONE)
detour = ((A - B).norm(dim=1) + (B - C).norm(dim=1)) / (A - C).norm(dim=1)
k = detour.argmax()  # the least flat triangle

# %%
fig, ax = plots.figure(width=6.5, height=6.5)
plots.density(ax, lambda x: moons.log_density(x, -1), extent=1.9)
ax.set_title(f"one step, from t = {g2.schedule.t[i]} to {g2.schedule.t[i + 1]}")
plots.arrow(ax, A[k], B[k], plots.P, "property 1: μ(x|c) to μ(x̂|c)")
plots.arrow(ax, B[k], C[k], plots.D, "property 2: μ(x̂|c) to μ(x̂|ĉ)")
plots.arrow(ax, A[k], C[k], "black", "what we want: x_t' to x̂_t'")
ax.plot(*here[i][k], "o", ms=10, color=plots.SOURCE, mec="white", label="x_t, under c")
ax.plot(*there[i][k], "s", ms=10, color=plots.EDITED, mec="white", label="x̂_t, under ĉ")
ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0), fontsize=11, ncols=2)
fig


# %%
def sides(j):
    """Mean lengths of the blue and of the orange side at step j."""
    A, B, C = g2.mean(here[j], j, ZERO), g2.mean(there[j], j, ZERO), g2.mean(there[j], j, ONE)
    return (A - B).norm(dim=1).mean(), (B - C).norm(dim=1).mean()


blue, orange = torch.tensor([sides(j) for j in range(len(g2.schedule))]).T
turn = g2.schedule.t[(blue > orange).nonzero()[0]].item()  # the first time at which blue is longer
lesson.record("blue side + orange side, over the black one", detour[k], show=False)
lesson.conclude(
    f"in this triangle the way by the blue and the orange side is {detour[k]:.2f} times the black one. "
    f"In the mean of 64 codes the orange side is the longer one at first; from t = {turn} on the blue one is."
)


# %% [markdown]
# Together the two coloured sides are never shorter than the black one. This is all that eq. 8 uses. At the very first step
# x_T = x̂_T, and there is only the orange side: the conditions push the paths apart (S_t). From then on every step stretches
# or shrinks the distance so far (K_t), and adds a push of its own.

# %% [markdown]
# ### Exercise 1 · carry the bound from T to 0 <small>(easy · 5 minutes)</small>
#
# Start from B_T = 0, and apply B_t' = K_t B_t + S_t once for each step. Keep every B_t on the way.

# %% tags=["exercise"]
def my_bound(K, S):
    """All n+1 bounds, from B_T = 0 to B_0, for K_t and S_t of n steps, (n,) each, in sampling order."""
    return None


# %%
gen = torch.Generator().manual_seed(p.seed)
cases = [(2 * torch.rand(n, generator=gen), torch.rand(n, generator=gen)) for n in (1, 3, 6)]
lesson.exercise(
    my_bound,
    lambda K, S: bounds.propagate(K, S)[0],
    cases,
    ["start from 0; every step is B = K B + S", "append k * B[-1] + s to B = [0] for each k, s"],
);


# %% [markdown]
# <details><summary>Hint 1</summary>A list that starts as [0] and grows by one number for each step.</details>
# <details><summary>Hint 2</summary><code>for k, s in zip(K, S): B.append(k * B[-1] + s)</code>. Return a tensor of
# B.</details>
# <details><summary>Solution</summary>
#
# ```python
# def my_bound(K, S):
#     """All n+1 bounds, from B_T = 0 to B_0, for K_t and S_t of n steps, (n,) each, in sampling order."""
#     B = [0.0]
#     for k, s in zip(K, S):
#         B.append(float(k * B[-1] + s))
#     return torch.tensor(B, dtype=torch.float64)
# ```
# </details>

# %% [markdown]
# ### Exercise 2 · when does B_t shrink? <small>(medium · 5 minutes)</small>
#
# Let K and S be the same in every step. If K is small enough, the recurrence B ← K B + S comes to rest at one value,
# whatever B was at first. Otherwise B grows for ever. Which value is it, and how small must K be?

# %% tags=["exercise"]
def resting_distance(K, S):
    """Where B ← K B + S rests (floats, S > 0); infinity (math.inf) if it grows for ever."""
    return None


# %%
def iterated(K, S):
    B = bounds.propagate(torch.full((500,), K).double(), torch.full((500,), S).double())[0]
    return B[-1] if (B[-1] - B[-2]).abs() < 1e-9 else math.inf


lesson.exercise(
    resting_distance,
    iterated,
    [(0.5, 1.0), (0.9, 0.25), (1.0, 0.5), (1.25, 0.5)],
    ["B = K B + S, and K < 1", "S / (1 - K) if K < 1, and math.inf for every other K"],
);

# %% [markdown]
# <details><summary>Hint 1</summary>At rest B = K B + S. Solve for B.</details>
# <details><summary>Hint 2</summary>For K ≥ 1 and S > 0 every step makes B larger: return math.inf.</details>
# <details><summary>Solution</summary>
#
# ```python
# def resting_distance(K, S):
#     """Where B ← K B + S rests (floats, S > 0); infinity (math.inf) if it grows for ever."""
#     return S / (1 - K) if K < 1 else math.inf
# ```
# </details>
#
# So K_t < 1 alone does not make a step shrink the bound. B_t must also be larger than S_t/(1-K_t).

# %% [markdown]
# ## Spot the +1
#
# The paper prints eq. 8 as B_{t-1} ≤ **(K_t + 1)** B_t + S_t. That is true, since B_t ≥ 0. But our derivation
# gave K_t B_t + S_t. The +1 adds the old distance a second time, although it is already inside μ.
#
# We try both on a pair of conditions in the plane: c is a ring of five Gaussians of width 1, and ĉ is the same ring moved by
# d = 0.5. K_t and S_t of such a pair can be proved. (The next section shows how.)
#
# **Predict.** With fine steps μ is almost the identity, so K_t is near 1. What does the +1 cost over n steps?

# %%
TOWARDS = torch.tensor([math.cos(0.5), math.sin(0.5)], dtype=torch.float64)


def rings(d, width):
    """Two conditions in the plane: five Gaussians on a ring (label 0), and these moved by d (1)."""
    angle = torch.arange(5, dtype=torch.float64) * 2 * math.pi / 5
    ring = torch.stack([angle.cos(), angle.sin()], 1)
    means = torch.cat([ring, ring + d * TOWARDS])
    return GaussianMixture(means, width**2, labels=torch.arange(2).repeat_interleave(5))


# %%
def carried(m, g, a, b):
    """Over t, (S+1,): the largest distance of paths a and b, proved and printed bound, √ᾱ D."""
    K, S = bounds.proved_K(m, g, 0), bounds.proved_S_moved(m, g, 0, m.means[5] - m.means[0])
    tight, printed = bounds.propagate(K, S)
    reach = bounds.reach(g, bounds.diameter(m.means[:5], m.means[5:]))
    measured = bounds.distances(a, b).amax(1)
    return {"measured": measured, "tight": tight, "printed": printed, "reach": reach}


def decoded(d, width, steps, eta):
    """The rings, their sampler, and the paths of 32 codes under both conditions, (S+1, 32, 2)."""
    m = rings(d, width)
    g = Sampler(m, steps, eta)
    return m, g, *bounds.two_paths(g, g.draw(32, seed=p.seed), ZERO, ONE)[:2]


def final(d, width, steps, eta):
    """At the image: measured distance, proved bound, printed bound, √ᾱ D."""
    return [curve[-1].item() for curve in carried(*decoded(d, width, steps, eta)).values()]


# %%
counts = [5, 10, 20, 50, 100, 200]
ends = torch.tensor([final(0.5, 1.0, n, 0.0) for n in counts], dtype=torch.float64)
fig, ax = plots.figure(width=8)
for column, name in enumerate(("measured", "tight", "printed")):
    label, line = plots.BOUNDS[name]
    ax.plot(counts, ends[:, column], marker="o", label=label, **line)
ax.set(xscale="log", yscale="log", xlabel="steps", ylabel="distance at the image")
ax.set(xticks=counts, xticklabels=counts), ax.minorticks_off(), ax.legend()
fig

# %%
loose = ends[:, 1:] / ends[:, :1]  # proved and printed, over the measured distance
for k in (2, -1):
    lesson.record(f"proved bound / measured, {counts[k]} steps", loose[k, 0], show=False)
    log = loose[k, 1].log10()
    lesson.record(f"log10 of printed bound / measured, {counts[k]} steps", log, show=False)
lesson.conclude(
    f"the proved bound is {loose[:, 0].min():.1f} to {loose[:, 0].max():.1f} times the measured distance. "
    f"The printed one is 10^{loose[-1, 1].log10():.0f} times that distance with {counts[-1]} steps; "
    f"2^{counts[-1]} is 10^{counts[-1] * 0.301:.0f}."
)

# %% [markdown]
# The +1 costs nearly a doubling at every step, so the printed bound grows nearly like 2^n. With many steps it says nothing
# for *any* model. The bound without it (blue) stays so close to the measured distance that the two curves lie on each other
# on this axis. A true inequality may still be useless, and here one symbol makes the difference.

# %% [markdown]
# ## When does a bound say something?
#
# A bound is **vacuous** where it is above another bound that one has anyway. Here is such another bound, and it needs no K_t.
#
# Write ε in the step of lesson 01 by x_t and P_t. Then the step is x_t' = c_x x_t + c_P P_t + σ_t ε_t, with c_x ≥ 0, c_P ≥ 0
# and c_x √ᾱ_t + c_P = √ᾱ_t'. Each condition is a mixture of Gaussians, its *components*. Let **D** be the largest distance
# from a component's *centre* under one condition to a centre under the other. If the components have no width, P_t is an
# average of centres. So P_t and P̂_t are at most D apart. At T the distance is 0. If it is at most √ᾱ_t D at one step, then
# at the next
#
# $$\|x_{t'}-\hat x_{t'}\| \le c_x\,\sqrt{\bar\alpha_t}\,D + c_P\,D = \sqrt{\bar\alpha_{t'}}\,D .$$
#
# Now let each component have a width, the standard deviation s. Then P_t follows x_t a little, and two P_t *can* be farther
# apart than D. One more line repairs the proof. P_t is now g_t times an average of centres plus (1-g_t) x_t/√ᾱ_t. The number
# g_t lies between 0 and 1; its formula comes below. So
#
# $$\|P_t-\hat P_t\| \le g_t\,D + (1-g_t)\,\frac{\|x_t-\hat x_t\|}{\sqrt{\bar\alpha_t}}
# \le g_t\,D+(1-g_t)\,D = D .$$
#
# This bound holds for any η and any number of steps, without a Lipschitz constant. So we ask of eq. 8: *where is B_t below
# √ᾱ_t D?*
#
# ### K_t and S_t of the exact model, proved
#
# K_t is the largest stretch by μ, so we need the derivative of P_t = E[x_0|x_t]. For every distribution it is
# ∂E[x_0|x_t]/∂x_t = √ᾱ_t/(1-ᾱ_t) · Cov[x_0|x_t]. This covariance has two parts: v_t, the variance of x_0 if its component
# were known, and g_t² times the covariance of the unknown centre. Let D_c be the largest distance between two centres of
# *one* condition. A distribution on a set of diameter D_c has at most the variance D_c²/4 along any line. S_t is simpler:
# at the same x_t the part (1-g_t) x_t/√ᾱ_t is the same in both P_t, and cancels. So, for *every* pair of points,
#
# $$K_t = c_x + c_P\frac{\sqrt{\bar\alpha_t}}{1-\bar\alpha_t}\Big(v_t + g_t^2\,\frac{D_c^2}{4}\Big),\qquad S_t = c_P\, g_t\, D,
# \qquad g_t=\frac{1-\bar\alpha_t}{\bar\alpha_t s^2+1-\bar\alpha_t},\quad v_t = s^2 g_t .$$
#
# **Predict.** K_t is below 1 at one end and above 1 at the other. At which end is it large, and how large?

# %%
label, other = p.digit_pair
K = bounds.proved_K(digits, g, label)
fig, ax = plots.figure(width=8, height=3.6)
ax.plot(g.schedule.t, K, "o-", color=plots.P, label=f"proved K_t of '{label}'")
ax.axhline(1, color=plots.SOURCE, ls=":", label="1: keeps distances")
ax.set(yscale="log", xlabel="t", ylabel="K_t", xlim=(g.schedule.t[0], -1)), ax.legend()
lesson.record("largest proved K_t", K.max(), show=False)
lesson.record("smallest proved K_t", K.min(), show=False)
at = g.schedule.t[K.argmax()]
lesson.conclude(f"K_t lies between {K.min():.2f} and {K.max():.0f}; it is largest at t = {at}.")
fig


# %% [markdown]
# K_t is large in the late steps, near the image. There P_t jumps from one digit to another when x_t moves a little, and the
# narrower the components, the steeper the jump. Early steps with fresh noise bring points together: K_t < 1. In the last
# step there is less noise in x_t than the width s. Then g_t is near 0, P_t just follows x_t, and K_t falls again.

# %% [markdown]
# ### Exercise 3 · capstone: the bound of a pair of your own <small>(hard · 12 minutes)</small>
#
# Put it together: K_t and S_t by the two formulas above, and the recurrence. c_x, c_P and ᾱ_t (`a`) of all n steps are given
# as tensors, (n,). `variance` is s². `D_c` is the largest distance between two centres of the first condition, and `D` the
# largest distance from one of them to a centre of the second. The next figure is drawn by your function.

# %% tags=["exercise"]
def my_proved_bound(c_x, c_P, a, variance, D_c, D):
    """B_T to B_0, n+1 numbers, from c_x, c_P and ᾱ_t of n steps, (n,) each, and three numbers."""
    return None


# %%
def library_bound(c_x, c_P, a, variance, D_c, D):
    g_t = (1 - a) / (a * variance + 1 - a)
    K = c_x + c_P * a.sqrt() / (1 - a) * (variance * g_t + g_t**2 * D_c**2 / 4)
    return bounds.propagate(K, c_P * g_t * D)[0]


s = Sampler(digits, steps=5, eta=0.5)
factors = (*mean_coefficients(s.schedule.a, s.schedule.a_to, s.sigma), s.schedule.a)
cases = [(*factors, 0.25, 2.0, 3.0), (*factors, 0.01, 5.0, 1.0)]
hints = [
    "g_t first, then v_t = s² g_t, then K_t and S_t, then your my_bound",
    "K = c_x + c_P √ᾱ/(1-ᾱ) (s² g + g² D_c²/4) and S = c_P g D; B = [0], then k * B[-1] + s for each",
]
right = lesson.exercise(my_proved_bound, library_bound, cases, hints)
proved_bound = my_proved_bound if right else library_bound

# %% [markdown]
# <details><summary>Hint 1</summary>c_x, c_P and a are tensors, so one line gives g_t of all steps, one line K_t, and one
# S_t.</details>
# <details><summary>Hint 2</summary>Then pass K_t and S_t to your function of Exercise 1.</details>
# <details><summary>Solution</summary>
#
# ```python
# def my_proved_bound(c_x, c_P, a, variance, D_c, D):
#     """B_T to B_0, n+1 numbers, from c_x, c_P and ᾱ_t of n steps, (n,) each, and three numbers."""
#     g = (1 - a) / (a * variance + 1 - a)
#     K = c_x + c_P * a**0.5 / (1 - a) * (variance * g + g**2 * D_c**2 / 4)
#     B = [0.0]
#     for k, s in zip(K.tolist(), (c_P * g * D).tolist()):
#         B.append(k * B[-1] + s)
#     return torch.tensor(B)
# ```
# </details>
#
# Now the two digits. A second question comes with them: what if every training image were a wider blob, with the same
# centre, but with s multiplied by 2, 4, …?
#
# **Predict.** Will a larger s make the bound tighter or looser?

# %%
s, s2 = g.schedule, digits.spread[0, 0].item()
factors = (*mean_coefficients(s.a, s.a_to, g.sigma), s.a)
of = [digits.means[digits.component_labels == k] for k in (label, other)]
D_c, D = bounds.diameter(of[0]), bounds.diameter(*of)
times_wider = [1, 2, 4, 8, 16, 32]
shares = {}
for k in times_wider:
    B = torch.as_tensor(proved_bound(*factors, k**2 * s2, D_c, D)).double()
    shares[k] = (B / bounds.reach(g, D))[1:]

# %%
fig, ax = plots.figure(width=8)
for n, (k, values) in enumerate(shares.items()):
    ax.plot(s.t, values, color=plots.ETAS(n / 5), label=f"{k} s")
ax.axhline(1, color=plots.SOURCE, ls=":", label="√ᾱ_t D"), ax.legend(fontsize=11)
ax.set(yscale="log", ylim=(0.3, 300), xlim=(s.t[0], -1), xlabel="t", ylabel="proved bound / √ᾱ_t D")
ax.set_title(f"'{label}' and '{other}': vacuous above 1")
fig

# %%
ends = ", ".join(f"{values[-1]:.2g}" for values in shares.values())
lesson.conclude(
    f"at the image the bound over √ᾱ D is, from {times_wider[0]} s to {times_wider[-1]} s: {ends}. "
    f"The lowest point of all curves is {min(v.min().item() for v in shares.values()):.2f}."
)

# %% [markdown]
# The wider the components, the tighter the bound: with narrow peaks far apart P_t jumps, and K_t is large. But after the first
# steps width brings the curve only down towards √ᾱ_t D, and not below it. The reason is S_t = c_P g_t D. It allows for any two
# images of the two conditions, as √ᾱ_t D does. For the bound to say more, the conditions must be close.

# %% [markdown]
# ## How loose? Close conditions, wide components
#
# Back to the rings, where ĉ is c moved by d. There the two P_t at one point differ at most by a constant times d, if d is
# small. So S_t is at most proportional to d (`bounds.proved_S_moved`): *the smaller the difference of the conditions, the
# smaller S_t*, as the paper says of two prompts.
#
# **Predict.** As d → 0: which of the bounds goes to 0 with the measured distance?

# %%
vanishes = lesson.predict("Which bound goes to 0 with d?", "eq. 8", "√ᾱ D", "both", "neither")
vanishes

# %%
shifts, widths = torch.logspace(-2, 0.5, 8).tolist(), [0.2, 0.4, 1.0]
sweep = {
    w: torch.tensor([final(d, w, p.steps, p.eta) for d in shifts], dtype=torch.float64)
    for w in widths
}
fig, axes = plots.figure(1, 3, width=13, height=4.3, sharey=True)
for ax, (w, ends) in zip(axes, sweep.items(), strict=True):
    for column, name in ((0, "measured"), (1, "tight"), (3, "reach")):
        label_, line = plots.BOUNDS[name]
        ax.plot(shifts, ends[:, column], label=label_, **line)
    ax.set(xscale="log", yscale="log", xlabel="d", title=f"components' width {w:g}")
axes[0].set_ylabel("distance at the image")
axes[2].legend(loc="upper left", fontsize=11)
fig

# %%
for w, ends in sweep.items():
    looser = ends[0, 1] / ends[0, 0]
    lesson.record(
        f"width {w:g}: proved bound / measured at d = {shifts[0]:.2g}", looser, show=False
    )
    wins = max((d for d, e in zip(shifts, ends, strict=True) if e[1] < e[3]), default=0.0)
    lesson.record(f"width {w:g}: eq. 8 says something up to d", wins, show=False)
    lesson.conclude(
        f"with width {w:g}, eq. 8 is below √ᾱ D up to d = {wins:.2g} (of the d tried), and is {looser:.2g} "
        "times the measured distance."
    )

# %%
goes = {name: ends[0, k] < ends[-1, k] / 10 for name, k in (("eq. 8", 1), ("√ᾱ D", 3))}
going = [name for name, down in goes.items() if down]
lesson.compare(vanishes, "both" if len(going) == 2 else [*going, "neither"][0]);


# %% [markdown]
# Eq. 8 goes to 0 with d: its line is parallel to the measured one, while √ᾱ D tends to the diameter of the ring. So eq. 8 is
# the better bound for close conditions, and useful **at the image itself**. The wider the components, the larger d may be.
# The gap between the parallel lines does not depend on d. What does it depend on?
#
# Take η = 0 and many small steps, and multiply their K_t. In the limit the terms with D_c²/4 contribute the factor
# exp(D_c²/8s²) to this product. We draw the factor beside the gap.
#
# **Predict.** Is the bound looser for more steps? For a larger η?

# %%
def ratio(width, steps, eta):
    """Proved bound over measured distance, at the image, for conditions 0.1 apart."""
    measured, proved, *_ = final(0.1, width, steps, eta)
    return proved / measured


# %%
D_c = bounds.diameter(rings(0, 1).means)
by_width = torch.logspace(-0.8, 0.3, 10).tolist()
by_eta = {e: [ratio(0.4, n, e) for n in counts] for e in (0.0, 0.5, 1.0)}
exponent = [D_c**2 / 8 / w**2 for w in by_width]

# %%
fig, axes = plots.figure(1, 2, width=12, height=4.5)
for e, values in by_eta.items():
    axes[0].plot(counts, values, "o-", color=plots.ETAS(e), label=f"η = {e:g}")
axes[0].set(
    xscale="log", yscale="log", xlabel="steps", ylabel="proved bound / measured", title="width 0.4"
)
axes[0].set(yticks=[2, 5, 10, 20, 50], yticklabels=[2, 5, 10, 20, 50]), axes[0].minorticks_off()
for n, style in ((20, "o:"), (200, "o-")):
    axes[1].plot(
        exponent,
        [ratio(w, n, 0.0) for w in by_width],
        style,
        color=plots.ETAS(0.0),
        label=f"η = 0, {n} steps",
    )
axes[1].plot(
    exponent, torch.tensor(exponent).exp(), color=plots.SOURCE, ls="--", label="exp(D_c²/8s²)"
)
axes[1].set(xscale="log", yscale="log", xlabel="D_c²/8s² of the ring", ylim=(0.7, 1e9))
axes[1].set_title(f"widths from {by_width[-1]:.2g} (left) to {by_width[0]:.2g} (right)")
axes[0].legend(), axes[1].legend()
fig

# %%
for e, values in by_eta.items():
    called = f"proved bound / measured, width 0.4, {counts[-1]} steps, η = {e:g}"
    lesson.record(called, values[-1], show=False)
of_digits = lesson.record(
    "D²/8s² of the digits' condition", bounds.diameter(of[0]) ** 2 / 8 / s2, show=False
)
said = ", ".join(f"{values[-1]:.1f} at η = {e:g}" for e, values in by_eta.items())
lesson.conclude(
    f"with {counts[-1]} steps and width 0.4 the bound over the measured distance is {said}. D_c²/8s² is "
    f"{D_c**2 / 8 / 0.4**2:.1f} there, and {of_digits:.0f} for the digits' condition."
)


# %% [markdown]
# The bound is looser for more steps (at η = 0 it levels off), and for a larger η. On the right, the curves at η = 0 rise
# with the dashed one and stay below it, because the push S_t of a late step meets only the K_t that come after it. So the
# exponent gives a rule of thumb: **eq. 8 is informative where a condition is about as wide as its components** (D_c² ≲ 8s²),
# so that it looks like one blob. It is useless for conditions made of many separate narrow images, such as our digits.

# %% [markdown]
# ## Move the conditions apart
#
# Left: the paths of three codes under both conditions, on the density of both. A ring marks x_T, from which both paths of a
# code start. Right: the largest measured distance, and the three bounds. At first the blue curve ends below the dotted one.
# Make the width smaller. Where does eq. 8 become vacuous? Then make d smaller, too: does that save it?

# %%
def show(d, width, steps, eta):
    m, g, a, b = decoded(d, width, steps, eta)
    curves = carried(m, g, a, b)
    fig, axes = plots.figure(1, 2, width=12, height=4.8, width_ratios=[1, 1.4])
    plots.density(axes[0], lambda x: m.log_density(x, -1), extent=3)
    plots.paths(axes[0], a[:, :3], "black"), plots.paths(axes[0], b[:, :3], plots.EDITED)
    plots.over_t(axes[1], g.schedule.t, **curves)
    axes[0].set_title("black: c, green: ĉ"), axes[1].legend(fontsize=11)
    last = curves["tight"][-1] / curves["reach"][-1]
    axes[1].set_title(f"proved / √ᾱ D at the image: {last:.3g}")
    return fig


explore(
    show, d=slider(0.05, 2.0, 0.5, 0.05, "d"), width=slider(0.15, 1.5, 0.6, 0.05, "width"),
    steps=slider(2, 100, 20, 1), eta=slider(0.0, 1.0, 0.0, 0.1, "η"),
)  # fmt: skip

# %% [markdown]
# ## What this does not say
#
# - **Proved:** the recurrence K_t B_t + S_t; K_t and S_t of a mixture with one isotropic variance; √ᾱ_t D. They hold for
#   every z. For the digits K_t B_t + S_t is vacuous at the image. For close conditions with D_c² ≲ 8s² it is not.
# - A bound says how far apart two images *can* be, for the worst pair. How far apart they *are* is measured, and is less.
# - A small ‖x - x̂‖ is not yet a good edit: it is 0 if the condition is ignored. Lesson 03 gave the code of a *real* image.
#   Decoding that code under another condition is CycleDiffusion (lesson 08).
# - Real models are networks, and have no D_c and no s. Lesson 04b measures and estimates.
