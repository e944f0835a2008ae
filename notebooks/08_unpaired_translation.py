# %% [markdown]
# # 08 · Unpaired translation: cats to dogs by one code
#
# **Afterwards you can say** how two diffusion models that never saw a pair translate images, and whether that needs shared
# weights. You can measure what the code z keeps of a cat, and say what an early stop of the encoder buys and costs.
# Lesson 08b compares with the rivals, and asks where in the code what is stored.
#
# 60 minutes. Equations: CycleDiffusion (Wu & De la Torre, ICCV 2023) §3.2 and §4.1; SDEdit (Meng et al., ICLR 2022).

# %% tags=["parameters"] nbmake={"mock": {"n_images": 4, "steps": 6, "t_es": [400]}}
checkpoint = "dogs"  # the target: an embedded model, a folder, or a hub id
source = "cats"
second_source = "wild"
prompt = ""  # what the target and the stranger draw, if a label must say it, such as "3"
source_prompt = ""  # the same of the two sources
stranger = "dogs-alone"  # of the target's world, trained apart from the source; "" is none
device = "cpu"
seed = 0  # of the pictures and the codes
steps = 20  # of the samplers
n_images = 16  # pictures of each source
images = ""  # pictures of your own: a folder, a file, or a glob such as "me/*.jpg"
eta = 0.1  # of CycleDiffusion, as in the paper
t_es = [200, 400, 600, 800]  # where the encoder may stop, beside its first time

# %%
from lessons_lib import lesson
from lessons_lib.studies import inputs

p = lesson.parameters(
    globals(), checkpoint=str, source=str, second_source=str, stranger=str, images=str, device=str,
    seed=(0, 999_999), steps=(4, 1000), n_images=(2, 512), eta=(0.001, 1.0), t_es=(1, 998, None),
    prompt=str, source_prompt=str,
)  # fmt: skip
inputs.check_networks(p)

# %%
from functools import partial

import torch
from IPython.display import Markdown

from lessons_lib import Sampler, plots, scoreboard
from lessons_lib.judges import metrics, tables
from lessons_lib.judges.counterfactual import readings
from lessons_lib.judges.evaluators import load_critic
from lessons_lib.methods.editing import cycle_diffusion, sdedit, start_at
from lessons_lib.models.mixture import GaussianMixture
from lessons_lib.schedule import of_thousand
from lessons_lib.studies import unpaired
from lessons_lib.widgets import choice, explore

# %% [markdown]
# ## Two maps, one code
#
# Lesson 03 found a code z with G₁(z) = x for any image x. Nothing stops us from decoding it with *another* model:
#
# $$z = \mathrm{Enc}(x;\, G_1), \qquad \hat x = G_2(z).$$
#
# G₁ has learnt cats, G₂ dogs, and neither has seen a pair. Our animals are drawn from known factors. So we
# can also draw what no collection of photographs has: *the same animal as a dog*.

# %%
of_pictures = partial(inputs.model_for, latent=False)
told = (
    (p.source, p.source_prompt),
    (p.second_source, p.source_prompt),
    (p.checkpoint, p.prompt),
)
models = [of_pictures(name, p.device, p.steps, prompt=label) for name, label in told]
first, second, dogs = (Sampler(model, p.steps, p.eta) for model in models)
usual = ("cats", "wild", "dogs")  # for checkpoints that do not say what they have learnt
known = [model.world for model in models]
cats_world, wild_world, dogs_world = (
    w if w in usual else u for w, u in zip(known, usual, strict=True)
)

# %%
at = partial(of_thousand, train_steps=len(dogs.denoiser.alpha_bar))  # times are given of 1,000
size = dogs.denoiser.shape[-1]  # held-out pictures: no recipe has trained on these seeds
pair, wild_pair = (
    unpaired.drawn(world, dogs_world, p.n_images, p.seed, size, p.device)
    for world in (cats_world, wild_world)
)
(_, x, factors, truth), (_, x_wild, wild_factors, _) = pair, wild_pair

# %% [markdown]
# **Predict.** Of a cat's picture, what will the dog have: the background? the colours? the way the head is
# turned? the whiskers? Most factors belong to one of three groups:
#
# - *pose*: yaw and tilt (how the head is turned) and zoom (how near it is)
# - *colours*: the fur, its second colour, and the eyes
# - *scene*: the light and the background

# %%
kept_best = lesson.predict("Which group of factors does the code keep best?", *unpaired.GROUPS)
kept_best

# %% tags=["gallery"] sentence="Cats decoded by a model of dogs, with no pair ever seen: {judged dogs, decoded by the other|.0%} are judged dogs, and most of what is kept was in the code."
z = first.encode(x, seed=p.seed)
back, dog = first.decode(z), dogs.decode(z)
names = [f"x, of {cats_world}", "decoded by\nits own model", "decoded by\nthe other", "true dog"]
plots.strips([v[:8] for v in (x, back, dog, truth)], names, [])

# %%
critic = load_critic(device=p.device)
judged_dog = partial(unpaired.judged_as, world=dogs_world, critic=critic)
off = lesson.record("largest error, decoded by its own model", (back - x).abs().max(), show=False)
as_dogs = lesson.record("judged dogs, decoded by the other", judged_dog(dog).mean(), show=False)
none = lesson.record("judged dogs, the cats themselves", judged_dog(x).mean(), show=False)
lesson.conclude(
    f"{as_dogs:.0%} are judged dogs, of the cats themselves {none:.0%}; decoded by its own model "
    f"a cat comes back to {off:.0e}."
)

# %% [markdown]
# A *critic* has judged: a network that reads the species and the factors from a picture. The second row shows the cats
# again: decoding by the same model is exact, as lesson 03 promised for any model. The third row shows the same codes, decoded
# by the model of dogs. Did background, colours and pose come along? Nobody told the code what to keep.
#
# Look at the places where the cat had whiskers: traces of them are left. The code holds every edge of the cat, and the model
# of dogs does not know what to do with whiskers. The score *like a drawing*, near the end, puts a number on such traces, and
# lesson 08b removes them.
#
# The second source has wild animals, which our world draws as foxes. They have the same factors as the cats, so their
# true dogs are the same dogs.

# %%
dog_of_wild = cycle_diffusion(x_wild, second, dogs, p.seed)
rows = [v[:8] for v in (x_wild, dog_of_wild, truth)]
plots.strips(rows, [f"x, of {wild_world}", "decoded by\nthe other", "true dog"], [])

# %%
second_dogs = judged_dog(dog_of_wild).mean()
lesson.record("judged dogs, from the second source", second_dogs, show=False)
near = [metrics.psnr(images, truth).mean() for images in (dog, dog_of_wild, x)]
for which, value in zip(("first", "second"), near, strict=False):
    lesson.record(f"PSNR to the true dogs (dB), from the {which} source", value, show=False)
lesson.conclude(
    f"from the second source {second_dogs:.0%} are judged dogs. PSNR to the true dogs is {near[0]:.1f} dB "
    f"from the first source, {near[1]:.1f} dB from the second, and {near[2]:.1f} dB for the cats themselves."
)


# %% [markdown]
# PSNR compares pixels, and is a hard judge. If a dog turns its head to another side than the true dog, many pixels
# are wrong, even if all its colours are right. So we will ask factor by factor.
#
# ### Exercise 1 · translate <small>(easy · 3 minutes)</small>
#
# Write the translation in one line, with `encode` and `decode`.

# %% tags=["exercise"]
def translate(x, source, target, seed):
    """x̂ of images x, by two samplers."""
    return None


# %%
centres = torch.tensor([[[0.0, 0.0], [1.0, 0.5]], [[2.0, 0.0], [2.0, 1.5]]], dtype=torch.float64)
blobs = [Sampler(GaussianMixture(c, 0.1), 10, 0.5) for c in centres]
points = torch.tensor([[0.1, -0.2], [0.3, 0.4]], dtype=torch.float64)
cases = [(points, *blobs, 0), (points, *blobs[::-1], 1), (points, *blobs, 2)]
hints = [
    "the code of x by one, decoded by the other",
    "source.encode(x, seed) is the code, and target.decode takes it",
]
lesson.exercise(translate, cycle_diffusion, cases, hints);

# %% [markdown]
# <details><summary>Hint 1</summary><code>source.encode(x, seed)</code> gives z.</details>
# <details><summary>Solution</summary>
#
# ```python
# def translate(x, source, target, seed):
#     """x̂ of images x, by two samplers."""
#     return target.decode(source.encode(x, seed))
# ```
# </details>

# %% [markdown]
# The library's `cycle_diffusion(x, source, target, seed)` is the same with encoder and decoder in lock-step, so that no code is
# stored (Algorithm 1).

# %% [markdown]
# ## A stranger: the noise, or the weights?
#
# In the paper the two models were trained apart from each other. All that they share is the space of their noise,
# and still one code means similar things to both. Our models share more: `cats`, `dogs` and `wild` are one
# network, `animals`, which is told the species. So what you saw may be a case of lesson 04b: one network, two
# conditions. Would it also work with two networks?
#
# `dogs-alone` is the test, and we call it the *stranger*. It was trained from scratch with another seed, on
# dogs only. The first two numbers below compare the weights of two networks by their correlation: 1 if they are
# the same, near 0 if they are unrelated.
#
# The two networks draw *the same dogs*, we say, if the PSNR between their pictures of one code is at least 6 dB above that of
# unrelated codes. (These are alike to some degree, because both networks have learnt the same world.)
#
# **Predict.** The same codes of the same cats, decoded by the stranger. Are they dogs? Are they the same dogs?

# %%
are_dogs = lesson.predict(
    "Are the stranger's pictures dogs?", "yes, and the same dogs", "yes, but other dogs", "no"
)
are_dogs


# %%
def weights_alike(one, two):
    """Correlation of two networks' weights, over all their matrices and convolutions."""
    both = [[w.flatten() for w in m.net.parameters() if w.ndim > 1] for m in (one, two)]
    if [len(w) for w in both[0]] != [len(w) for w in both[1]]:
        return 0.0
    return torch.corrcoef(torch.stack([torch.cat(w) for w in both]))[0, 1]


# %%
lesson.record("correlation of the two networks' weights", weights_alike(models[0], models[2]))
if p.stranger:
    alone = dogs.replace(denoiser=of_pictures(p.stranger, p.device, p.steps, prompt=p.prompt))
    lesson.record("the same with the stranger's", weights_alike(models[0], alone.denoiser))

# %%
strange = alone.decode(z) if p.stranger else dog
shown = {"x": x, "the same\nnetwork": dog, "a stranger": strange, "true dog": truth}
plots.strips([v[:8] for v in shown.values()], list(shown), []) if p.stranger else None

# %%
if p.stranger:
    as_dogs = judged_dog(strange).mean()
    same_dogs, to_truth = (metrics.psnr(strange, images).mean() for images in (dog, truth))
    unrelated = metrics.psnr(strange.roll(1, 0), dog).mean()
    lesson.record("judged dogs, decoded by the stranger", as_dogs, show=False)
    lesson.record("PSNR to the true dogs (dB), by the stranger", to_truth, show=False)
    lesson.record("PSNR between the two networks' dogs (dB)", same_dogs, show=False)
    lesson.record("the same of unrelated codes (dB)", unrelated, show=False)
    verdict = 2 if as_dogs < 0.5 else int(same_dogs < unrelated + 6)
    lesson.compare(are_dogs, are_dogs.choices[verdict])
    lesson.conclude(
        f"{as_dogs:.0%} of the stranger's are judged dogs. PSNR between the two networks' dogs is "
        f"{same_dogs:.1f} dB, of unrelated codes {unrelated:.1f} dB."
    )

# %% [markdown]
# What goes beyond the PSNR of unrelated codes comes from the code, because the stranger shares no weights with the others.
# The next section measures this factor by factor.

# %% [markdown]
# ## What does z keep? Factor by factor
#
# 'It looks similar' is no measurement. Each factor has a value that drew the cat, and a value that the critic reads from the
# dog. If z keeps the factor, the two correlate over the images. We compare this correlation with three others:
#
# - of dogs of a **random code** (grey crosses), which can keep nothing of the cat
# - of the **true dogs** (black), which keep everything: they are below 1 only by the critic's errors
# - of unrelated pairs: 95 % of their correlations lie in the grey band, which is wide for few images
#
# So green next to black means: the factor is kept. Green in the band means: no more than chance. Where green is right of the
# band and the cross is not, the *code* has carried the factor, because decoder and critic are the same for both. One point in
# twenty leaves the band by chance, crosses too. The hollow diamonds are read from lesson 12's table, which has hundreds of
# cats: trust them where they differ from the green.
#
# **Predict.** Order them from best to worst kept: background, fur, pose, size of the eyes.

# %%
read_off = partial(
    unpaired.kept, world=dogs_world, critic=critic
)  # images, factors -> correlations
random = dogs.decode(dogs.draw(p.n_images, p.seed + 1))
cases = {f"{cats_world} → {dogs_world}": (dog, factors, random)}
cases[f"{wild_world} → {dogs_world}"] = (dog_of_wild, wild_factors, random)
if p.stranger:
    drawn_alone = alone.decode(alone.draw(p.n_images, p.seed + 1))
    cases[f"{cats_world} → {dogs_world} of a stranger"] = (strange, factors, drawn_alone)
found = {
    name: {
        "DPM-Encoder's code": read_off(images, f), "random code": read_off(by_chance, f),
        "true dogs": read_off(truth, f),
    }
    for name, (images, f, by_chance) in cases.items()
}  # fmt: skip

# %%
board = scoreboard.read().get(f"{p.source} to {p.checkpoint}", {})  # lesson 12's, computed before
row = board.get("rows", {}).get("CycleDiffusion", {})
kept_of_many = row["figures"]["kept"] if row else {}
many = unpaired.by_group(kept_of_many) if row else {}
for group, mean in many.items():
    lesson.record(f"of lesson 12's images: mean correlation, {group}", mean, show=False)

# %%
looks = {
    "DPM-Encoder's code": ("o", plots.EDITED), "random code": ("x", plots.SOURCE),
    "true dogs": ("|", "black"),
}  # fmt: skip
band, style = 1.96 / p.n_images**0.5, {"ms": 11, "mew": 2.5, "ls": ""}
fig, axes = plots.figure(1, len(found), width=12, height=5.2, sharey=True)
for ax, (name, curves) in zip(axes, found.items(), strict=True):
    ax.axvspan(-band, band, color=plots.SOURCE, alpha=0.15)
    for label, values in curves.items():
        marker, colour = looks[label]
        ax.plot(values.values(), values.keys(), marker, color=colour, label=label, **style)
    ax.set(title=name, xticks=(-1, 0, 1), xlabel="correlation", xlim=(-1.1, 1.1))
if many:
    label, style["mew"] = f"the code's, of {board['images']} cats", 1.5
    at_many = kept_of_many.values(), kept_of_many.keys()
    axes[0].plot(*at_many, "D", mfc="none", color="black", label=label, **style)
axes[0].invert_yaxis()
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
fig

# %%
told = ("first source", "second source", "first source by the stranger")
means = {}
for which, curves in zip(told, found.values(), strict=False):
    for label, values in curves.items():
        row = means[f"{which}: {label}"] = unpaired.by_group(values)
        for group, mean in row.items():
            lesson.record(f"{which}, {label}: mean correlation, {group}", mean, show=False)
    strong = sum(v >= 0.8 for v in curves["DPM-Encoder's code"].values())
    lesson.record(
        f"{which}: factors kept at 0.8 or more", strong, f"(of {len(unpaired.SHARED)})", show=False
    )
by_code = {k: row for k, row in means.items() if "Encoder" in k}
by_code |= {f"first source, {board['images']} cats of lesson 12": many} if many else {}
Markdown(tables.numbers(by_code))

# %%
sure = unpaired.kept_by_group(dog, factors, dogs_world, critic, p.seed)  # means and intervals
lesson.compare(kept_best, max(sure, key=lambda group: sure[group].mean))
said = ", ".join(f"{group} {v.mean:.2f} [{v.low:.2f}, {v.high:.2f}]" for group, v in sure.items())
lesson.conclude(f"first source, mean correlation and 95 % interval of {p.n_images} images: {said}.")
said = ", ".join(f"{group} {mean:.2f}" for group, mean in many.items())
lesson.conclude(f"of {board['images']} images of lesson 12: {said}.") if many else None

# %% [markdown]
# With so few images the interval is wide, and a bootstrap makes it a little too narrow. So for the pose trust the last line.
# The paper's pictures suggest that the dog stands as the cat stood. These numbers say how far that holds here. The pose *can*
# be kept: CUT does it (lessons 08b and 12). Set `eta` to 1.0 in the parameters cell to see what more noise does.
#
# Look at any factor image by image:

# %%
by_eye = {label: readings(v, dogs_world, critic) for label, v in (
    ("DPM-Encoder's code", dog), ("random code", random), ("true dogs", truth))}  # fmt: skip


def scatter(factor):
    fig, axes = plots.figure(1, 3, width=12, height=4, sharey=True)
    for ax, (label, read) in zip(axes, by_eye.items(), strict=True):
        ax.scatter(factors[factor].cpu(), read[factor].cpu(), color=looks[label][1], s=45)
        r = unpaired.correlation(read[factor], factors[factor])
        ax.set(title=f"{label}: {r:.2f}", xlabel=f"{factor} that drew the cat")
    axes[0].set_ylabel(f"{factor} read from the dog")
    return fig


explore(scatter, factor=choice(unpaired.SHARED, "background"))


# %% [markdown]
# ## T_es: how early may the encoder stop?
#
# Instead of all the way to x_T, encode only to x_t at t = T_es, and let the other model decode from there
# (the paper's early stop; it took T_es = 850 of 1,000 for cats to dogs). How far does that move an image?
# For two Gaussians the answer has a closed form. Let the domains be N(0, v) and N(Δ, v), in one dimension,
# and η → 0.
#
# 1. At t the domains are N(0, s²) and N(√ᾱ Δ, s²), with s² = ᾱ v + 1 - ᾱ.
# 2. A point stays as many standard deviations away from its domain's mean, on the way to noise and on the way
#    back. So x is encoded to x_t = s·x/√v.
# 3. The other model sees x_t at u = (x_t - √ᾱ Δ)/s deviations, and decodes to x̂ = Δ + √v u.
# 4. Put 2 and 3 together: x̂ = x + Δ·(1 - √(ᾱ v)/s).
#
# The image is moved by a **share** of what separates the domains, and everything else about x stays as it
# is. This is the smallest example of 'what z keeps'.
#
# **Predict.** The share is 1 at T and 0 at 0. At which t is it one half, for v = 0.1? Does more noise (η =
# 1) move further?

# %% [markdown]
# ### Exercise 2 · the share of the way <small>(medium · 5 minutes)</small>

# %% tags=["exercise"]
def share_moved(alpha_bar, v):
    """(x̂ - x)/Δ after a stop where ᾱ is alpha_bar, a tensor; the domains have variance v."""
    return None


# %%
def right_share(alpha_bar, v):
    return 1 - (alpha_bar * v / (alpha_bar * v + 1 - alpha_bar)) ** 0.5


cases = [
    (torch.tensor(a, dtype=torch.float64), v) for a, v in ((0.5, 1.0), (0.9, 0.1), (0.01, 2.0))
]
hints = ["step 4, with s written out", "1 - √(ᾱ v) / s, with s = √(ᾱ v + 1 - ᾱ)"]
lesson.exercise(share_moved, right_share, cases, hints);

# %% [markdown]
# <details><summary>Hint 1</summary>s = √(ᾱ v + 1 - ᾱ), and the share is what multiplies Δ.</details>
# <details><summary>Solution</summary>
#
# ```python
# def share_moved(alpha_bar, v):
#     """(x̂ - x)/Δ after a stop where ᾱ is alpha_bar, a tensor; the domains have variance v."""
#     return 1 - (alpha_bar * v / (alpha_bar * v + 1 - alpha_bar)) ** 0.5
# ```
# </details>

# %%
stops, line = list(range(50, 1000, 50)), torch.arange(20, 1000)
point, width = torch.zeros(1, 1, dtype=torch.float64), 0.1
alpha_bar = dogs.denoiser.alpha_bar


def measured_share(t, eta, steps=100):
    """The share by CycleDiffusion between exact models of N(0, 0.1) and N(1, 0.1)."""
    ends = (GaussianMixture(point + m, width) for m in (0.0, 1.0))
    return cycle_diffusion(point, *(start_at(Sampler(m, steps, eta), t) for m in ends)).item()


fig, ax = plots.figure(width=8)
ax.plot(line, right_share(alpha_bar[line], width), color="black", label="closed form, η → 0")
for e in (0.1, 1.0):
    shares = [measured_share(t, e) for t in stops]
    ax.plot(stops, shares, "o", color=plots.ETAS(e), label=f"measured, η = {e:g}")
ax.set(xlabel="T_es", ylabel="share of the way"), ax.legend()
fig

# %%
half = int((right_share(alpha_bar, width) - 0.5).abs().argmin())
less, more = (measured_share(half, e) for e in (0.1, 1.0))
lesson.record("T_es at which half of the way is made, closed form", half, show=False)
lesson.record("share at that T_es, η = 0.1", less, show=False)
lesson.record("share at that T_es, η = 1", more, show=False)
lesson.conclude(
    f"half of the way is made at T_es = {half}; measured, {less:.2f} at η = 0.1 and {more:.2f} at η = 1."
)


# %% [markdown]
# Compare the two measured numbers. With more noise the same stop moves the point further, because each noisy step
# forgets a little of where the point came from.
#
# In one dimension a stop chooses only *how much* to keep. In more than one it also chooses *what*, because the share
# depends on v. Colours of large areas are wide directions of the data (large v). Fine details are narrow ones (small v).
# At one stop the narrow directions have moved further. So an early stop keeps the wide, coarse directions.

# %% [markdown]
# ### Exercise 3 · capstone: a stop that keeps the colour <small>(hard · 10 minutes)</small>
#
# Colours of large areas should stay, and details may change. So find the highest t at which a direction of variance `v`
# has moved by at most the share `most`. `alpha_bar` is a tensor with ᾱ for t = 0, 1, …, and the share grows with t. The
# next figure shows your stop for a wide direction, and how far a narrow one has moved by then.

# %% tags=["exercise"]
def latest_stop(alpha_bar, v, most):
    """The largest t, a whole number, at which a direction of variance v has moved by at most `most`."""
    return None


# %%
def right_stop(alpha_bar, v, most):
    return max(t for t, share in enumerate(right_share(alpha_bar, v).tolist()) if share <= most)


toy_levels = torch.linspace(0.999, 0.001, 200, dtype=torch.float64)
cases = [(toy_levels, v, most) for v, most in ((1.0, 0.05), (0.1, 0.5), (2.0, 0.2))]
hints = [
    "the share at every t first, by your share_moved; which t are good enough?",
    "(share_moved(alpha_bar, v) <= most).nonzero().max() is the last good one",
]
right = lesson.exercise(latest_stop, right_stop, cases, hints)
stop_for = latest_stop if right else right_stop

# %% [markdown]
# <details><summary>Hint 1</summary><code>share_moved</code> works on all of alpha_bar at once.</details>
# <details><summary>Hint 2</summary><code>.nonzero()</code> gives the places where something is true.</details>
# <details><summary>Solution</summary>
#
# ```python
# def latest_stop(alpha_bar, v, most):
#     """The largest t, a whole number, at which a direction of variance v has moved by at most `most`."""
#     share = 1 - (alpha_bar * v / (alpha_bar * v + 1 - alpha_bar)) ** 0.5
#     return (share <= most).nonzero().max().item()
# ```
# </details>

# %%
levels_of = alpha_bar.double().cpu()
stop = int(stop_for(levels_of, 1.0, 0.1))
fig, ax = plots.figure(width=8)
for v, colour, kind in ((1.0, plots.P, "wide"), (0.01, plots.D, "narrow")):
    ax.plot(right_share(levels_of, v), color=colour, label=f"{kind} direction, v = {v:g}")
ax.axvline(stop, color="black", lw=1.5, ls=":", label=f"T_es = {stop}")
ax.set(xlabel="T_es", ylabel="share of the way", xlim=(0, len(levels_of))), ax.legend()
fig

# %%
moved = [right_share(levels_of[stop], v).item() for v in (1.0, 0.01)]
lesson.conclude(
    f"at T_es = {stop} the wide direction has moved by {moved[0]:.2f}, the narrow one by {moved[1]:.2f}."
)

# %% [markdown]
# Cats and dogs are no Gaussians. So measure it on them, beside SDEdit from the same starts. SDEdit also begins at a noised
# x, but then draws fresh noise, where CycleDiffusion decodes the cat's own code. Four scores are measured:
#
# - *judged a dog*, by the critic
# - *SSIM to the source*: how much of the cat's structure is left. The dotted line is the value of the true dogs: what lies
#   above it has kept too much of the cat.
# - *PSNR to the true dog*: the dotted line is the value of the cats themselves
# - *like a drawing*: the PSNR between a picture and the drawing of the factors that are read from it
#
# **Predict.** As T_es falls, which of the four rise? Is CycleDiffusion or SDEdit nearer to the true dog?

# %%
fresh = Sampler(models[2], p.steps, 1.0)
all_the_way = dogs.schedule.t[0].item()
stops = [*sorted({at(t) for t in p.t_es}), all_the_way]
cycled, sdedited = {all_the_way: dog}, {}
for t in stops:
    if t not in cycled:
        cycled[t] = cycle_diffusion(x, start_at(first, t), start_at(dogs, t), p.seed)
    sdedited[t] = sdedit(x, start_at(fresh, t), p.seed)

# %%
columns = [f"start {t}" for t in stops]
rows = [
    torch.stack([x[i], *(v[t][i] for t in stops), truth[i]])
    for i in (0, 1) for v in (cycled, sdedited)
]  # fmt: skip
plots.strips(rows, ["CycleDiffusion", "SDEdit"] * 2, ["x", *columns, "true dog"])

# %%
distance = metrics.perceptual_distance(critic)
shown = ["judged a dog", "SSIM to the source", "PSNR to the true dog (dB)", "like a drawing (dB)"]


def scores(images):
    """Each image's scores of those that are shown, by name; of all of them more is better."""
    found = unpaired.translation_scores(images, pair, critic, distance)
    return {name: found[name] for name in shown}


curves = {"CycleDiffusion": cycled, "SDEdit": sdedited}
found = {name: [scores(v[t]) for t in stops] for name, v in curves.items()}

# %%
colour = {"CycleDiffusion": plots.EDITED, "SDEdit": plots.D}
fig, axes = plots.figure(2, 2, width=11, height=7.5)
for ax, metric in zip(axes.flat, shown, strict=True):
    for name, results in found.items():
        spread = torch.tensor([metrics.bootstrap(r[metric], p.seed) for r in results])
        ax.plot(stops, spread[:, 0], "o-", color=colour[name], label=name)
        ax.fill_between(stops, spread[:, 1], spread[:, 2], color=colour[name], alpha=0.15)
    ax.set(title=metric, xlabel="start (T_es)")
axes[0, 1].axhline(metrics.ssim(truth, x).mean().item(), color="black", ls=":", label="true dogs")
axes[1, 0].axhline(scores(x)[shown[2]].mean().item(), color=plots.SOURCE, ls=":", label="the cats")
axes[0, 0].legend(), axes[0, 1].legend(), axes[1, 0].legend()
fig

# %%
for name, results in found.items():
    near = torch.tensor([r["PSNR to the true dog (dB)"].mean() for r in results])
    sure = torch.tensor([r["judged a dog"].mean() for r in results])
    best, most = (
        stops[near.argmax()],
        [t for t, share in zip(stops, sure, strict=True) if share > 0.5],
    )
    lesson.record(f"{name}: start with the highest PSNR to the true dog", best, show=False)
    lesson.record(f"{name}: that PSNR (dB)", near.max(), show=False)
    lesson.record(f"{name}: judged dogs there", sure[near.argmax()], show=False)
    lesson.conclude(
        f"{name} is nearest to the true dogs from {best}: {near.max():.1f} dB, and "
        f"{sure[near.argmax()]:.0%} are judged dogs. The first start from which most are judged dogs is "
        f"{most[0] if most else 'none'}."
    )

# %%
starts = {"better": [], "undecided": [], "worse": []}
for i, t in enumerate(stops):
    starts[tables.verdict(shown[2], *(v[i] for v in found.values()))].append(str(t))
said = ", ".join(f"{verdict} from {' and '.join(ts)}" for verdict, ts in starts.items() if ts)
lesson.conclude(f"CycleDiffusion against SDEdit, by PSNR to the true dog: {said}.")

# %% [markdown]
# *Judged a dog* and *SSIM to the source* pull against each other. A low start leaves the cat as it is. A high one makes a dog,
# and forgets more of the cat. The PSNR to the true dog weighs the two. It can be high for an image that is half cat and half
# dog, so read it beside *judged a dog*. (Bands are 95 % bootstrap intervals over the images. The last line compares image by
# image, and is 'undecided' where the interval of the differences contains 0.)
#
# Compare the pictures with the Gaussians. There the share grows smoothly from T_es = 0 on. Here hardly anything moves at low
# starts, and then, a little higher, the cat turns into a dog. SDEdit, too, leaves a cat at low starts, although it has none of
# the cat's ε_t. So the code is not the reason. A likely reason is that cats and dogs do not overlap as the Gaussians do. At a
# low t, x_t still shows a cat. A model of dogs has never seen such an x_t, and only takes the noise away.
#
# ## Try it
#
# Choose a method and a start. Find the setting that you would show to others. Which of the numbers above speak against it?

# %%
some = slice(0, min(6, p.n_images))


def show(method, start):
    images = curves[method][start][some]
    sure, near = judged_dog(images).mean(), metrics.psnr(images, truth[some]).mean()
    like = metrics.ssim(images, x[some]).mean()
    title = f"judged dogs {sure:.0%}, PSNR to the true {near:.1f} dB, SSIM to x {like:.2f}"
    return plots.strips([x[some], images, truth[some]], ["x", method, "true dog"], [], title)


explore(show, method=choice(list(curves), "CycleDiffusion"), start=choice(stops, all_the_way))

# %% [markdown]
# ## Your own pictures
#
# Set `images` in the parameters cell to translate pictures of your own, of the source's kind. They have no true answer, so
# judge for yourself, with two numbers to help.

# %%
if p.images:
    mine = inputs.own_pictures(p.images, first.denoiser, p.n_images)
    ends = {t: (start_at(first, at(t)), start_at(dogs, at(t))) for t in p.t_es}
    mine_as = {f"T_es {t}": cycle_diffusion(mine, *both, p.seed) for t, both in ends.items()}

# %%
plots.strips([v[:8] for v in (mine, *mine_as.values())], ["x", *mine_as], []) if p.images else None

# %%
if p.images:
    for name, images in mine_as.items():
        as_dogs = unpaired.judged_as(images, dogs_world, critic).mean()
        lesson.record("own pictures: judged dogs", as_dogs, f"({name})")
        alike = metrics.ssim(images, mine).mean()
        lesson.record("own pictures: SSIM to x", alike, f"({name})")

# %% [markdown]
# ## What this does not say
#
# - We tried one stranger. Another one, of other data or another size, may give another answer. And both
#   networks have seen drawings of the same renderer.
# - The critic that judges was trained on clean drawings. On noisy or dotted images its readings are worse.
#   So a low correlation may be the fault of the code, the decoder or the critic. The true dogs only show that
#   clean images are read well.
# - `n_images` is small, so that the lesson runs in a minute. So quote the intervals, and not the means alone. With
#   `python -m lessons_lib.pages 08_unpaired_translation -p n_images 300` they are narrow.
# - Whether other methods make better dogs of these cats is lesson 08b.
