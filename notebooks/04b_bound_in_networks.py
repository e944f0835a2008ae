# %% [markdown]
# # 04b · One code, two conditions: measured and estimated
#
# **Afterwards you can say** how near to each other two faces of one code are, and which sampler keeps them nearer. You can
# tell a bound that is *proved* from one that is *exact but local*, and both from a curve that is only *estimated*. You know
# why the K_t of a network is estimated from below, and what half a condition does.
#
# 45 minutes. Equations: Wu & De la Torre (ICCV 2023), §3.4 and eq. 8. Lesson 04 comes before this one: it derives B_t,
# K_t and S_t.

# %% tags=["parameters"] nbmake={"mock": {"n_images": 3, "steps": 6}}
checkpoint = "faces"  # an embedded model, a folder, or a hub id
device = "cpu"
seed = 0  # of the codes
steps = 16  # of the sampler
n_images = 16  # codes, each decoded under both conditions
prompt = ""  # the two texts of a model that reads texts, such as "a portrait of a man"; or,
other_prompt = ""  # in place of `conditions`, the numbers of two labels
conditions = [1, 2]  # two labels of the checkpoint; of "faces": without and with glasses
digit_pair = [3, 8]  # two digits, from 0 to 9: the conditions of the exact model
eta = 1.0  # of the sampler of digits, and where K_t is estimated by rounds

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
from IPython.display import Markdown

from lessons_lib import Sampler, load, plots
from lessons_lib.judges.tables import interval, numbers
from lessons_lib.methods import bounds
from lessons_lib.widgets import choice, explore

model, digits = load(p.checkpoint, p.device), load("digits")

# %% [markdown]
# ## The two conditions of a network
#
# The paper's conditions are two prompts. A small network can have a *label* instead: `faces` was trained with one for
# glasses. Label 1 says without, 2 says with, and 0 leaves it open (as for half of the training images). We take one network
# with two labels, and not two networks fine-tuned on two subsets. Two networks would also differ by what each has learnt by
# chance, and S_t would count this as if it were the condition.

# %%
name, asked = p.checkpoint, (p.conditions, (p.prompt, p.other_prompt))
(c, c_hat), said = bounds.two_conditions(model, *asked), bounds.names_of(model, *asked)

# %% [markdown]
# **Predict.** A *pair* is two pictures of one code, under label 1 and under label 2. Which sampler keeps a pair closer
# together, DDIM (η = 0, the code is x_T alone) or DDPM (η = 1, the code is x_T and all noise)?

# %%
keeps = lesson.predict(
    "Which sampler keeps a pair nearer, compared with unrelated images?",
    "η = 0",
    "η = 1",
    "undecided",
)
keeps

# %% tags=["gallery"] sentence="One code under two labels of a network: a pair of faces is {distance of a pair over that of unrelated images, \u03b7 = 0|.0%} as far apart as two unrelated ones at \u03b7 = 0, and {distance of a pair over that of unrelated images, \u03b7 = 1|.0%} at \u03b7 = 1."
samplers = {e: Sampler(model, steps=p.steps, eta=e) for e in (0.0, 1.0)}
images = {}
for e, g in samplers.items():
    z = g.draw(p.n_images, seed=p.seed)
    images[e] = [g.decode(z, cond=label) for label in (c, c_hat)]
rows = [model.pictures(v[:5]) for pair in images.values() for v in pair]
names = [f"η = {e:g}, {k}" for e in images for k in said]
plots.strips(rows, names, [f"z {i}" for i in range(len(rows[0]))])

# %%
shares = {}
for e, pair in images.items():
    same, another = (d.cpu() for d in bounds.apart(*pair))
    shares[e] = same / another.mean()  # (B,)
    lesson.record(f"distance of a pair, η = {e:g}, mean", same.mean(), show=False)
    called = f"distance of a pair over that of unrelated images, η = {e:g}"
    mean, low, high = interval(shares[e])
    lesson.record(called, mean, f"[{low:.2f}, {high:.2f}]")

# %%
gap, low, high = interval(shares[0.0] - shares[1.0])
lesson.record("share at η = 0 less that at η = 1", gap, f"[{low:.2f}, {high:.2f}]", show=False)
verdict = "η = 1" if low > 0 else "η = 0" if high < 0 else "undecided"
lesson.compare(keeps, verdict)
lesson.conclude(
    f"the share at η = 0 minus that at η = 1 is {gap:+.2f} [{low:.2f}, {high:.2f}] of {p.n_images} codes, so "
    f"{verdict + ' keeps a pair nearer' if verdict != 'undecided' else 'it is undecided'}."
)

# %% [markdown]
# In each column compare rows one and two, then rows three and four. Layout, colours and background mostly stay, and what
# the label is about changes. The printed share is the distance of a pair over that of two unrelated images of the same η.
# Eq. 8 does not predict which η wins. At η = 1 fresh noise makes K_t smaller. But P_t, which the condition changes, gets more
# weight there, and that makes S_t larger.
#
# ## Digits: B_t, four ways
#
# Of the exact model everything is known. So there we can see how much is lost with each kind of K_t, before we turn to a
# network. First the K_t of one pair of digits: proved for all pairs of points (lesson 04), and exact on the segment from x_t
# to x̂_t (the largest of 9 points of it).

# %%
label, other = p.digit_pair
g = Sampler(digits, steps=p.steps, eta=p.eta)
one, one_hat, S = bounds.two_paths(
    g, g.draw(1, seed=p.seed), *bounds.two_conditions(digits, p.digit_pair)
)
t, distance = g.schedule.t, bounds.distances(one, one_hat)[:, 0]
K, S_proved = bounds.proved_K(digits, g, label), bounds.proved_S(digits, g, label, other)
of_label = bounds.two_conditions(digits, p.digit_pair)[0]
K_local = bounds.local_on_segments(digits, g, one, one_hat, of_label, points=9)[:, 0]

# %%
fig, ax = plots.figure(width=8)
ax.plot(t, K, "o-", color=plots.P, label="proved, for all pairs of points")
ax.plot(t, K_local, "o-", color=plots.EDITED, label="exact, on the segment from x_t to x̂_t")
ax.axhline(1, color=plots.SOURCE, ls=":", label="1: keeps distances")
ax.set(yscale="log", xlabel="t", ylabel="K_t", xlim=(t[0], -1))
ax.legend()
lesson.record("largest K_t on the segment", K_local.max(), show=False)
most = K_local.argmax()
lesson.conclude(
    f"on the segment K_t is at most {K_local[most]:.1f}, at t = {t[most]}; the proved K_t is {K[most]:.0f}."
)
fig

# %% [markdown]
# Both are large at the same times. But the two paths do not run where P_t is steepest, so K_t on the segment is smaller. Now
# four curves for this pair: eq. 8 with the proved K_t; the same with the printed K_t + 1; eq. 8 with K_t on the segment and
# S_t of this pair; and √ᾱ_t D, which needs no K_t. The right panel divides all of them by √ᾱ_t D.
#
# **Predict.** At which t will the proved bound cross the dotted line √ᾱ_t D?

# %%
of = [digits.means[digits.component_labels == k] for k in p.digit_pair]
reach = bounds.reach(g, bounds.diameter(*of))
tight, printed = bounds.propagate(K, S_proved)
local, _ = bounds.propagate(K_local, S[:, 0])
curves = {"measured": distance, "tight": tight, "printed": printed, "local": local, "reach": reach}
fig, axes = plots.figure(1, 2, width=13, height=5)
plots.over_t(axes[0], t, **curves)
plots.over_t(axes[1], t, **{name_: B / reach for name_, B in curves.items()})
axes[1].set(ylim=(0.1, 100), ylabel="", title="the same, over √ᾱ D: vacuous above 1")
axes[0].set_title(f"'{label}' and '{other}'"), axes[0].legend()
fig


# %% [markdown]
# ### Exercise 1 · where does a bound become vacuous? <small>(easy · 4 minutes)</small>
#
# A bound B_t is vacuous where it is above √ᾱ_t D, which is called `reach` here. B and reach start with the value at x_T, which
# belongs to the first t, and end with the image's. The table after it uses the library's version of this function.

# %% tags=["exercise"]
def vacuous_from(B, reach, t):
    """The first of n times t at which B is above reach, n+1 each; -1 if only at the image, or never."""
    return None


# %%
cases = [
    (torch.tensor([0.0, 1.0, 3.0, 4.0]), torch.tensor([0.1, 1.5, 2.0, 5.0]), torch.tensor([900, 500, 100])),
    (torch.tensor([0.0, 1.0, 1.0, 9.0]), torch.tensor([0.1, 1.5, 2.0, 5.0]), torch.tensor([900, 500, 100])),
    (torch.tensor([0.0, 2.0, 3.0, 9.0]), torch.tensor([0.1, 1.5, 2.0, 5.0]), torch.tensor([900, 500, 100])),
]  # fmt: skip
hints = [
    "B has one number more than t: the last is the image's, which has no t",
    "go through t, B and reach together, and return t at the first B above reach; after the loop, -1",
]
lesson.exercise(vacuous_from, bounds.vacuous_from, cases, hints);

# %% [markdown]
# <details><summary>Hint 1</summary>B[i] is the bound at t[i], for i below len(t).</details>
# <details><summary>Hint 2</summary><code>zip(t, B, reach)</code> stops at the shortest, which is t.</details>
# <details><summary>Solution</summary>
#
# ```python
# def vacuous_from(B, reach, t):
#     """The first of n times t at which B is above reach, n+1 each; -1 if only at the image, or never."""
#     for at, b, r in zip(t, B, reach):
#         if b > r:
#             return at
#     return -1
# ```
# </details>

# %%
ends = {}
for called, B in {"printed": printed, "proved": tight, "local": local, "√ᾱ D": reach}.items():
    log = (B[-1] / distance[-1]).log10().clamp_max(300)  # 300: beyond what a float64 can hold
    start = bounds.vacuous_from(B, reach, t)
    lesson.record(f"digits, {called}: log10 of bound / measured at the image", log, show=False)
    lesson.record(f"digits, {called}: vacuous from t", start, show=False)
    ends[called] = {"vacuous from t": start, "log10 of bound / measured at the image": log.item()}
Markdown(numbers(ends))

# %%
share = (tight / reach)[1:]
said = ", ".join(f"{v:.2f}" for v in share[share < 1][:5]) or "none"
lesson.conclude(
    f"the proved bound is below √ᾱ_t D at {(share < 1).sum()} of {p.steps} steps; the shares there: {said}. "
    f"At the image √ᾱ D is {reach[-1] / distance[-1]:.1f} times the measured distance."
)


# %% [markdown]
# (In the table -1 means: at the image only, or never.) At high noise the proved curve lies below √ᾱ_t D, but for a few steps
# only. With the +1 there are fewer still. At the image the proved bound is vacuous, while √ᾱ D, which uses no Lipschitz
# constant, stays within a small factor. As in lesson 04, the proved curve could not win here: its S_t = c_P g_t D already
# allows for any two images of the two conditions.
#
# The curve with the local K_t (green) stays on the measured one much longer. But it predicts nothing: one needs both paths to
# know the segment. And it too ends far too high, because it assumes at each step that the difference points in the direction
# which that step stretches most.

# %% [markdown]
# ## A network: measure, estimate, and do not say 'proved'
#
# A network has no D_c and no s. S_t can be measured on the two paths. K_t can be estimated. At an image x the local constant
# is ‖J‖, the largest singular value of J, the Jacobian of μ. For a 64-pixel colour image J has 12,288² = 151 million entries,
# so nobody writes it down. *Power iteration* finds ‖J‖ by products with vectors alone. There are two reasons why this proves
# nothing. Power iteration comes from below, and a few points are not all points.
#
# ### Exercise 2 · the largest singular value <small>(medium · 8 minutes)</small>
#
# Power iteration multiplies a vector by a matrix again and again, and makes it a unit vector each time. So it turns to the
# direction that the matrix stretches most. But J itself may also turn the vector. Which matrix do you use instead, so that
# the vector settles? And which number do you return at the end?

# %% tags=["exercise"]
def largest_stretch(J, v, rounds):
    """‖J‖₂ of a matrix by `rounds` of power iteration from the vector v."""
    return None


# %%
cases = [
    (torch.tensor(J, dtype=torch.float64), torch.tensor([1.0, 0.3], dtype=torch.float64), 50)
    for J in ([[2.0, 0.0], [0.0, 1.0]], [[1.0, 4.0], [0.0, 1.0]], [[0.0, -3.0], [1.0, 0.0]])
]
lesson.exercise(
    largest_stretch,
    lambda J, v, rounds: torch.linalg.matrix_norm(J, 2),
    cases,
    ["iterate with JᵀJ, not with J", "v = Jᵀ(J v), then v / ‖v‖; at the end ‖J v‖, one number"],
);


# %% [markdown]
# <details><summary>Hint 1</summary>The third matrix turns: J alone never settles, JᵀJ does.</details>
# <details><summary>Hint 2</summary>In each round: make v a unit vector, then v = Jᵀ(J v). The answer is ‖J v‖ for the last unit v.</details>
# <details><summary>Solution</summary>
#
# ```python
# def largest_stretch(J, v, rounds):
#     """‖J‖₂ of a matrix by `rounds` of power iteration from the vector v."""
#     for _ in range(rounds):
#         v = J.T @ (J @ v)
#         v = v / v.norm()
#     return (J @ v).norm()
# ```
# </details>

# %% [markdown]
# ### Exercise 3 · capstone: K_t without the matrix <small>(hard · 10 minutes)</small>
#
# A network gives no matrix. It gives two functions: `push(v)` = J v is the change of μ for a small change of x along v, and
# `pull(u)` = Jᵀ u is the gradient of u · μ. Images have any shape; the length of one is `v.norm()`. Each round is v → Jᵀ J v,
# made a unit vector. The next figure uses your function, on a network.

# %% tags=["exercise"]
def my_estimated_K(push, pull, v, rounds):
    """‖J‖₂ by `rounds` of power iteration from v, an image of any shape; a number."""
    return None


# %%
def library_K(push, pull, v, rounds):
    v = v / v.norm()
    for _ in range(rounds):
        v = pull(push(v))
        v = v / v.norm()
    return push(v).norm()


J = torch.tensor([[2.0, 1, 0, 0], [0, 1, 3, 0], [0, 0, 1, -1], [1, 0, 0, 0.5]], dtype=torch.float64)
toy = (lambda v: (J @ v.flatten()).view(2, 2), lambda u: (J.T @ u.flatten()).view(2, 2))
cases = [(*toy, torch.tensor([[1.0, 0.2], [0.5, 3.0]], dtype=torch.float64), n) for n in (1, 3)]
hints = [
    "make v a unit vector first; one round is v = pull(push(v)), divided by its length",
    "at the end the answer is push(v).norm(), for the last unit vector v",
]
right = lesson.exercise(my_estimated_K, library_K, cases, hints)
estimate_K = my_estimated_K if right else library_K

# %% [markdown]
# <details><summary>Hint 1</summary><code>v.norm()</code> of a (3, 64, 64) image is one number: no need to flatten.</details>
# <details><summary>Hint 2</summary>The length of push(v) is how much J stretches the unit vector v.</details>
# <details><summary>Solution</summary>
#
# ```python
# def my_estimated_K(push, pull, v, rounds):
#     """‖J‖₂ by `rounds` of power iteration from v, an image of any shape; a number."""
#     v = v / v.norm()
#     for _ in range(rounds):
#         v = pull(push(v))
#         v = v / v.norm()
#     return push(v).norm()
# ```
# </details>
#
# ### How good is an estimate of K_t?
#
# For the digits we can compare with the closed form. For the network we can only watch the estimate rise with the rounds.
# Each panel shows one image, in the middle of its path.

# %%
rounds, middle = [1, 2, 4, 8, 16], p.steps // 2
g_network = Sampler(model, p.steps, p.eta)
at = next(
    s.x for s in g_network.trajectory(g_network.draw(1, seed=p.seed), cond=c) if s.i == middle
)


def estimates(sampler, x, cond=None):
    """The estimate of K at the middle step after each number of rounds."""
    push, pull = bounds.products(sampler, x, middle, cond)
    v = torch.randn(x.shape, generator=torch.Generator().manual_seed(p.seed)).to(x.device)
    return [float(estimate_K(push, pull, v, n)) for n in rounds]


found, found_digits = estimates(g_network, at, c), estimates(g, one[middle])
exact = bounds.local_K(digits, g, one[middle], middle).item()

# %%
fig, axes = plots.figure(1, 2, width=11)
axes[0].plot(rounds, found_digits, "o-", color=plots.EDITED, label="estimated")
axes[0].axhline(exact, color=plots.P, label="closed form")
axes[1].plot(rounds, found, "o-", color=plots.EDITED, label="estimated")
for ax, title in zip(axes, ("digits, for comparison", name), strict=True):
    ax.set(
        xscale="log",
        xticks=rounds,
        xticklabels=rounds,
        xlabel="rounds of power iteration",
        title=title,
    )
    ax.minorticks_off(), ax.legend()
axes[0].set_ylabel(f"K at t = {g.schedule.t[middle]}")
fig

# %%
near = lesson.record(
    "digits: estimated K (last) / closed form", found_digits[-1] / exact, show=False
)
early = lesson.record("network: estimated K, 4 rounds / 16 rounds", found[2] / found[4], show=False)
lesson.conclude(
    f"for the digits the last estimate is {near:.3f} of the closed form; for the network four rounds give "
    f"{early:.2f} of what sixteen give."
)

# %% [markdown]
# The estimate never exceeds the local constant: it comes to it from below. If we stop early, K_t is too small. Then the curve
# made of it is lower and looks like a better bound, although it is less safe.

# %% [markdown]
# ## The estimated curve against the measured distance
#
# Now B_t of one pair of faces. S_t is measured on the pair. K_t is estimated at three points of the segment from x_t to x̂_t,
# by four rounds that start from the last step's direction. The recurrence is the same. The dotted line takes D = 2√d, the
# diameter of the cube [-1, 1]^d that holds all images.
#
# **Predict.** Will the green curve stay above the black one?

# %%
holds = lesson.predict(
    "Is the estimated curve above the measured distance at all steps?",
    "for both η",
    "for one of them",
    "for neither",
)
holds

# %%
curves = {}
for e, g in samplers.items():
    a, b, S = bounds.two_paths(g, g.draw(1, seed=p.seed), c, c_hat)
    K = bounds.estimated_on_segments(g, a, b, c, points=3, rounds=4)[:, 0].double().cpu()
    estimate, _ = bounds.propagate(K, S[:, 0].double().cpu())
    curves[e] = K, estimate, bounds.distances(a, b)[:, 0].cpu()
D = 2 * math.prod(model.shape) ** 0.5 if model.codec is None else math.inf  # latents have no cube
reach = bounds.reach(g, D)

# %%
fig, axes = plots.figure(1, 2, width=12, height=4.5, sharey=True)
for ax, (e, (_, estimate, distance)) in zip(axes, curves.items(), strict=True):
    plots.over_t(ax, g.schedule.t, measured=distance, estimated=estimate, reach=reach)
    ax.set_title(f"{name}, η = {e:g}")
axes[1].set_ylabel(""), axes[0].legend(loc="lower right")
fig

# %%
found = {}
for e, (K, estimate, distance) in curves.items():
    looser, below = estimate[-1] / distance[-1], (estimate < distance * (1 - 1e-6))[1:].sum()
    row = {"largest estimated K_t": K.max(), "estimated curve / measured at the image": looser}
    if model.codec is None:
        row["estimated curve / √ᾱ D at the image"] = estimate[-1] / reach[-1]
    row["steps at which the curve is below the distance"] = below
    for called, value in row.items():
        lesson.record(f"{called}, η = {e:g}", value, show=False)
    found[f"η = {e:g}"] = {called: float(value) for called, value in row.items()}
Markdown(numbers(found))

# %%
below = [int(list(row.values())[-1]) for row in found.values()]
lesson.compare(holds, holds.choices[sum(k > 0 for k in below)])
deepest = max(
    (1 - estimate[1:] / distance[1:]).max().item() for _, estimate, distance in curves.values()
)
void = [e for e, (_, estimate, _) in curves.items() if estimate[-1] > reach[-1]]
lesson.conclude(
    f"the estimated curve lies below the measured distance at {below[0]} of {p.steps} steps with η = 0, at "
    f"{below[1]} with η = 1, and by at most {max(deepest, 0):.1%}. At the image it is above √ᾱ D for "
    f"{len(void)} of the two η."
)

# %% [markdown]
# A 'bound' that the distance exceeds at even one step is no bound. The K_t that went into it were too small. (Such steps lie
# near the left end. The two curves are so close together there that the figure does not show it.) If there is no such
# step, the curve has held for this z, and nothing follows for another. A curve that ends above √ᾱ D says less than the
# size of the cube does.
#
# Compare this network's largest K_t with the digits' above. A network has learnt a smooth function of x, and not one narrow
# peak for each image, so it has no jumps as steep as theirs. Still the curve ends far above the measured distance, because many
# K_t somewhat above 1 are multiplied.

# %% [markdown]
# ## Half a condition
#
# A label enters the network as a vector e. Between the vectors of two labels there are others. So decode the same z with
# (1-w)·e(c) + w·e(ĉ), for some w from 0 to 1.
#
# **Predict.** Does the image change evenly with w, or does it switch at some w?

# %%
weights, between = [0.0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1.0], []
e_c, e_c_hat = (bounds.embedded(model, cond) for cond in (c, c_hat))
if e_c is not None:
    g, (start, end) = samplers[1.0], images[1.0]
    z = g.draw(p.n_images, seed=p.seed)[:5]
    inner = [g.decode(z, cond=torch.lerp(e_c, e_c_hat, w)) for w in weights[1:-1]]
    between = [start[:5], *inner, end[:5]]
    moved = torch.stack([(x - between[0]).flatten(1).norm(dim=1) for x in between]).cpu()
    pieces = [x - y for x, y in zip(between[1:], between[:-1], strict=True)]  # of one sixth of w
    pieces = torch.stack([v.flatten(1).norm(dim=1) for v in pieces]).cpu()  # (6, B)
else:
    print("An exact model has no embedding to interpolate: this figure is for networks.")

# %%
fig = None
if between:
    fig, ax = plots.figure(width=8)
    ax.plot(
        weights, moved, color=plots.SOURCE, lw=1, label=["each z"] + [None] * (moved.shape[1] - 1)
    )
    ax.plot(weights, moved.mean(1), "o-", color=plots.EDITED, label="mean")
    ax.set(xlabel="w: from the first condition to the second", ylabel="distance from w = 0")
    ax.set(xticks=weights, xticklabels=["0", "1/6", "2/6", "3/6", "4/6", "5/6", "1"]), ax.legend()
    half = lesson.record(
        "share of the way at w = 1/2, mean", (moved[3] / moved[-1]).mean(), show=False
    )
    leap = (pieces.amax(0) / pieces.sum(0)).mean()
    lesson.conclude(
        f"on average the largest of the six steps of w makes {leap:.0%} of a code's change (if it were even, "
        f"{1 / 6:.0%}). At w = 1/2 the images are at {half:.2f} of the last distance."
    )
fig


# %% [markdown]
# Look at the thin lines. Most of a code's change comes within one or two steps of w. So it is nearer to a switch than to an
# even change. Different codes switch at different w, so the mean hides it. Near w = 0 the two conditions are close and S_t
# is small. There eq. 8 says that the images differ little, though its numbers are too large. It does not say where the switch
# comes.
#
# **Try it.** Choose a code, and how much of the second label.

# %%
def show(code, w):
    at = weights.index(w)
    fig, axes = plots.figure(1, 3, width=10, height=3.6)
    for ax, k, title in zip(axes, (0, at, -1), ("first", f"w = {w:.2f}", "second"), strict=True):
        plots.picture(ax, model.pictures(between[k][code : code + 1])[0].cpu(), title)
    return fig


codes = choice(list(range(len(between[0]))) if between else [0], 0)
explore(show, code=codes, w=choice(weights, weights[3])) if between else None

# %% [markdown]
# ## What this does not say
#
# - **Proved:** what lesson 04 proves, for a mixture, for every z.
# - **Exact but local:** K_t on the segment, in closed form at 9 points. It needs the two paths, so it predicts nothing.
# - **Estimated:** everything called K_t of the network. It is estimated from below, at three points, for one z. The curve made
#   of it may lie under the measured distance, and the steps at which it does are counted above.
# - The two conditions here were two labels of one network. Two networks, or two prompts that say very different things, may
#   be much farther apart. This was not measured here.
