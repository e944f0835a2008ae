# %% [markdown]
# # 07 · Is h-space linear?
#
# **Afterwards you can say** which five properties are claimed for h, how each is turned into a number, which of
# them hold *for the network in front of you* and by how much, and which directions h has by itself, with no text
# and no training. (The paper counts scaling and adding as one property. We test them apart.)
#
# 65 minutes. Claims: Asyrp (Kwon et al., ICLR 2023), §1 and §5.3: linearity, composition, homogeneity,
# robustness, consistency across t. Unsupervised directions: Haas et al. (FG 2024) and Park et al. (NeurIPS
# 2023). The edits are made in lesson 05 and timed in lesson 06.

# %% tags=["parameters"] nbmake={"mock": {"n_any": 2, "n_images": 2, "steps": 6}}
checkpoint = "faces"  # an embedded model, a folder, or a hub id such as "google/ddpm-cifar10-32"
prompt = ""  # what a model that reads texts draws, such as "a portrait of a person"
device = "cpu"
seed = 0
steps = 20
n_images = 4  # people who lack the attributes
n_any = 12  # people whom nobody chose
images = ""  # pictures of your own: a folder, a file, or a glob such as "me/*.jpg"
attributes = "smiling, old, glasses"  # two or three directions, or folders of them
components = 3  # how many directions are found without training, each way
full = 0.8  # a claim's number from which it is called confirmed,
some = 0.5  # and from which it holds partly
straight = 0.95  # the R² from which a curve is called a line; from `full` on it is one partly

# %%
from lessons_lib import lesson
from lessons_lib.studies import inputs

p = lesson.parameters(
    globals(), checkpoint=str, device=str, seed=(0, 289_999_999), steps=(4, 1000), n_images=(2, 64),
    n_any=(2, 64), prompt=str, attributes=str, components=(1, 8), full=(0.0, 1.0), some=(0.0, 1.0),
    straight=(0.0, 1.0), images=str,
)  # fmt: skip
inputs.check_networks(p)

# %%
from itertools import combinations

import torch
from IPython.display import Markdown

from lessons_lib import Code, Sampler, plots
from lessons_lib.code import shift
from lessons_lib.judges import metrics
from lessons_lib.judges.counterfactual import manifold_distance, readings
from lessons_lib.judges.evaluators import load_critic
from lessons_lib.judges.tables import markdown
from lessons_lib.methods import hspace
from lessons_lib.methods.asyrp import asymmetric
from lessons_lib.schedule import Schedule
from lessons_lib.studies.subjects import anyone, subjects
from lessons_lib.widgets import choice, explore, slider
from lessons_lib.worlds import WORLDS

# %%
model = inputs.model_for(p.checkpoint, p.device, p.steps, prompt=p.prompt)
critic = load_critic(device=p.device)
whole = Sampler(model, p.steps)
who = subjects(whole, p.checkpoint, p.attributes, p.n_images, p.seed, images=p.images)
names = list(who.edits)
print(who.said or f"{', '.join(names)}: each has a ground truth.")

# %% [markdown]
# No direction acts before its interval. The steps before it are the same for every edit. So we compute them
# once, and start everything that follows from there:

# %%
first = max(e.terms[0][1].first for e in who.edits.values())
last = min(e.terms[0][1].last for e in who.edits.values())
times = [t for t in whole.schedule.t.tolist() if t <= first]
g = Sampler(model, schedule=Schedule.of(model.alpha_bar.cpu(), times))


def at_first(z):
    """The codes of the shorter sampler g: x at its first time."""
    return Code(next(s.x for s in whole.trajectory(z) if s.t == times[0]))


z = at_first(who.z)

# %% [markdown]
# Two groups of people are edited. The *chosen* ones lack every attribute, so that an edit has something to add. But a
# line needs room on both sides of 0. So claims about lines, and about random shifts, are tested on *anyone*: held-out
# faces that nobody selected.

# %%
z_any = at_first(anyone(whole, p.n_any, p.seed)[0])
source_any = model.pictures(g.decode(z_any)).float().clamp(-1, 1)
rows = [model.pictures(g.decode(z)).float().clamp(-1, 1)[:8], source_any[:8]]
plots.strips(rows, ["chosen", "anyone"], [], "before any edit")


# %% [markdown]
# ## What is measured
#
# A picture becomes a list of numbers: the factors that the critic reads, each in units of its range. An
# attribute's **effect** is how far its own factor moves, in the direction that is wanted. (Where no factors
# are known, pictures shrunk to 8 × 8 take their place, and an attribute's own direction is its mean change at
# scale 1.)

# %%
def look(x):
    return model.pictures(x).float().clamp(-1, 1)


factors = (
    [f for f in WORLDS[model.world].factors if not (f.choices or f.when)] if model.world else []
)


# %%
def seen(x):
    """Pictures (B, 3, H, W) as numbers (B, F)."""
    if not factors:
        return torch.nn.functional.adaptive_avg_pool2d(x, 8).flatten(1).cpu()
    found = readings(x, model.world, critic)
    return torch.stack([found[f.name] / (f.high - f.low) for f in factors], 1).cpu()


def decode(edit, codes=z):
    return look(g.decode(codes, edit))


source = look(g.decode(z))
before = seen(source)


# %%
def axis_of(name):
    """The direction (F,), of length 1, in which an attribute should move the numbers."""
    if name not in who.goals:
        return torch.nn.functional.normalize(
            (seen(decode(who.edits[name])) - before).mean(0), dim=0
        )
    goal = who.goals[name]
    ways = [(goal[f.name] - who.factors[f.name]).mean() if f.name in goal else 0 for f in factors]
    return torch.tensor(ways).sign().to(before)


# %%
axis = {name: axis_of(name) for name in names}
verdicts = []


def verdict(claim, value, note="", least=(p.full, p.some), decided=True, show=True):
    """Record a number from 0 (not at all) to 1 (fully), and say what it makes of the claim."""
    word = "confirmed" if value >= least[0] else "partly" if value >= least[1] else "not"
    word = word if decided else "undecided"
    verdicts.append((claim, float(value), word, least))
    lesson.record(claim, value, f"{note}→ {word}", show)
    return word


def verdict_of_worst(claim, ratios):
    """By the least of them; there is none where all are undefined, because the edits do nothing."""
    known = [r for r in ratios if r is not None]
    verdict(claim, min(known)) if known else print(f"{claim}: undefined")


# %% [markdown]
# A claim's number is 1 if it holds fully. We call it *confirmed* from `full` on, *partly* true from `some`
# on, and *not* true below that. Lines and random shifts have limits of their own, which the text gives. These
# limits are parameters of this lesson, and you may choose others.
#
# ## Claim 1: linear in the scale
#
# > Scaling Δh by s moves the attribute by s times as much, −2 ≤ s ≤ 2.
#
# **Predict.** Where must a straight line end, in a world whose factors have a range? And for whom will the line be
# straighter?
#
# (R² says which share of a curve's variance the best line explains. It is a lenient measure, because it allows the line an
# offset. Even an edit that does nothing at negative scales gets a high R², which is printed below. So we call a curve a
# line only from an R² of `straight` on, and partly one from `full` on.)

# %%
straighter = lesson.predict(
    "Whose effect is the straighter line, on -2…2?", "the chosen ones'", "anyone's", "no difference"
)
straighter

# %%
scales = torch.tensor([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0])


def scaled(name, codes, start):
    """Pictures at all scales, (S, N, 3, H, W); scale 0 is at hand."""
    edit = who.edits[name]
    return torch.stack([start if s == 0 else decode(edit * s.item(), codes) for s in scales])


# %%
at = {name: scaled(name, z, source) for name in names}

# %% tags=["gallery"] sentence="Scaling an edit in h moves its attribute along a line: R\u00b2 on -1\u20261 is {linearity: R\u00b2 on -1\u20261, smiling|.2f} for smiling, {linearity: R\u00b2 on -1\u20261, old|.2f} for old, {linearity: R\u00b2 on -1\u20261, glasses|.2f} for glasses."
at_any = {name: scaled(name, z_any, source_any) for name in names}
rows = [at_any[name][:, i % p.n_any] for i, name in enumerate(names)]
plots.strips(rows, names, [f"{s:+g}" if s else "0" for s in scales], "anyone, by scale")


# %%
def effects_of(pictures, start, name):
    """How far each picture went along an attribute, (S, N)."""
    return torch.stack([(seen(v) - seen(start)) @ axis[name] for v in pictures])


effects = {k: effects_of(at[k], source, k) for k in names}
effects_any = {k: effects_of(at_any[k], source_any, k) for k in names}
groups_of = {"anyone": effects_any, "chosen": effects}

# %%
fig, axes = plots.figure(2, len(names), 4 * len(names), 7, sharex=True, sharey=True, squeeze=False)
for row, (group, found) in zip(axes, groups_of.items(), strict=True):
    for ax, (name, values) in zip(row, found.items(), strict=True):
        ax.plot(scales, values, color=plots.SOURCE, lw=1, alpha=0.7)
        ax.plot(scales, values.mean(1), "o-", color=plots.EDITED, label="mean")
        slope = (scales * values.mean(1)).sum() / scales.square().sum()
        line = values.mean() + slope * scales  # the scales' own mean is 0
        ax.plot(scales, line, "--", color="black", lw=1.5, label="the best line")
        ax.set(title=f"{name}, {group}", xlabel="scale")
    row[0].set_ylabel("effect (share of range)")
axes[0, 0].legend()
fig

# %%
inner = scales.abs() <= 1
idle = hspace.r_squared(scales, scales.clamp_min(0))
lesson.record("R² on -2…2 of an edit that does nothing at negative scales", idle)
wide, lines, single_ones = {}, {}, []
for name, values in effects_any.items():
    cells = []
    for what, part in (("-1…1", inner), ("-2…2", scales < 9)):
        r2 = hspace.linearity(scales[part], values[part], p.seed)
        interval, least = f"({r2.low:.3f} to {r2.high:.3f}) ", (p.straight, p.full)
        word = verdict(f"linearity: R² on {what}, {name}", r2.mean, interval, least, show=False)
        cells.append(f"{r2.mean:.3f} {interval}→ {word}")
    wide["anyone", name] = r2.mean
    alone = hspace.r_squared(scales, values.T).median()
    lesson.record(f"the same on -2…2 for the median single picture, {name}", alone, show=False)
    single_ones.append(float(alone))
    said = who.edits[name].terms[0][1].card.get("figures", {}).get("linearity R² on -1…1")
    if said is not None:
        lesson.record(f"the same on -1…1 by the direction's card, of more faces, {name}", said,
                      show=False)  # fmt: skip
    lines[f"{name}, anyone"] = [*cells, f"{alone:.2f}", "" if said is None else f"{said:.2f}"]

# %%
for name, values in effects.items():
    cells = []
    for what, part in (("-1…1", inner), ("-2…2", scales < 9)):
        r2 = hspace.linearity(scales[part], values[part], p.seed).mean
        lesson.record(f"for the chosen faces: R² on {what}, {name}", r2, show=False)
        cells.append(f"{r2:.3f}")
    wide["chosen", name] = r2
    lines[f"{name}, chosen"] = [*cells, "", ""]
heads = ["R² on -1…1", "R² on -2…2", "one picture, -2…2 (median)", "card, -1…1"]
Markdown(markdown(heads, lines))

# %%
means = {k: sum(wide[k, n] for n in names) / len(names) for k in groups_of}
gap = means["anyone"] - means["chosen"]
lesson.compare(straighter, "no difference" if abs(gap) < 0.01 else straighter.choices[int(gap > 0)])
averaged = [n for n, r2 in zip(names, single_ones, strict=True) if wide["anyone", n] > r2]
straight_for = [n for n in names if wide["anyone", n] > wide["chosen", n]]
lesson.conclude(
    f"on -2…2 the mean R² is {means['anyone']:.3f} for anyone and {means['chosen']:.3f} for the chosen. "
    f"Anyone's line is the straighter one for {', '.join(straight_for) or 'no attribute'}."
)
lesson.conclude(
    "on -2…2 the mean of anyone has a straighter line than the median single picture for "
    f"{', '.join(averaged) or 'no attribute'}."
)


# %% [markdown]
# Whoever lacks an attribute altogether sits at a floor. At negative scales there is nothing to take away, and the curve
# bends at 0. Look for the sharpest bend in the lower row. It is why the chosen faces are not our test.
#
# The mean can have a high R² although single pictures (grey) jump at different scales: their jumps average out.
#
# Why is R² below 1? One cause is simple: a factor that has reached the end of its range cannot go on. To see how much
# this explains, fit two models to all pictures and scales of the chosen. The first is one slope for all. The second is
# one slope for all, *cut off* where a picture's factor reaches its end. (Both pass through 0 at scale 0. They have no
# offset, so that their R² can be far below the one above.)

# %%
def explained(values, start, low, high):
    """R² of the best common slope through values (S, N), cut where start (N,) + slope · scale ends."""
    slopes = torch.linspace(0, 2 * values.abs().max().item(), 400)[:, None, None]
    model = (start + slopes * scales[:, None]).clamp(low, high) - start
    left = (values - model).square().sum((1, 2)).min()
    return (1 - left / (values - values.mean()).square().sum()).item()


# %%
for name in who.goals:
    k = int(axis[name].abs().argmax())
    sign, size = axis[name][k].item(), factors[k].high - factors[k].low
    low, high = sorted((sign * factors[k].low / size, sign * factors[k].high / size))
    start, values = (before @ axis[name]).cpu(), effects[name].cpu()
    plain, cut = (explained(values, start, *ends) for ends in ((-9, 9), (low, high)))
    lesson.record(f"R² of one slope for all pictures, {name}", plain, show=False)
    lesson.record(f"the same, cut at the ends of the range, {name}", cut, show=False)
    part = (cut - plain) / (1 - plain)
    word = "the main cause" if part >= 0.5 else "one cause" if part >= 0.1 else "not the cause"
    print(f"{name}: R² of one slope {plain:.2f}, cut at the ends of the range {cut:.2f}.")
    print(f"   The ends explain {part:.0%} of what one slope leaves: {word}.")
if not who.goals:
    print("Without known factors no range has an end: this check is left out.")

# %% [markdown]
# *Glasses* are the plainest case: they are there or they are not. A yes-or-no factor has no line to follow. The rest of
# what is missing comes from the network itself. Look again at the strip, at the scales -2 and +2: what else changes, besides
# the attribute?

# %%
if who.goals:
    aside = {}
    for name in who.goals:
        other = (seen(at_any[name][-1]) - seen(source_any)).abs().mean(0)
        other[axis[name] != 0] = 0  # its own factor
        aside[name] = f"{name}: {factors[other.argmax()].name}, by {other.max():.2f}"
    lesson.conclude(
        "the factor that changes most at scale +2, besides the attribute's own, as a share of its range: "
        f"{'; '.join(aside.values())}."
    )


# %% [markdown]
# ### Exercise 1 · R² <small>(easy · 5 minutes)</small>
#
# R² of the best line through y over x is the squared correlation of the two.

# %% tags=["exercise"]
def my_r2(x, y):
    """R² of the least-squares line through y (S,) over x (S,)."""
    return None


# %%
gen = torch.Generator().manual_seed(p.seed)
x = scales.double()
cases = [(x, a * x + torch.randn(x.shape, generator=gen, dtype=x.dtype)) for a in (0.2, 2.0)]
hints = ["take the means off x and y first", "then (Σxy)² / (Σx² Σy²)"]
lesson.exercise(my_r2, hspace.r_squared, cases, hints);

# %% [markdown]
# <details><summary>Hint 1</summary>With the means taken off: (Σxy)² / (Σx² Σy²).</details>
# <details><summary>Solution</summary>
#
# ```python
# def my_r2(x, y):
#     """R² of the least-squares line through y (S,) over x (S,)."""
#     x, y = x - x.mean(), y - y.mean()
#     return (x * y).sum() ** 2 / ((x * x).sum() * (y * y).sum())
# ```
# </details>

# %% [markdown]
# ## Claim 2: attributes add
#
# > Δh of two attributes, added, give both.
#
# The paper's public code divides a sum of n by √n. We do not divide, so that nothing is lost. Two Δh are added
# only in steps that lie in the intervals of both; in the other steps only one of them acts.
#
# **Predict.** Each attribute alone has some effect. In a sum of three, how much of it is left?

# %%
groups = [c for n in range(1, len(names) + 1) for c in combinations(names, n)]
together = {c: at[c[0]][scales == 1][0] if len(c) == 1 else
            decode(sum((who.edits[k] for k in c[1:]), who.edits[c[0]])) for c in groups}  # fmt: skip
spans = {k: set(g.schedule.within(e.terms[0][1].first, e.terms[0][1].last))
         for k, e in who.edits.items()}  # fmt: skip
for c in groups:
    if len(c) > 1:
        shared = set.intersection(*(spans[k] for k in c))
        print(f"{' + '.join(c)}: steps in which their Δh are added: {len(shared)}")
count = min(3, p.n_images)
rows = [torch.stack([source[i], *(v[i] for v in together.values())]) for i in range(count)]
plots.strips(rows, [""] * count, ["no edit", *(" +\n".join(c) for c in groups)])

# %%
moved = {c: seen(v) - before for c, v in together.items()}  # (N, F)
left = {c: [((moved[c] @ axis[k]).mean() / (moved[k,] @ axis[k]).mean()).item() for k in c]
        for c in groups if len(c) > 1}  # fmt: skip
bars = [(k, c, v) for c, values in left.items() for k, v in zip(c, values, strict=True)]

# %%
fig, ax = plots.figure(width=11, height=3.8)
ax.bar(
    range(len(bars)), [v for *_, v in bars], color=[plots.ETAS(len(c) - 2.0) for _, c, _ in bars]
)
ax.axhline(1, color="black", lw=1)
ax.set(xticks=range(len(bars)), ylabel="effect / effect alone")
with_whom = [c[c[0] == k] if len(c) == 2 else "all others" for k, c, _ in bars]
ax.set_xticklabels(
    [f"{k}\nwith {c}" for (k, *_), c in zip(bars, with_whom, strict=True)], fontsize=10
)
fig

# %%
for n in range(2, len(names) + 1):
    values = [v for c, found in left.items() if len(c) == n for v in found]
    verdict(f"composition of {n}: effect that is left, the worst attribute", min(values))
    pairs = [(sum(moved[k,] for k in c), moved[c]) for c in left if len(c) == n]
    x, y = (torch.cat([v[i].flatten() for v in pairs]) for i in range(2))
    verdict(f"composition of {n}: R² of all numbers' changes to the sum", hspace.r_squared(x, y))

# %% [markdown]
# The first number asks whether the *wanted* changes survive. (Above 1, one attribute helps another.) The second
# asks about *all* factors, side effects included: do they change in proportion to the sum of what each edit does
# alone? If all changes shrink by the same share, the second number does not show it.
#
# ## Claim 3: one Δh for all
#
# > The Δh of one image, or the mean over images, edits any other image as well as its own does.
#
# f_t looks at each image's h. Is that needed? We take Δh_t of the first of the chosen pictures, and the mean over
# eight strangers, and give them to anyone.
#
# **Predict.** Which is better, the Δh of one, or the mean of several?

# %%
strangers = whole.draw(16, p.seed + 17)
walk = [s for s in whole.trajectory(strangers) if s.t <= first]
middle = min(walk, key=lambda s: abs(s.t - (first + last) / 2))
z_others = Code(walk[0].x[:8])
mean = {k: hspace.global_edit(g, z_others, e) for k, e in who.edits.items()}
single = {k: hspace.global_edit(g, z[:1], e) for k, e in who.edits.items()}
own = {k: at_any[k][scales == 1][0] for k in names}
by = {"its own": own} | {
    what: {k: decode(e, z_any) for k, e in edits.items()}
    for what, edits in (("mean of strangers", mean), ("the first picture's", single))
}

# %%
ratios, before_any, lines = {}, seen(source_any), {}
for what in ("mean of strangers", "the first picture's"):
    for k in names:
        parts = [((seen(v[k]) - before_any) @ axis[k]).mean() for v in (by[what], own)]
        said = f"effect / effect of its own, {what}, {k}"
        ratios[what, k] = lesson.ratio(said, *parts, show=False)
    claim, found = f"homogeneity: {what}, the worst attribute", [ratios[what, k] for k in names]
    lines[what] = ["undefined" if r is None else f"{r:.2f}" for r in found]
    verdict_of_worst(claim, found)
two = {
    w: {k: ratios[w, k] or 0 for k in names} for w in ("mean of strangers", "the first picture's")
}
more = [k for k in names if two["mean of strangers"][k] > two["the first picture's"][k]]
lesson.conclude(
    "the strangers' mean keeps more of the effect than the Δh of one picture for "
    f"{', '.join(more) or 'none'} ({len(more)} of {len(names)})."
)
print("Effect, divided by the effect of each picture's own Δh:")
Markdown(markdown(names, lines))

# %%
_, worst = min(ratios, key=lambda found: ratios[found] or 0)
rows = [source_any, *(found[worst] for found in by.values())]
plots.strips([v[:8] for v in rows], ["no edit", *by], [], f"{worst}, the worst: whose Δh?")

# %% [markdown]
# At 1 a constant could replace f_t: it would not need the h that it is given. What is missing to 1 is what each image's own h
# is worth. A mean of several leaves out what is particular to one face.
#
# ## Claim 4: robust to random Δh
#
# > A random Δh leaves a picture a picture; a random Δε of equal effect does not.
#
# We shift P by random Δh of several sizes, and by random Δε. To be fair they are compared at the **same size
# of effect**: the rms change of the final image. By chance Δh would win on half of the pictures. So we call the
# claim confirmed if it wins on 90 % or more, and partly true from 65 % on. If the interval of the mean gain in
# quality contains 0, the claim is undecided. These are pictures of anyone.
#
# **Predict.** What will each kind of picture look like?

# %%
each = [e.terms[0][1].form.delta.flatten(1).norm(dim=1).sum() for e in mean.values()]
length = torch.stack(each).mean() / len(g.schedule.within(first, last))
gen = torch.Generator().manual_seed(p.seed)
h_noise = torch.randn((p.n_any, *middle.h.shape[1:]), generator=gen).to(model.device)
h_noise *= length / h_noise.flatten(1).norm(dim=1).view(-1, 1, 1, 1)  # as long as a trained Δh
eps_noise = torch.randn((p.n_any, *model.shape), generator=gen).to(model.device)


# %%
def by_h(scale):
    """The pictures with h shifted by scale (B,) times random directions, in P, within the interval."""

    def edit(denoiser, x, t, cond=None):
        b = denoiser.encode(x, t, cond)
        inside = first >= t >= last
        return asymmetric(denoiser, b, h_noise * scale.view(-1, 1, 1, 1) if inside else None)

    return decode(edit, z_any)


# %%
def by_eps(scale):
    """The same with ε shifted."""

    def edit(denoiser, x, t, cond=None):
        return shift(eps_noise, scale if first >= t >= last else 0.0, False)(denoiser, x, t, cond)

    return decode(edit, z_any)


# %%
def matched(wanted, rounds=6):
    """Pictures shifted by random Δε, each by as much as changes it by `wanted` (N,), and all tries."""
    low, high, tries = torch.zeros(p.n_any), torch.full((p.n_any,), 0.5), []
    for _ in range(rounds):
        middle = (low + high) / 2
        tries.append(by_eps(middle.to(model.device)))
        more = metrics.rms(tries[-1], source_any).cpu() < wanted
        low, high = torch.where(more, middle, low), torch.where(more, high, middle)
    return tries[-1], tries


# %%
everyone = torch.ones(p.n_any, device=model.device)
tries_h = [by_h(s * everyone) for s in (1.5, 4.0, 8.0)]  # times the length of a trained Δh
equal, tries_eps = matched(metrics.rms(tries_h[1], source_any).cpu())
shown = {"random Δh": tries_h[1], "random Δε": equal}
plots.strips([source_any[:8], *(v[:8] for v in shown.values())], ["no edit", *shown], [],
             "random shifts of equal effect")  # fmt: skip

# %%
for what, x in shown.items():
    lesson.record(f"rms change, {what}", metrics.rms(x, source_any).mean())
if model.world:
    quality = {k: manifold_distance(x, model.world, critic) for k, x in shown.items()}
    for what, values in quality.items():
        lesson.record(f"quality (manifold distance, dB), {what}", values.mean())
    better = quality["random Δh"] - quality["random Δε"]
    gain = metrics.bootstrap(better, p.seed)
    lesson.record("quality of Δh above Δε, dB", gain.mean, f"({gain.low:.2f} to {gain.high:.2f})")
    wins = (better > 0).float().mean()
    decided = not gain.low <= 0 <= gain.high
    verdict("robustness: pictures on which Δh beats Δε", wins, "", (0.9, 0.65), decided)
else:
    print("Without a world no picture can be said to be one of it: quality is left out.")

# %%
distance = metrics.perceptual_distance(critic)
fig, ax = plots.figure(width=8)
kinds = ("random Δh", tries_h, plots.EDITED, "o"), ("random Δε", tries_eps, plots.WRONG, "^")
for what, tries, colour, mark in kinds:
    far = [torch.cat([d(x, source_any) for x in tries]).cpu() for d in (metrics.rms, distance)]
    near = far[0] < 0.5
    ax.plot(far[0][near], far[1][near], mark, color=colour, alpha=0.7, label=what)
ax.set(xlabel="change of the image (rms)", ylabel="perceptual distance (critic)")
ax.legend()
fig


# %% [markdown]
# Each mark is a picture at one size of the shift. (For Δε these are the sizes that the search tried, up to an
# rms of 0.5.)
#
# In the strip above, look for faces that have become other faces (Δh) and for coloured grain (Δε). Two such pictures can be
# equally far from the source. The perceptual distance does not tell them apart: it is also large where a clean face has
# become another clean face. The *quality* above does tell them apart.
#
# Why should h be more robust? The decoder behind h can only draw what it has learnt to draw, though too large a
# Δh breaks it, too. A Δε goes into P directly, with no network in between. Later steps remove only a part of it.
#
# ## Claim 5: the same across t
#
# > Δh_t is much the same at all t.
#
# **Predict.** Compare Δh_t at the beginning and at the end of the interval: is their cosine near 1? And if *one*
# Δh is used at all t, how much is left of the effect of the strangers' mean Δh_t?

# %%
def cosines(name):
    """Of the mean Δh_t at each pair of times, (S, S)."""
    flat = torch.nn.functional.normalize(mean[name].terms[0][1].form.delta.flatten(1), dim=1)
    return (flat @ flat.T).cpu()


def constant_in_time(name):
    """The edit by the mean over images and times."""
    ((scale, d),) = mean[name].terms
    return hspace.constant(scale * d.form.delta.mean(0), d.first, d.last)


# %%
still = {k: decode(constant_in_time(k), z_any) for k in names}
fig, axes = plots.figure(1, len(names), width=4 * len(names), height=3.8, squeeze=False)
least = min(cosines(name).min().item() for name in names)
for ax, name in zip(axes[0], names, strict=True):
    picture = ax.imshow(cosines(name), vmin=min(0.5, least), vmax=1, cmap="viridis")
    visited = mean[name].terms[0][1].form.times.tolist()
    ticks = range(0, len(visited), max(1, len(visited) // 4))
    ax.set(xticks=ticks, yticks=ticks, xticklabels=[visited[i] for i in ticks])
    ax.set(yticklabels=[visited[i] for i in ticks], title=name, xlabel="t"), ax.grid(False)
axes[0, 0].set_ylabel("t")
fig.colorbar(picture, ax=axes[0, -1], label="cosine")
fig

# %%
lines, ends_of = {}, {}
for name in names:
    c = cosines(name)
    near = float(c.diagonal(1).mean()) if len(c) > 1 else 1.0
    lesson.record(f"cosine of Δh_t at neighbouring times, mean, {name}", near, show=False)
    ends_of[name] = lesson.record(
        f"cosine of the first with the last, {name}", c[0, -1], show=False
    )
    lines[name] = [f"{near:.2f}", f"{ends_of[name]:.2f}"]

# %%
ratios = []
for name in names:
    moving = by["mean of strangers"][name]
    along = [((seen(v) - before_any) @ axis[name]).mean() for v in (still[name], moving)]
    said = f"effect of one Δh for all t / of the strangers' Δh_t, {name}"
    ratios.append(lesson.ratio(said, *along, show=False))
    lines[name].append("undefined" if ratios[-1] is None else f"{ratios[-1]:.2f}")
verdict_of_worst("consistency: one Δh for all t, the worst attribute", ratios)
turned = min(ends_of, key=ends_of.get)
lesson.conclude(
    f"between the first and the last step Δh_t turns most for {turned}, by "
    f"{torch.tensor(ends_of[turned]).clamp(-1, 1).arccos().rad2deg():.0f}°."
)
heads = ["cosine of neighbours", "cosine of first and last", "effect of one Δh / of Δh_t"]
Markdown(markdown(heads, lines))


# %% [markdown]
# The cosine says whether the *directions* agree. The last column says whether that matters for the picture: a
# decoder may react only to what two different Δh have in common.
#
# ### Exercise 2 · one Δh for all images and times <small>(easy · 3 minutes)</small>
#
# You have Δh of several images at several times. Another sampler will make `visits` steps, and every step shall
# add the same Δh. Give the Δh for which the *sum* over all steps stays what it was, in the mean over images.

# %% tags=["exercise"]
def one_delta_h(deltas, visits):
    """(C, H, W) for each of `visits` steps, from deltas (S, N, C, H, W)."""
    return None


# %%
gen = torch.Generator().manual_seed(p.seed)
cases = [
    (torch.randn(s, n, 2, 1, 1, generator=gen).double(), v) for s, n, v in ((3, 2, 3), (5, 4, 9))
]
hints = [
    "the sum over all steps is to be kept: what is each step's share of it?",
    "the mean over axis 1, the sum over axis 0, and that over visits",
]
lesson.exercise(one_delta_h, lambda d, visits: d.mean(1).sum(0) / visits, cases, hints);

# %% [markdown]
# <details><summary>Hint 1</summary>Mean over images, sum over times, divided among the visits: the rule of <code>Asyrp.over</code> (lesson 05).</details>
# <details><summary>Solution</summary>
#
# ```python
# def one_delta_h(deltas, visits):
#     """(C, H, W) for each of `visits` steps, from deltas (S, N, C, H, W)."""
#     return deltas.mean(1).sum(0) / visits
# ```
# </details>

# %% [markdown]
# ## Directions that nobody asked for
#
# h has directions of its own:
#
# - **Principal directions** (PC) of h over many images: how images differ *in h* (Haas et al.).
# - **Right-singular vectors** (SV) of ∂ε/∂h: what moves *ε* most (Haas et al., for one image at a time; Park et al.
#   take those of ∂h/∂x). Found with products of the Jacobian only.
#
# Both are computed at one t in the middle of the interval. We use them at all its steps, scaled to the length of
# a trained Δh. (The first number below says how much of the variance of h the PC hold, and the second how much more the
# first SV moves ε than the last.)
#
# **Predict.** Neither has seen a word or a label. Will their axes be *smile* and *age*, or mixtures? Which
# set will change the pictures more?

# %%
pcs, shares = hspace.principal(middle.h, p.components)
svs, values = hspace.singular(model, middle.x[:3], middle.t, p.components, rounds=5, seed=p.seed)
lesson.record("share of h's variance in the principal directions", shares.sum())
lesson.record("singular value, first / last of them", values[0] / values[-1].clamp_min(1e-12));


# %%
def both_ways(v):
    """Pictures at - and + a direction of a trained Δh's length, (2, N, 3, H, W)."""
    edit = hspace.constant(v * (length / v.norm()), first, last)
    return torch.stack([decode(-edit), decode(edit)])


found = {f"{what} {i + 1}": both_ways(v) for what, vs in (("PC", pcs), ("SV", svs))
         for i, v in enumerate(vs)}  # fmt: skip

# %%
pairs = [torch.stack([x[0, i], source[i], x[1, i]]) for x in found.values() for i in (0,)]
half = len(pairs) // 2
rows = [torch.cat([pairs[k], pairs[half + k]]) for k in range(half)]
plots.strips(rows, [f"{k + 1}" for k in range(half)],
             ["PC -", "no edit", "PC +", "SV -", "no edit", "SV +"])  # fmt: skip

# %%
difference = {k: seen(x[1]) - seen(x[0]) for k, x in found.items()}  # (N, F)
fig = None
if factors:
    table = torch.stack([v.mean(0) for v in difference.values()]).cpu()
    most = table.abs().max()
    fig, ax = plots.figure(width=12, height=0.42 * len(table) + 2)
    picture = ax.imshow(table, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
    ax.set(yticks=range(len(table)), yticklabels=list(difference)), ax.grid(False)
    ax.set_xticks(range(len(factors)), [f.name for f in factors], rotation=60, ha="right")
    fig.colorbar(picture, label="change, - to + (share of range)")
fig


# %% [markdown]
# Each row of the map is a direction, and each column a factor. A direction is named after the factor that it
# moves most. Three numbers say how good the name is:
#
# - *same way*: the share of pictures in which this factor moves in the same direction. At 1 the direction means the same
#   for everyone.
# - *purity*: this factor's share of all the squared change. 1 is a pure axis; one over the number of factors is
#   an even mixture.
# - *size*: how much changes at all.
#
# (The factor was chosen on these same few pictures, so a high *same way* is partly due to that choice.)

# %% [markdown]
# ### Exercise 3 · capstone: name a direction <small>(hard · 10 minutes)</small>
#
# `changes` (N, F) says by how much each of N pictures moved in each of F factors. Give four numbers:
#
# 1. the index (from 0) of the factor whose *mean* change over the pictures is largest in size;
# 2. the share of pictures in which that factor moves the same way as its mean;
# 3. the purity: that factor's squared mean over the sum of all squared means;
# 4. the size: the norm of the mean change.
#
# The table and the chart below are then made by your function.

# %% tags=["exercise"]
def my_name(changes):
    """(place, share that agrees, purity, size) of changes (N, F), as four numbers."""
    return None


# %%
def library_name(changes):
    mean = changes.mean(0).double()
    k = mean.abs().argmax()
    agree = (changes[:, k].sign() == mean[k].sign()).double().mean()
    return torch.stack([k.double(), agree, mean[k] ** 2 / mean.square().sum(), mean.norm()])


gen = torch.Generator().manual_seed(p.seed)
cases = [(torch.randn(n, f, generator=gen).double() - 0.4,) for n, f in ((4, 3), (7, 5), (2, 6))]
hints = [
    "first the mean over pictures, (F,); all four numbers come from it",
    "k = mean.abs().argmax(); then signs in column k, mean[k]² / Σ mean², and ‖mean‖",
]
right = lesson.exercise(my_name, library_name, cases, hints)
naming = my_name if right else library_name


# %% [markdown]
# <details><summary>Hint 1</summary><code>changes.mean(0)</code> is the mean over pictures.</details>
# <details><summary>Hint 2</summary><code>(changes[:, k].sign() == mean[k].sign())</code> is a yes or no for each picture.</details>
# <details><summary>Solution</summary>
#
# ```python
# def my_name(changes):
#     """(place, share that agrees, purity, size) of changes (N, F), as four numbers."""
#     mean = changes.mean(0)
#     k = mean.abs().argmax().item()
#     agree = (changes[:, k].sign() == mean[k].sign()).double().mean().item()
#     return k, agree, (mean[k] ** 2 / mean.square().sum()).item(), mean.norm().item()
# ```
# </details>

# %%
def name_of(change):
    """(two strongest factors, share of pictures that agree, purity, size) of changes (N, F)."""
    mean = change.mean(0)
    said = ", ".join(
        f"{factors[i].name} {mean[i].item():+z.2f}" for i in mean.abs().topk(2).indices.tolist()
    )
    return said, *(float(v) for v in naming(change.cpu())[1:])


# %%
if factors:
    # the trained ones, to compare with; without them the edits are PC themselves
    learnt = {k: moved[k,] for k in names if k not in difference}
    named = {k: name_of(v) for k, v in (difference | learnt).items()}
    lines = {k: [said, f"{agree:.0%}", f"{pure:.2f}", f"{much:.2f}"]
             for k, (said, agree, pure, much) in named.items()}  # fmt: skip
    sizes = {}
    for what in ("PC", "SV"):
        own_kind = [v for k, v in named.items() if k.startswith(what)]
        sizes[what] = sum(v[3] for v in own_kind) / len(own_kind)
        verdict(
            f"unsupervised, {what}: same way, mean", sum(v[1] for v in own_kind) / len(own_kind)
        )
        verdict(f"unsupervised, {what}: purity, mean", sum(v[2] for v in own_kind) / len(own_kind))
    tops = dict.fromkeys(v[0].split()[0] for k, v in named.items() if k in difference)
    lesson.conclude(
        f"the {max(sizes, key=sizes.get)} change the pictures more (mean size {sizes['PC']:.2f} for PC, "
        f"{sizes['SV']:.2f} for SV). Their strongest factors are {', '.join(tops)}."
    )
else:
    lines = {}
    print("Without a world there are no factors to name these directions by.")
heads = ["moves most", "same way", "purity", "size"]
Markdown(markdown(heads, lines)) if lines else None

# %%
fig = None
if factors:
    fig, ax = plots.figure(width=9, height=4)
    points = {k: (pure, much) for k, (_, _, pure, much) in named.items()}
    plots.named_points(ax, points)
    for i, k in enumerate(learnt):
        ax.plot(*points[k], "o", color=plots.EDITED, ms=9, label=None if i else "trained")
    ax.set(xlabel="purity", ylabel="size of the mean change", xlim=(0, 1.05))
    if learnt:
        ax.legend()
fig


# %% [markdown]
# The trained directions go from no edit to +. The others go from - to +, twice as far. So compare purity, not size.
#
# ### Exercise 4 · how much of a trained Δh lies in their span? <small>(medium · 5 minutes)</small>
#
# Do the trained directions lie in the span of these directions? `axes` holds K directions of length 1, at right angles
# to each other. Project v onto their span. Give the squared length of the projection, divided by that of v. The shares below
# are then computed by your function.

# %% tags=["exercise"]
def share_within(v, axes):
    """Share of ‖v‖² (D,) within the span of orthonormal axes (K, D): from 0 to 1."""
    return None


# %%
def projected(v, axes):
    return (axes @ v).square().sum() / v.square().sum()


gen = torch.Generator().manual_seed(p.seed)
drawn = torch.randn(2, 6, 4, generator=gen, dtype=torch.float64)
cases = [(v[:, 0], torch.linalg.qr(v[:, 1:]).Q.T) for v in drawn]
hints = [
    "the part along one axis is (axis · v)",
    "their squares, added, over the sum of v's squares",
]
within = share_within if lesson.exercise(share_within, projected, cases, hints) else projected

# %% [markdown]
# <details><summary>Hint 1</summary>The part of v along one axis is (axis · v).</details>
# <details><summary>Hint 2</summary>The axes are orthonormal: ‖projection‖² is the sum of (axis · v)² over them.</details>
# <details><summary>Solution</summary>
#
# ```python
# def share_within(v, axes):
#     """Share of ‖v‖² (D,) within the span of orthonormal axes (K, D): from 0 to 1."""
#     return (axes @ v).square().sum() / v.square().sum()
# ```
# </details>

# %%
trained = [mean[k].terms[0][1].form.delta.mean(0).flatten().cpu().double() for k in names]
frames = {what: torch.nn.functional.normalize(v.flatten(1).cpu().double(), dim=1)
          for what, v in (("principal", pcs), ("singular", svs))}  # fmt: skip
chance, shares = p.components / middle.h[0].numel(), {}
for what, axes in frames.items():
    for name, v in zip(names, trained, strict=True):
        note, shares[what, name] = f"({len(axes)} directions)", float(within(v, axes))
        lesson.record(f"share of Δh in the {what} directions, {name}", shares[what, name], note,
                      show=False)  # fmt: skip
lesson.record("a random direction's share, expected", chance, show=False)
found, related = max(shares, key=shares.get), [k for k, v in shares.items() if v >= 10 * chance]
lesson.conclude(
    f"a random direction's share is {chance:.2%}. Ten times that or more is reached by "
    f"{', '.join(f'{name} in the {what} directions' for what, name in related) or 'none'}. "
    f"The largest share is {shares[found]:.1%}: "
    f"{'most of every trained Δh lies elsewhere' if shares[found] < 0.5 else 'that is most of it'}."
)
lines = {f"{what} directions": [f"{shares[what, n]:.2%} ({shares[what, n] / chance:.1f} ×)" for n in names]
         for what in frames}  # fmt: skip
Markdown(markdown(names, lines))

# %% [markdown]
# The brackets compare each share with a random direction's. Near 1 ×, the trained direction has nothing to do with how h
# varies by itself, or with what moves ε most. A share many times as large shows that they have something in common.

# %% [markdown]
# ## The verdicts

# %%
colours = {
    "confirmed": plots.EDITED, "partly": plots.D, "not": plots.WRONG, "undecided": plots.SOURCE,
}  # fmt: skip
fig, ax = plots.figure(width=12, height=0.36 * len(verdicts) + 1)
for i, (_, value, word, least) in enumerate(verdicts):
    ax.barh(i, min(max(value, 0), 1.3), color=colours[word])
    ax.plot(least, [i, i], "|", color="black", ms=14)  # from where on it is confirmed, and partly
    ax.text(1.33, i, f"{value:.2f} {word}", va="center", fontsize=11)
ax.set(yticks=range(len(verdicts)), yticklabels=[c for c, *_ in verdicts], xlim=(0, 1.6))
ax.set_xlabel("the claim's number; the marks: from where on it holds partly, and fully")
ax.tick_params(axis="y", labelsize=11), ax.invert_yaxis()
fig

# %%
for word in colours:
    print(f"{word}: {sum(v[2] == word for v in verdicts)} of {len(verdicts)}")
short = [f"{claim} ({value:.2f})" for claim, value, word, _ in verdicts if word != "confirmed"]
lesson.conclude(f"not fully confirmed: {'; '.join(short) or 'none'}.")


# %% [markdown]
# ## Three sliders and a face
#
# Every move of a slider decodes one face, from the beginning of the interval on. Look for a sum that works better
# than you expect, and for one that breaks.

# %%
def show(face, **scales):
    first_edit, *more = (
        who.edits[name] * s for name, s in zip(names, scales.values(), strict=True)
    )
    x = look(g.decode(z[face : face + 1], sum(more, first_edit)))
    numbers = seen(x)[0] - before[face]
    said = ", ".join(f"{k} {(numbers @ axis[k]).item():+z.2f}" for k in names)
    return plots.strips(
        [torch.cat([source[face : face + 1], x])], [""], ["no edit", "edited"], said
    )


sliders = {f"s{i}": slider(-2.0, 2.0, 1.0 if i < 2 else 0.0, 0.25, k) for i, k in enumerate(names)}
explore(show, face=choice(list(range(min(4, p.n_images))), 0, "face"), **sliders)

# %% [markdown]
# ## What this does not say
#
# - All numbers are of *this* network and of directions trained with *this* small CLIP. A direction that
#   changes several factors at once (lesson 05) does so at every scale.
# - 'Linear' was tested along single directions on a dozen faces, and for sums on people who lack every attribute. Nothing
#   here says that h-space is linear everywhere.
# - Each claim has its number, but few have an interval. An interval from only a few pictures is too narrow, because
#   resampling knows no other pictures: try `-p n_images 32`.
# - The critic keeps what it reads within a factor's range, and so does the world. A line can be straight only
#   inside this range.
# - The random Δε was white noise. A Δε shaped like the network's own outputs might do less harm.
