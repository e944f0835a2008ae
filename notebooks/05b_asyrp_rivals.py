# %% [markdown]
# # 05b · Asyrp and its rivals, at equal success
#
# **Afterwards you can say** in which seven other ways two texts can become an edit, and what each of them learns and costs.
# You know what a score of factors does not see, and why edits are compared at equal success. You know which forms f_t can
# have, and what limits an edit in h: the texts, the training, f_t or h itself.
#
# 60 minutes. Equations: Kwon et al. (ICLR 2023, arXiv 2210.10960) Figure 2 and Appendix; Dhariwal & Nichol 2021, Algorithm
# 2; Kim et al. 2022. Lesson 05 comes before this one: it explains the step, the loss and the scores.

# %% tags=["parameters"] nbmake={"mock": {"n_images": 2, "n_train": 4, "rounds": 2, "steps": 6}}
checkpoint = "faces"  # an embedded model, a folder, or a hub id such as "google/ddpm-cifar10-32"
prompt = ""  # the label of a model that draws what a label says, such as "3"
clip = "clip"  # reads the two texts and trains; a hub id such as "openai/clip-vit-base-patch32"
judge = "clip-judge"  # judges, and trains nothing
device = "cpu"
seed = 0  # of the faces that are edited, and of the trainings
steps = 10  # of the sampler, from noise to picture
n_images = 4  # faces that are edited
images = ""  # pictures of your own: a folder, a file, or a glob such as "me/*.jpg"
attributes = "smiling, old, glasses"  # trained directions, or folders of them, with commas between
looks = "zombie"  # trained directions towards what the network has never seen
learn = "smiling"  # the edit that every method makes
own_source = ""  # two texts of your own to learn instead: what is true,
own_target = ""  # and what should become true
clip_weight = 0.4  # of the loss's cosine; the paper has 0.8
l1_weight = 0.5  # of the change of the picture; the paper has 3 cos(texts)
reach_weight = 4.0  # of the third term, which the paper does not have
n_train = 24  # pictures to train on; the paper has 1,000
rounds = 10  # of training, for every method alike
batch = 4  # pictures of a round
first = 500  # the interval of what is trained here, in times of 1,000:
last = 200  # it acts at first ≥ t ≥ last

# %%
from lessons_lib import lesson
from lessons_lib.studies import attributes as study
from lessons_lib.studies import inputs

p = lesson.parameters(
    globals(), checkpoint=str, prompt=str, clip=str, judge=str, device=str,
    seed=(0, 289_999_999), steps=(4, 1000), n_images=(1, 64),
    attributes=str, looks=str, learn=list(study.ATTRIBUTES), n_train=(4, 1000),
    rounds=(1, 1000), batch=(1, 64), first=(1, 999), last=(0, 998), images=str,
    own_source=str, own_target=str, clip_weight=(0.0, 10.0), l1_weight=(0.0, 100.0),
    reach_weight=(0.0, 100.0),
)  # fmt: skip
inputs.check_networks(p)

# %%
import torch
from IPython.display import Markdown

from lessons_lib import Sampler, plots, worlds
from lessons_lib.code import plain
from lessons_lib.judges.counterfactual import texture
from lessons_lib.judges.evaluators import load_clip, load_critic
from lessons_lib.judges.tables import numbers
from lessons_lib.methods import rivals, training
from lessons_lib.methods.asyrp import Attention
from lessons_lib.studies import attributes as study
from lessons_lib.studies import brief, rivalry
from lessons_lib.studies.subjects import subjects
from lessons_lib.widgets import choice, explore

# %%
name = p.checkpoint
model = inputs.with_bottleneck(name, p.device, prompt=p.prompt)
clip, judge, critic = load_clip(p.clip, p.device), load_clip(p.judge, p.device), load_critic()
g = Sampler(model, steps=p.steps)
who = subjects(g, name, p.attributes, p.n_images, p.seed, images=p.images)
task = brief.task(g, clip, p, drawn=brief.called(p) in who.goals)
learnt, texts, truth = task.called, task.texts, task.called in who.goals
print(who.said or "Every edit here has a true counterfactual.")

# %% [markdown]
# ## Eight ways to the same edit
#
# The same faces as in lesson 05, the same two texts, and the same pictures to learn from. Whatever is trained gets the same
# short training (*Asyrp, here*). Beside it you will see lesson 05's longer training (*Asyrp, shipped*).
#
# | | what is moved | learnt for |
# |---|---|---|
# | Asyrp, here | h in P alone, by an f_t | all images |
# | Δε in both | ε in P and D: a free Δε_t at each step | all images |
# | Δε in P | ε in P alone: a free Δε_t at each step | all images |
# | Δh in both | h, but the edited ε in D as well | nothing new is learnt: the shipped f_t |
# | random Δh | h, as far as the shipped f_t moves it, in a random direction | nothing is learnt |
# | x_T moved | the code, down the gradient of the final picture's loss (the paper's Figure 2) | one image |
# | DiffusionCLIP | the whole network (Kim et al. 2022) | all images, at one scale |
# | classifier guidance | ε in both, by ∇ log p(target given x_t) (Dhariwal & Nichol 2021) | nothing is learnt |
#
# **Predict.** Which will achieve most? And which will drift least?

# %%
begins, ends = (g.schedule.t[task.sources.steps[i]].item() for i in (0, -1))
start = max([begins, *(e.terms[0][1].first for e in who.edits.values())])
before = g.decode(who.z).float().clamp(-1, 1)
late, z = training.from_first(g, who.z, start)  # no edit acts before: those steps are walked once
judged = rivalry.judge_of(who, learnt, before, texts, critic, judge)
if truth:
    goal = worlds.faces.render({**who.factors, **who.goals[learnt]}, model.shape[-1]).to(before)

# %%
given, asked = (task.sources, clip, *texts), task.settings
live = brief.learn(task, training.new_f_t(g, task.z, seed=p.seed), rate=4e-2)
tuned, tuned_seconds = brief.timed(lambda: rivals.diffusion_clip(*given, **asked, rate=1.3e-4))
shifts = {
    in_D: brief.timed(lambda in_D=in_D: rivals.eps_shift(*given, in_D, **asked, rate=0.065))
    for in_D in (True, False)
}


# %% [markdown]
# Two of the rows are not the published methods to the letter. Classifier guidance needs a classifier of noisy images. We
# train none: CLIP reads P_t, and chooses between the two texts. And moving x_T needs a gradient through every step, which is
# slow. So we search for x_T with a third of the steps, and then draw the picture with all of them. Some of its errors may
# come from this change of sampler.
#
# ### Exercise 1 · guided noise <small>(easy · 4 minutes)</small>
#
# Classifier guidance replaces ε by ε - s √(1-ᾱ_t) ∇ log p(target given x_t), in P and in D. By how much does P move? Write it
# as a function of the gradient, ᾱ_t and s. (P_t = (x_t - √(1-ᾱ_t) ε)/√ᾱ_t.)

# %% tags=["exercise"]
def move_of_P(gradient, a, scale):
    """P(guided ε) - P(ε): gradient is ∇ log p at x_t, a is ᾱ_t, scale is s."""
    return None


# %%
def by_guidance(gradient, a, scale):
    return scale * (1 - a) / a**0.5 * gradient


toy = torch.tensor([[1.0, -0.5], [0.3, 0.2]], dtype=torch.float64)
cases = [(toy, level, 2.0) for level in torch.tensor([0.2, 0.9], dtype=torch.float64)]
hints = [
    "put both ε into P = (x_t - √(1-ᾱ) ε) / √ᾱ, and subtract: x_t cancels",
    "two factors √(1-ᾱ) meet, one √ᾱ stays below, and two minus signs make a plus",
]
lesson.exercise(move_of_P, by_guidance, cases, hints);


# %% [markdown]
# <details><summary>Hint 1</summary>Subtract the two P. x_t is the same in both, so it cancels.</details>
# <details><summary>Hint 2</summary>-√(1-ᾱ)/√ᾱ times the change of ε, which is -s √(1-ᾱ) gradient.</details>
# <details><summary>Solution</summary>
#
# ```python
# def move_of_P(gradient, a, scale):
#     """P(guided ε) - P(ε): gradient is ∇ log p at x_t, a is ᾱ_t, scale is s."""
#     return scale * (1 - a) / a**0.5 * gradient
# ```
# </details>

# %%
def moved():
    """The pictures of moved codes."""
    short = Sampler(model, steps=max(2, p.steps // 3))
    l1 = asked["l1_weight"]
    z = rivals.moved_start(short, who.z, clip, *texts, rounds=p.rounds, rate=0.05, l1_weight=l1)
    return g.decode(z)


guided = {"scale": 50.0, "first": begins, "last": ends, "sharpness": 10.0}
edits = {"Asyrp, shipped": who.edits[learnt]} if learnt in who.edits else {}
edits["Asyrp, here"] = live.edit
reference = edits.get("Asyrp, shipped", live.edit)

# %%
ways = edits | {
    "Δh in both": rivals.in_both(reference),
    "random Δh": rivals.random_instead(reference, p.seed),
    "Δε in both": rivals.of_eps(shifts[True][0], 1.0, in_D=True),
    "Δε in P": rivals.of_eps(shifts[False][0], 1.0, in_D=False),
    "DiffusionCLIP": rivals.by_copy(tuned, begins),
    "classifier guidance": rivals.classifier_guidance(clip, *texts, **guided),
}
calls = {label: lambda way=way: late.decode(z, way) for label, way in ways.items()}
calls = {"no edit": lambda: late.decode(z, plain)} | calls | {"x_T moved": moved}
results = {label: brief.timed(call) for label, call in calls.items()}
images = {label: x.float().clamp(-1, 1) for label, (x, _) in results.items()}

# %% tags=["gallery"] sentence="Eight ways to one edit: of {methods that achieve at most as much as Asyrp|.0f} that Asyrp can equal in success, {of these, cleaner than Asyrp|.0f} change less of the rest than Asyrp, trained as shortly."
shown = images | ({"truth": goal} if truth else {})
columns = [k.replace(" ", "\n", 1).replace("nCLIP", "n\nCLIP") for k in shown]
by_image = torch.stack(list(shown.values()), 1)[:4].cpu()
plots.strips(by_image, [f"image {i}" for i in range(len(by_image))], columns)


# %% [markdown]
# The scores are those of lesson 05. Compare every row with two others. *No edit* shows what inversion and the critic's noise
# do by themselves. *Truth* shows what this critic gives to the true counterfactual. Then ask of each row:
#
# - Does it achieve much, and drift little? One alone is no success.
# - Is its S_dir above the truth's? Then it pleases CLIP more than a true counterfactual does.
# - Is its PSNR below that of *no edit*? Then, pixel by pixel, it is farther from the truth than if nothing had been done.

# %%
def table(rows, leave_out=("distance to truth", "quality, dB")):
    kept = {k: {c: v for c, v in row.items() if c not in leave_out} for k, row in rows.items()}
    return Markdown(numbers(kept))


rows = {label: judged(x) for label, x in shown.items()}
rows.get("truth", {}).pop("PSNR to truth", None)
table(rows)

# %%
for label, row in rows.items():
    for what in ("achieved", "drift", "identity", "texture") if truth else ("S_dir", "change"):
        lesson.record(f"{label}: {what}", row[what], show=False)
edited = {k: r for k, r in rows.items() if k not in ("no edit", "truth")}
measure = "achieved" if truth else "S_dir"
most = max(edited, key=lambda k: edited[k][measure])
lesson.conclude(f"most {measure}: {most} ({edited[most][measure]:.2f}).")
if truth:
    least = min(edited, key=lambda k: edited[k]["drift"])
    bar, floor = rows["truth"]["S_dir"], rows["no edit"]["PSNR to truth"]
    pleasing = [f"{k} ({r['S_dir']:.2f})" for k, r in edited.items() if r["S_dir"] > bar]
    near = {k: r["PSNR to truth"] for k, r in edited.items()}
    farther = [f"{k} ({v:.1f})" for k, v in near.items() if v < floor]
    lesson.conclude(
        f"least drift: {least} ({rows[least]['drift']:.3f}), which achieves {rows[least][measure]:.2f}."
    )
    lesson.conclude(f"S_dir above the truth's {bar:.2f}: {'; '.join(pleasing) or 'none'}.")
    lesson.conclude(f"PSNR below the {floor:.1f} dB of no edit: {'; '.join(farther) or 'none'}.")

# %% [markdown]
# Compare *Δh in both* with *Asyrp, shipped*, from which it comes. This is the theorem at work: in D as well, the same Δh
# cancels a good part of what it does in P.
#
# These scores are of a few images. What a method *costs* does not depend on them:
#
# - DiffusionCLIP learns the whole network anew for each attribute, and must store it.
# - Moving x_T is a new search for each picture. It also begins at T, where the others begin with the interval.
# - Guidance needs a backward pass at each step of its interval.
# - f_t is small, and works for every picture and scale.

# %%
learners = {"Asyrp, here": (live.count, live.seconds)}
learners["DiffusionCLIP"] = brief.count(tuned.net), tuned_seconds
for in_D, where in ((True, "both"), (False, "P")):
    learners[f"Δε in {where}"] = brief.count(shifts[in_D][0]), shifts[in_D][1]
costs = {k: {"edits, s": results[k][1]} for k in edited}
for k, (count, seconds) in learners.items():
    costs[k] |= {"learnt, millions": count / 1e6, "training, s": seconds}
table(costs)

# %%
lesson.conclude(
    f"DiffusionCLIP learns {brief.count(tuned.net) / live.count:.0f} times as many numbers as f_t. To move "
    f"x_T takes {results['x_T moved'][1] / results['Asyrp, here'][1]:.0f} times as long as an edit by f_t."
)


# %% [markdown]
# ## What a score of factors does not see
#
# Look at the pictures of *Δε in P*: they are covered with grain and stripes. Drift does not show it, because a critic that reads
# factors pays no attention to grain. So we need a number that does. The upper corners of these pictures are plain background,
# which an edit of a face should not touch. The *Laplacian* of a pixel is the sum of its four neighbours less four times the pixel
# itself. In a smooth area it is nearly 0. Grain makes it large.
#
# ### Exercise 2 · see the grain <small>(medium · 6 minutes)</small>
#
# Write the root of the mean square of the Laplacian, one number for each of B grey corners. Leave out the pixels of the rim,
# because they lack a neighbour. The column *texture* of the table is this number, over the three
# colours of both upper corners.

# %% tags=["exercise"]
def grain(corner):
    """The rms of the Laplacian (four neighbours less four times the middle) of each of (B, H, W): (B,)."""
    return None


# %%
def rms_of_laplacian(corner):
    v = corner[:, 1:-1, 1:-1]
    around = corner[:, 2:, 1:-1] + corner[:, :-2, 1:-1] + corner[:, 1:-1, 2:] + corner[:, 1:-1, :-2]
    return (around - 4 * v).square().mean((1, 2)).sqrt()


gen = torch.Generator().manual_seed(0)
ramp = torch.linspace(-1, 1, 6, dtype=torch.float64).expand(2, 5, 6)
noisy = ramp + 0.1 * torch.randn(2, 5, 6, generator=gen, dtype=torch.float64)
cases = [(noisy,), (torch.stack([ramp[0], noisy[0]]),)]
hints = [
    "shift the corner by one pixel in four directions, and leave out its rim",
    "square, take the mean over a picture's pixels and not over the batch, then the root",
]
lesson.exercise(grain, rms_of_laplacian, cases, hints);

# %% [markdown]
# <details><summary>Hint 1</summary><code>corner[:, 2:, 1:-1]</code> is the neighbour below, for all pixels but the rim.</details>
# <details><summary>Hint 2</summary>The result has one number a picture: <code>mean((1, 2))</code>.</details>
# <details><summary>Solution</summary>
#
# ```python
# def grain(corner):
#     """The rms of the Laplacian (four neighbours less four times the middle) of each of (B, H, W): (B,)."""
#     beside = corner[:, 1:-1, 2:] + corner[:, 1:-1, :-2]
#     above_below = corner[:, 2:, 1:-1] + corner[:, :-2, 1:-1]
#     return (beside + above_below - 4 * corner[:, 1:-1, 1:-1]).square().mean((1, 2)).sqrt()
# ```
# </details>

# %%
fig, ax = plots.figure(width=9, height=4.2)
for i, (label, x) in enumerate(images.items()):
    ax.plot(
        texture(x).cpu(),
        [i] * len(x),
        "o",
        color=plots.SOURCE if label == "no edit" else plots.EDITED,
    )
ax.set(
    yticks=range(len(images)),
    yticklabels=list(images),
    xlabel="texture of plain background",
)
ax.axvline(texture(before).mean().item(), color=plots.SOURCE, lw=1, ls=":"), ax.invert_yaxis()
fig

# %%
grainier = rivalry.grainier({k: x for k, x in images.items() if k != "no edit"}, before)
said = ", ".join(f"{label} (×{times:.1f})" for label, times in grainier.items()) or "none"
lesson.conclude(
    f"more grain than without an edit, in every picture, and by a tenth or more on average: {said}."
)

# %% [markdown]
# A point is a picture, and the dotted line is the mean without an edit. (Even without one there is some grain. The *texture* of
# the truth, which is drawn and not sampled, is far lower.)
#
# This speaks for h, and against a free shift of ε. The decoder turns a shifted h into what it has learnt to draw. A free Δε
# can add anything to the picture. Classifier guidance moves ε, too, but by a gradient that has gone through the network. And
# a fine-tuned network can learn to leave traces everywhere.
#
# ## At equal success
#
# An edit can achieve much and change everything else, too. No edit at all changes nothing. So rows are compared **at equal
# success**: Asyrp is scaled until it achieves as much as its rival, and then the two drifts are compared. This can be done with
# every rival that achieves no more than Asyrp does at some scale.
#
# **Predict.** How many of these rivals drift less than Asyrp, where both achieve as much?

# %%
cleaner = lesson.predict(
    "How many methods drift less than 'Asyrp, here'?", "none", "1 or 2", "3 or more"
)
cleaner

# %%
upwards, curves = [0.5, 1.0, 2.0], {}
for label, e in edits.items() if truth else ():
    points = [rows["no edit"], *(judged(x) for x in training.strip(late, z, e, upwards))]
    curves[label] = [[point[what] for point in points] for what in ("achieved", "drift")]


# %% [markdown]
# ### Exercise 3 · capstone: drift at equal success <small>(hard · 10 minutes)</small>
#
# We have measured Asyrp at a few scales. Each gives a point (achieved, drift), and the first point is no edit. Neighbours are
# joined by straight lines. Find the drift where this curve has `achieved` what is asked. A scale that is too strong may achieve
# *less* again, so there may be several such places. Then the one with the least drift counts. You may assume that there is at
# least one. The next figure uses your function.

# %% tags=["exercise"]
def drift_there(achieved, reached, drift):
    """The least drift of a curve where it has achieved so much; reached, drift: lists, at growing scales."""
    return None


# %%
cases = [
    (0.25, [0.0, 0.5, 1.0], [0.02, 0.04, 0.1]), (0.75, [0.0, 0.5, 1.0], [0.02, 0.04, 0.1]),
    (0.9, [0.0, 1.0, 0.8], [0.02, 0.1, 0.5]), (0.9, [0.0, 0.8, 1.0, 0.7], [0.02, 0.3, 0.5, 0.1]),
]  # fmt: skip
hints = [
    "look at each pair of neighbours, and ask whether `achieved` lies between them",
    "there the share of the way is (achieved - r0) / (r1 - r0); keep the least drift of all such pairs",
]
right = lesson.exercise(drift_there, rivalry.at_success, cases, hints)
at_success = drift_there if right else rivalry.at_success

# %% [markdown]
# <details><summary>Hint 1</summary>The second of the pair may achieve less than the first.</details>
# <details><summary>Hint 2</summary>drift = d0 + share · (d1 - d0), with the share of the way from r0 to r1.</details>
# <details><summary>Solution</summary>
#
# ```python
# def drift_there(achieved, reached, drift):
#     """The least drift of a curve where it has achieved so much; reached, drift: lists, at growing scales."""
#     found = []
#     for i in range(len(reached) - 1):
#         r0, r1, d0, d1 = *reached[i : i + 2], *drift[i : i + 2]
#         if min(r0, r1) <= achieved <= max(r0, r1) and r0 != r1:
#             found.append(d0 + (achieved - r0) / (r1 - r0) * (d1 - d0))
#     return min(found)
# ```
# </details>

# %%
beside, others = {}, [k for k in edited if not k.startswith("Asyrp")]
for label, (reached, drift) in curves.items():
    within = [k for k in others if 0.1 <= rows[k]["achieved"] <= max(reached)]
    beside[label] = {k: at_success(rows[k]["achieved"], reached, drift) for k in within}

# %%
fig = None
if truth:
    fig, axes = plots.figure(1, len(beside), width=12, height=4.8, squeeze=False)
    for ax, (label, found) in zip(axes[0], beside.items(), strict=True):
        pairs = {k: (ours, rows[k]["drift"]) for k, ours in found.items()}
        plots.dumbbells(ax, pairs, (label, "the other method"))
        ax.set(xlabel="drift, where both achieve as much", xlim=(0, None))
        ax.set_ylim(-0.6, len(pairs) + 1)  # room for the legend
fig

# %%
verdicts = {
    label: [k for k, ours in found.items() if rows[k]["drift"] < ours]
    for label, found in beside.items()
}
for label, found in verdicts.items():
    ours = beside[label]
    said = ", ".join(f"{k} ({rows[k]['drift']:.3f} against {ours[k]:.3f})" for k in found) or "none"
    lesson.conclude(f"{len(ours)} methods can be compared with '{label}'. Less drift: {said}.")

# %%
count = len(verdicts.get("Asyrp, here", ()))
compared = len(beside.get("Asyrp, here", ()))
lesson.record("methods that achieve at most as much as Asyrp", compared, show=truth)
lesson.record("of these, cleaner than Asyrp", count, show=truth)
if truth:
    lesson.compare(cleaner, cleaner.choices[(count >= 1) + (count >= 3)])

# %% [markdown]
# A square left of its dot drifts less than Asyrp at the same success. Left out are methods that achieve more than Asyrp does at
# any scale, and those that achieve less than a tenth. Drift is not all: a row that is near Asyrp here may be full of grain. With
# so few images and rounds a row may change places with its neighbour. Set `n_images`, `rounds` and `n_train` higher for a
# verdict.
#
# ## With minutes of training in place of seconds
#
# Which of the two keeps more of a person at equal success: a whole network, fine-tuned for this one edit, or Δh? This was
# measured before, on 64 faces that neither had seen (`python -m lessons_lib.recipes.directions NAME --measure --rival`), and
# is read from the direction's card. Both learnt from the same texts and the same pictures, each step by itself. Only the
# shipped Asyrp had lesson 05's second training. It is scaled to achieve as much as DiffusionCLIP.
#
# **Predict.** Which drifts less, and whose identity is nearer to 1?

# %%
equal = rivalry.beside_diffusion_clip(who.edits)
table(equal) if equal else None

# %%
named = list(equal.items())
for (called, theirs), (_, ours) in zip(named[::2], named[1::2], strict=True):
    lesson.conclude(
        f"*{called.partition(':')[0]}*: where both achieve {ours['achieved']:.2f}, DiffusionCLIP drifts by "
        f"{theirs['drift']:.3f} and Asyrp by {ours['drift']:.3f}; the identity is {theirs['identity']:.2f} "
        f"and {ours['identity']:.2f}."
    )

# %% [markdown]
# Less drift is better, and so is more identity. Where DiffusionCLIP has both, it is the better editor of this one attribute.
# Its price lies elsewhere. It has far more numbers to learn, and to store, for each attribute. And to combine two of its edits
# one mixes the ε of several networks at each step (Kim et al. call it noise combination). Two Δh are simply added before one
# pass of the decoder (lesson 07).

# %% [markdown]
# ## Other f_t
#
# The paper's f_t is made of convolutions of size 1: it treats each place of h by itself. There are other forms: **attention** over
# h's places; a **free Δh_t** for each step, which depends neither on the image nor on other steps (the paper reports that it
# needs a longer training); **one Δh** for all images and all steps.
#
# **Predict.** All get the same short training, each at a learning rate of its own. Which achieves most?

# %%
times = g.schedule.t[task.sources.steps]
forms = {
    "attention": (training.new_f_t(g, task.z, Attention, seed=p.seed), 2e-2),
    "a free Δh_t": (training.new_delta_h(g, task.z, times), 1.3),
    "one Δh": (training.new_delta_h(g, task.z, times[:1]), 1.3),
}
taught = {"conv (the paper's)": live}
taught |= {label: brief.learn(task, form, rate) for label, (form, rate) in forms.items()}

# %%
variants = {label: late.decode(z, e.edit) for label, e in taught.items()}
plots.strips([before.cpu(), *[v.cpu() for v in variants.values()]], ["no edit", *variants], [])

# %%
rows_of_forms = {
    label: {
        "learnt, thousands": taught[label].count / 1000,
        "training, s": taught[label].seconds,
        "last cosine": taught[label].rounds[-1].towards,
    }
    | judged(x)
    for label, x in variants.items()
}
table(rows_of_forms, ("distance to truth", "quality, dB", "PSNR to truth", "identity", "texture"))

# %%
for label, row in rows_of_forms.items():
    for what in ("achieved", "drift") if truth else ("S_dir", "change"):
        lesson.record(f"f_t by {label}: {what}", row[what], show=False)
best = {
    what: max(rows_of_forms, key=lambda k: rows_of_forms[k][what])
    for what in ("last cosine", measure)
}
said = (f"highest {what}: {k} ({rows_of_forms[k][what]:.2f})" for what, k in best.items())
lesson.conclude("; ".join(said) + ".")

# %% [markdown]
# Each form has its own learning rate (a free number is not a network's weight), found by a few tries only. So this table compares
# how each form *starts*, and not what it can reach. Attention starts slowest: we tried rates from 0.005 to 0.08, and none of them
# brings it near the convolutions in so few rounds. The form with the highest cosine need not achieve most, because a cosine
# says nothing of size. And a high *last cosine* need not mean a high S_dir. The first is what the training CLIP says of one batch of
# training pictures, and varies by about a tenth. The second is what the judge says of the edited faces.
#
# ## Appendix: what falls short?
#
# **What limits an edit in h: the texts, the training, f_t, or h?** The texts can be tested at once. Here the true change of the
# picture is known, and CLIP gives it a ΔI. The cosine of this ΔI with ΔT says how well the two texts *point*, before
# anything is trained. Near 1 the texts are not what falls short.

# %%
unseen = subjects(g, name, p.looks, 1, p.seed).edits if truth else {}
wanted = [k for k in [*who.goals, *unseen] if k in study.ATTRIBUTES]
pointing = {
    k: {
        "cos(ΔT, ΔI of the true change)": rivalry.pointing(
            study.ATTRIBUTES[k], who.factors, clip, model
        )
    }
    for k in wanted
}
for k, row in pointing.items():
    lesson.record(f"{k}: cos(ΔT, ΔI of the true change)", *row.values(), show=False)
table(pointing) if pointing else None

# %%
cosines = {k: next(iter(row.values())) for k, row in pointing.items()}
if cosines:
    best, worst = (f(cosines, key=cosines.get) for f in (max, min))
    lesson.conclude(
        f"the texts point best for {best} ({cosines[best]:.2f}) and worst for {worst} ({cosines[worst]:.2f})."
    )

# %% [markdown]
# For the other three, change one thing at a time: **who teaches**, two texts or the truth, and **who learns**, one f_t for
# everybody or a free Δh_t for each picture ('its own Δh' in the table). These are the cases:
#
# - *f_t, by two texts*: the shipped edit, with both of its trainings (lesson 05).
# - *f_t, told the truth*: trained on the same pictures, but towards their *true* counterfactuals (`rivals.taught_f_t`), each
#   step by itself.
# - *f_t, told through all steps*: the same, and then trained further through all steps of the interval.
# - *its own Δh, by two texts* and *its own Δh, told the truth*: fitted through all steps at once (`rivals.best_delta_h`).
#
# These measurements take minutes, so they were made before (`python -m lessons_lib.recipes.directions NAME --measure
# --ceiling 6`), and are read from the cards of those directions for which all were made. The rows of 'its own Δh' are of far
# fewer pictures than the others (the card says how many). *Share with 60 % or more* is the share of the pictures that achieve
# .6. The last column compares at equal success: it is the drift of *f_t, by two texts* at the scale at which it achieves as
# much as the row.
#
# **Predict.** Who drifts less at equal success: the f_t that learnt from two texts, or the one that was told the truth?

# %%
measures = ("achieved, mean", "share with 60 % or more", "drift", "PSNR to truth")
rows = rivalry.levels(who.edits, measures)
tested = [k for k in who.edits if f"{k}: f_t, told the truth" in rows]
rows = {k: row for k, row in rows.items() if k.partition(":")[0] in tested}
table(rows) if rows else None

# %%
for label, row in rows.items():
    if rivalry.AS_MUCH in row and ("told" in label or "own" in label):
        ours, theirs = row["drift"], row[rivalry.AS_MUCH]
        better = "less" if ours < theirs else "more"
        lesson.conclude(
            f"*{label}* achieves {row['achieved, mean']:.2f}, with drift {ours:.3f}: {better} than the "
            f"{theirs:.3f} of the f_t by two texts where it achieves as much."
        )

# %% [markdown]
# For *smiling* compare the drift of each row with the last column:
#
# - *Its own Δh, told the truth*: less drift than f_t at equal success, and by far the highest PSNR. So for these few
#   pictures there is an h that draws the edit. **h is not the limit.**
# - A better *teacher* alone (*f_t, told the truth* or *told through all steps*): the drift is lower than that of the shipped edit,
#   but so is what is achieved. At equal success it is higher. So the truth, told in pixels, does not teach an f_t better than
#   two texts do.
# - A better *learner* alone (*its own Δh, by two texts*): more drift at equal success. Such a Δh is free to please CLIP on one
#   picture, and finds changes that CLIP rewards and that are not those of a smile. An f_t must fit many faces, and finds fewer of
#   them.
#
# It takes both together: a teacher that knows the truth, and a learner for each picture.
#
# Two cautions. 'Told the truth' means squared errors of *pixels*. In these a mouth counts little beside the skin, which may be
# why an f_t that learnt from texts achieves more. And the shipped f_t had another training than the others, with a strong
# penalty on change. A part of the difference may come from that.

# %% [markdown]
# ## Appendix: what the network has never seen
#
# CLIP knows robots, zombies and clowns from texts and pictures. The network that draws has seen none. Kwon et al. (Figure 5)
# edit faces into such unseen looks. Here the true picture is known: the same face, drawn as a zombie.
#
# **Predict.** A zombie is green, and this network has never drawn a green face. If f_t is told the true pictures, will the critic
# call its edits zombies?

# %%
strange, called = [before], ["no edit"]
for look, e in unseen.items():
    at, z_at = training.from_first(g, who.z, e.terms[0][1].first)
    strange.append(at.decode(z_at, e))
    called.append(look)
    if look in study.ATTRIBUTES:
        strange.append(study.goal(study.ATTRIBUTES[look], who.factors, model.shape[-1]))
        called.append("truth")
plots.strips([v.cpu() for v in strange], called, []) if unseen else None

# %%
rows = rivalry.levels(unseen, ("critic calls it so", "PSNR to truth"))
table(rows) if rows else None

# %%
for look in unseen:
    plainly = rows[f"{look}: no edit"]["PSNR to truth"]
    sure = {k: r for k, r in rows.items() if k.startswith(look) and "PSNR to truth" in r}
    says = {k: r["critic calls it so"] for k, r in sure.items() if r["critic calls it so"] > 0.5}
    near = {k: r["PSNR to truth"] for k, r in sure.items() if r["PSNR to truth"] > plainly}
    called = (
        f"mostly called a {look}",
        f"nearer to the truth than no edit ({plainly:.1f} dB)",
        "both",
    )
    both = dict.fromkeys(says.keys() & near.keys())
    for what, which, unit in zip(
        called, (says, near, both), ("{:.0%}", "{:.1f} dB", ""), strict=True
    ):
        said = (f"{k.partition(': ')[2]} {unit.format(v)}".strip() for k, v in which.items())
        lesson.conclude(f"{what}: {'; '.join(said) or 'none'}.")


# %% [markdown]
# The rows are as in the table before: *by two texts* is the shipped edit, which the strip shows. (The rows of 'its own Δh' are
# again of far fewer pictures.) The two columns need not agree. Squared errors reward the large, plain parts, such as skin and
# hair. The critic also looks for wounds and eyes.
#
# - A row that is mostly called a zombie shows that a shift of h can make the critic *say* so.
# - Only a row that is *also* nearer to the truth than no edit would show that a shift of this network's h can draw one. Is there
#   any? The last line says it.
#
# And look at the eyes in the strip. The true zombie has dark rings around them, and the shipped edit has drawn glasses. This
# decoder has never seen such rings, but it knows glasses. It has learnt from one renderer, and draws what that renderer draws.

# %% [markdown]
# ## Try it
#
# Choose a method and an image. The third panel shows the difference to no edit.

# %%
def show(method, image):
    x = images[method][image].cpu()
    start = images["no edit"][image].cpu()
    fig, axes = plots.figure(1, 3, width=10, height=3.6)
    for ax, (title, v) in zip(
        axes, {"no edit": start, method: x, "difference": x - start}.items(), strict=True
    ):
        plots.picture(ax, v, title)
    return fig


explore(
    show, method=choice([k for k in images if k != "no edit"], "Δε in P"),
    image=choice(list(range(len(before))), 0),
)  # fmt: skip

# %% [markdown]
# ## What this does not say
#
# - The rivals were trained as shortly as f_t, and not as their authors would train them. So the tables do not say what each could
#   reach with more time. Only DiffusionCLIP was given minutes.
# - 'Achieved' is what a critic reads in a few faces of a drawn world: the row of the truth shows its errors.
# - 'Told the truth' is no method, because nobody has true pictures of an edit. It only shows what is possible in h.
# - One decoder, trained on one renderer. Lesson 11 asks the same of a latent model that reads texts.
