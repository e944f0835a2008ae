# %% [markdown]
# # 00 · Start here: one map, four worlds, a zoo
#
# **Afterwards you can say** what the one idea of all lessons is, which pictures they use and what we know
# about these that nobody knows about a photograph, how good the networks are that come along, who judges them,
# and how to run a lesson on a checkpoint of your own.
#
# 45 minutes. There is only one equation yet: x = G(z).

# %% tags=["parameters"] nbmake={"mock": {"n_images": 2, "steps": 4}}
checkpoint = "faces"  # an embedded model, a folder, or a hub id such as "google/ddpm-cifar10-32"
prompt = ""  # what a model that reads texts draws, such as "a portrait of a person"
device = "cpu"
seed = 0
steps = 20
n_images = 6
images = ""  # pictures of your own: a folder, a file, or a glob such as "me/*.jpg"

# %%
from lessons_lib import lesson
from lessons_lib.studies import inputs

p = lesson.parameters(
    globals(), checkpoint=str, prompt=str, images=str, device=str, seed=(0, 999_000), steps=(2, 1000),
    n_images=(1, 6),
)  # fmt: skip
inputs.check_networks(p)

# %%
import torch
from IPython.display import Markdown

from lessons_lib import Sampler, checkpoints, doctor, load, plots, worlds
from lessons_lib.judges import metrics
from lessons_lib.judges.counterfactual import manifold_distance, nearest_factors, readings
from lessons_lib.judges.evaluators import load_critic
from lessons_lib.studies import zoo
from lessons_lib.widgets import explore_factors

# %% [markdown]
# ## The one idea
#
# A diffusion model starts from noise and removes it step by step. Put *all* the noise it uses into one
# **code** z: the start x_T, and the noise that each step adds. Then nothing random is left. The sampler is a
# deterministic map, **x = G(z)**. Everything here uses that map, or its inverse:
#
# - sampling is G of a random code,
# - reconstruction is G of the code of an image: G(G⁻¹(x)),
# - translation is G⁻¹ by one model, and G by another,
# - editing changes something on the way from z to x.
#
# **Predict.** We decode the same codes twice, with a *stochastic* sampler: one that adds fresh noise in each step
# (η = 1 in the code; lesson 01 explains η). Then we encode pictures that the network has never seen. Will they
# come back?

# %%
same_twice = lesson.predict(
    "The same codes, decoded twice.", "the same images", "similar images", "new images"
)
same_twice

# %%
model = inputs.model_for(p.checkpoint, p.device, p.steps, prompt=p.prompt)
g = Sampler(model, steps=p.steps, eta=1.0)
z = g.draw(p.n_images, seed=p.seed)  # random codes
x = g.decode(z)  # G
kind, real = next(iter(inputs.kinds(model, p.n_images, p.seed, p.images).items()))
back = g.decode(g.encode(real, seed=p.seed))  # G⁻¹, then G

# %% tags=["gallery"] sentence="A random code becomes a picture, the same code the same picture, and a picture comes back from its code to {a picture and G(G\u207b\u00b9(picture)) differ by|.0e}."
rows = [z.x_T, x, g.decode(z), real, back]
names = ["x_T, of z", "x = G(z)", "G(z) again", kind, "G(G⁻¹(x))"]
plots.strips([model.pictures(row) for row in rows], names, [f"{i}" for i in range(p.n_images)])

# %%
twice = lesson.record("two decodings of one code differ by", (x - rows[2]).abs().max())
lesson.record("a picture and G(G⁻¹(picture)) differ by", (back - real.to(back)).abs().max())
lesson.compare(same_twice, "the same images" if twice < 1e-3 else "similar images");

# %% [markdown]
# Compare the two numbers with the largest possible difference, 2 (images are from -1 to 1). The same code gives the same
# images, for the fresh noise of a stochastic sampler is part of its code. And every picture comes back, except for
# rounding, even though the network has never seen it. Lesson 03 explains how G⁻¹ finds such a code.
#
# ## The lessons

# %%
Markdown(zoo.lessons())

# %% [markdown]
# Each lesson asks you to **predict** before each figure. Please do. Press a button where there are some, and say
# it aloud or write it down where there are none. A figure teaches more if it can prove you wrong.
#
# Each lesson has exercises that check themselves. One of them is a **capstone**: the figure after it is drawn by
# the function that you have written (by the library's, until yours is right).

# %% [markdown]
# ## The worlds
#
# A *world* draws pictures from known causes, its **factors**. A seed gives the factors. The factors give three
# things: the picture, a map of which pixel shows what (the mask), and a sentence about it (the caption). There
# are four worlds. Three are shown here; the fourth, *looks*, comes a little later.

# %%
batches = {w.name: w.sample(8, seed=p.seed) for w in (worlds.faces, worlds.animals, worlds.scenes)}
plots.strips([b.image for b in batches.values()], list(batches), [])

# %%
for name, batch in batches.items():
    print(f"{name}, {len(batch.factors)} factors. The first: {batch.caption[0]}.")

# %% [markdown]
# ### Move the causes
#
# Choose a world and move its sliders: the picture is drawn anew, with its mask and its caption. The strip
# lays out one factor over its range, while all others stay.
#
# **Predict.** In the strip of `smile`, what besides the mouth will change?

# %%
explore_factors(["faces", "animals", "scenes", "looks"], seed=p.seed, vary="smile")

# %% [markdown]
# Nothing. Only the mouth changes, with its lips and teeth. Everything else, pixel by pixel, is as it was.

# %% [markdown]
# ### What no photograph can give
#
# You edit a face: 'make her smile'. Was the edit right? With photographs the best you can compare with is
# *another* picture of a smiling person. A world draws the **true counterfactual**: the same face, smiling.
#
# **Predict.** We search 400 other faces that smile for the one nearest to our smiling face. Is it nearer than
# the same face without a smile?

# %%
nearer = lesson.predict(
    "Which is nearer to the smiling face?", "the nearest of 400 others", "the same face, unedited"
)
nearer

# %%
face = worlds.faces.sample_factors(1, seed=p.seed)
source, smiling = (worlds.faces.render(face | {"smile": v}) for v in (-0.6, 0.9))
others = worlds.faces.sample_factors(400, seed=p.seed + 1)
pictures = worlds.faces.render(others | {"smile": 0.9}, 32)
away = metrics.rms(pictures, worlds.faces.render(face | {"smile": 0.9}, 32))
nearest = {k: v[away.argmin()] for k, v in others.items()} | {"smile": 0.9}
row = torch.cat([source, worlds.faces.render(nearest), smiling, smiling - source])
labels = ["source", "nearest of 400", "counterfactual", "difference"]
plots.strips([row], [""], labels)

# %%
changed = ((smiling - source).abs().amax(1) > 1 / 255).double().mean()
lesson.record("share of the pixels that a smile changes", changed)
lesson.record("rms distance of the nearest of 400 smiling faces", away.min())
lesson.record("rms distance of the source itself", metrics.rms(source, smiling))
lesson.compare(nearer, nearer.choices[int(away.min() > metrics.rms(source, smiling))]);

# %% [markdown]
# The difference (grey is none) is a mouth. With photographs the goal would be some other face. Compare the last
# two distances: an edit that aims at another face may end farther from the truth than no edit at all. So the
# lessons on editing compare every edit with the true counterfactual.
#
# It works across kinds, too. One seed is a cat, a dog and a fox in the same pose, fur and light. In the same way
# one face is also a robot, a zombie, a painting and a clown. These four are the *looks*: there are captions for
# them, but no model of faces has ever seen one.

# %%
kinds = ["cats", "dogs", "wild", "faces", "robots", "zombies", "paintings", "clowns"]
rows = [worlds.WORLDS[name].sample(8, seed=p.seed).image for name in kinds[:3]]
people = worlds.faces.sample_factors(8, seed=p.seed)
rows += [worlds.WORLDS[name].render(people) for name in kinds[3:]]
plots.strips(rows, kinds, [])


# %% [markdown]
# ### Exercise 1 · change two causes <small>(easy · 4 minutes)</small>
#
# Return the picture of a seed's face, with glasses (`glasses` is 1) and old (`age` is 1), and nothing else
# changed. `worlds.faces.sample_factors(1, seed)` gives the factors of one face, a dict. `worlds.faces.render(factors)`
# gives its picture.

# %% tags=["exercise"]
def old_with_glasses(seed):
    """The picture (1, 3, 64, 64) of the face of `seed`, old and with glasses."""
    return None


# %%
def library_picture(seed):
    return worlds.faces.render(worlds.faces.sample_factors(1, seed) | {"glasses": 1, "age": 1})


hints = [
    "factors are a dict: {**factors, 'age': 1.0} is another one with one value changed",
    "give `worlds.faces.render` the dict of `sample_factors(1, seed)` with both values changed to 1",
]
lesson.exercise(old_with_glasses, library_picture, [(3,), (4,), (8,)], hints);

# %% [markdown]
# <details><summary>Hint 1</summary>The dict's keys are the factors' names, its values tensors.</details>
# <details><summary>Hint 2</summary><code>factors | {"glasses": 1, "age": 1}</code> is the dict with two values
# changed; <code>render</code> takes a number for a tensor.</details>
# <details><summary>Solution</summary>
#
# ```python
# def old_with_glasses(seed):
#     """The picture (1, 3, 64, 64) of the face of `seed`, old and with glasses."""
#     factors = worlds.faces.sample_factors(1, seed)
#     return worlds.faces.render(factors | {"glasses": 1, "age": 1})
# ```
# </details>

# %%
COLORS = ("red", "blue", "yellow", "white")


# %% [markdown]
# ### Exercise 2 · paint the house <small>(medium · 6 minutes)</small>
#
# Seed 49 of `worlds.scenes` has a white house at the left. Return a seed's scene with what stands at the left painted in
# the colour `color`. The factor is `left_color`, a number: the place of the colour in `COLORS`, so 'red' is 0.
#
# **Predict** before you run the check: what will change in the caption, and what in the mask?

# %% tags=["exercise"]
def repainted(seed, color):
    """The scene (1, 3, 64, 64) of `seed`, with `left_color` as the word `color` says."""
    return None


# %%
def library_scene(seed, color):
    painted = {"left_color": COLORS.index(color)}
    return worlds.scenes.render(worlds.scenes.sample_factors(1, seed) | painted)


cases = [(49, "red"), (49, "blue"), (25, "yellow")]
hints = [
    "one factor, `left_color`, a number",
    "`sample_factors(1, seed) | {'left_color': COLORS.index(color)}` are the factors to render",
]
lesson.exercise(repainted, library_scene, cases, hints);

# %% [markdown]
# <details><summary>Hint 1</summary>It is Exercise 1 with another world, and one factor.</details>
# <details><summary>Hint 2</summary><code>COLORS.index(color)</code> is the number.</details>
# <details><summary>Solution</summary>
#
# ```python
# def repainted(seed, color):
#     """The scene (1, 3, 64, 64) of `seed`, with `left_color` as the word `color` says."""
#     factors = worlds.scenes.sample_factors(1, seed)
#     return worlds.scenes.render(factors | {"left_color": COLORS.index(color)})
# ```
# </details>

# %%
white = worlds.scenes.sample_factors(1, seed=49)
painted = [white | {"left_color": color} for color in (3, 0, 1, 2)]
rows = [torch.cat([worlds.scenes.render(f) for f in painted])]
plots.strips(rows, ["scene 49"], ["white", "red", "blue", "yellow"])

# %%
for f in painted[:2]:
    print(worlds.scenes.captions(f, seed=49)[0])
moved = (worlds.scenes.mask(painted[0]) != worlds.scenes.mask(painted[1])).double().mean()
lesson.record("share of the mask that changes", moved);


# %% [markdown]
# One word of the caption changes, and nothing of the mask: the house is painted, not moved. Seed and words
# go together: with another `seed`, `captions` says the same in another way.

# %% [markdown]
# ### Exercise 3 · capstone: a judge of edits <small>(medium · 10 minutes)</small>
#
# Write the simplest fair judge. It says how much of the way from the source to the true counterfactual an edit
# has gone: 0 where it is as far from the truth as the source, 1 where it is the truth, below 0 where it is
# farther away than doing nothing. Distance is the root mean square over all pixels of a picture. Each picture of
# the batch gets its own number.
#
# The figure after it is scored by your function.

# %% tags=["exercise"]
def way_gone(edited, source, truth):
    """Share of the way from source to truth, (B,), of edited pictures; all are (B, C, H, W)."""
    return None


# %%
def library_way_gone(edited, source, truth):
    return 1 - metrics.rms(edited, truth) / metrics.rms(source, truth)


blend = torch.lerp(source, smiling, 0.25)
trio = (
    torch.cat([source, smiling, blend]),
    source.expand(3, -1, -1, -1),
    smiling.expand(3, -1, -1, -1),
)
draw = torch.randn(3, 2, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
hints = [
    "two distances for each picture: edit to truth, and source to truth",
    "(edited - truth).square().mean((1, 2, 3)).sqrt() is one of them; take 1 minus their ratio",
]
right = lesson.exercise(way_gone, library_way_gone, [tuple(draw), trio], hints)
judge = way_gone if right else library_way_gone

# %% [markdown]
# <details><summary>Hint 1</summary>The mean over axes 1, 2 and 3 leaves one number for each picture.</details>
# <details><summary>Hint 2</summary>1 minus (edit to truth) / (source to truth).</details>
# <details><summary>Solution</summary>
#
# ```python
# def way_gone(edited, source, truth):
#     """Share of the way from source to truth, (B,), of edited pictures; all are (B, C, H, W)."""
#     left = (edited - truth).square().mean((1, 2, 3)).sqrt()
#     return 1 - left / (source - truth).square().mean((1, 2, 3)).sqrt()
# ```
# </details>
#
# **Predict.** Six edits of one face. Which of them will score below 0?

# %%
changes = ({"smile": 0.15}, {"smile": 0.8}, {"smile": 0.9, "skin": 0.0})
half, most, pale = (worlds.faces.render(face | v) for v in changes)
edits = {
    "no edit": source, "half a smile": half, "most of it": most, "smiling": smiling,
    "smiling,\nother skin": pale, "nearest\nof 400": worlds.faces.render(nearest),
}  # fmt: skip
tried = torch.cat(list(edits.values()))
marks = judge(tried, source.expand_as(tried), smiling.expand_as(tried)).tolist()
plots.strips([tried], [""], [f"{k}\n{v:.2f}" for k, v in zip(edits, marks, strict=True)])

# %%
below = [k.replace("\n", " ") for k, v in zip(edits, marks, strict=True) if v < -1e-6]
lesson.conclude(
    f"worse than no edit: {', '.join(below) or 'none'}. Most of a smile scores {marks[2]:.2f}."
)

# %% [markdown]
# An edit that changes what nobody asked for can score worse than no edit, however well it smiles. Lessons 05 to 12
# test every method for this. But pixels are a harsh judge of thin shapes. The mouth of half a smile lies
# between the two other mouths. It overlaps with neither, and so it scores near 0 although it is on the right way.
# The other lessons therefore also *read* the smile with a network, which the appendix shows.
#
# ---
#
# The story ends here. What follows is an appendix: the networks, their judges, and your own checkpoint.
#
# ## Appendix 1 · the zoo
#
# These models come along. Each was trained by this project on pictures of a world. Only `digits` was not trained: it
# is exact, a Gaussian on each of 1,797 handwritten digits. On the left are samples, the first that came and not the
# best (with this lesson's `steps`, or as many as a model has). On the right are pictures of the world that the
# network was never shown.
#
# **Predict.** Cover the right half. What would give the samples away?

# %%
generators = [name for name in checkpoints.names() if name != "moons"]  # points, see lesson 01
pairs = {name: zoo.beside_data(name, p.n_images, p.steps, p.seed, p.device) for name in generators}
rows = [
    torch.cat([v.float().cpu() for v in (x, torch.ones_like(x[:1]), data)])
    for x, data, _ in pairs.values()
]
columns = ["sample"] * p.n_images + [""] + ["data"] * p.n_images
plots.strips(rows, generators, columns)

# %%
for name, (_, _, captions) in pairs.items():
    for i, caption in enumerate(captions):
        print(f"{name} {i}: {caption}")
Markdown(zoo.figures(generators))

# %% [markdown]
# The exact model's samples look like its data. The networks are right about the layout and the colours. Fine
# details give most of them away: eyes, whiskers, the rims of glasses, some grain. With few steps a model can also be
# blurred, or can leave out small things.
#
# Each model has a card, a small file with what was measured of it. The table's numbers are from the cards (made by
# `python -m lessons_lib.recipes.figures NAME`). A model without a column has not been measured in this way. You need not
# understand every row now. FID compares two *sets* of pictures by a network's features; less is better. Its floor is what
# two halves of the *data* score. So read the row *FID / floor*: at 1 the samples would be as good as data. The rows
# *manifold distance* and *nearest drawing* are explained further below.

# %% [markdown]
# ## Appendix 2 · who judges?
#
# Nobody can look at a thousand edits. The **critic** is a small network that reads a picture's factors, mask,
# kind and person. We can compare its readings with the truth, which the world knows.
#
# **Predict.** Which will it read worst: smile, age, the size of the nose, or the colour of the background?

# %%
critic = load_critic(device=p.device)
held_out = worlds.faces.sample(256, seed=p.seed + 1, size=32)
read, true = readings(held_out.image, "faces", critic), held_out.factors
r2 = {k: 1 - (read[k] - v).square().mean() / v.var() for k, v in true.items()}
ranked = sorted(r2, key=r2.get)

# %%
fig, axes = plots.figure(1, 4, width=15, height=3.8)
for ax, name in zip(axes, ("smile", "age", "nose_size", "background"), strict=True):
    ax.scatter(true[name], read[name], s=12, color=plots.P)
    ax.plot(*[[true[name].min(), true[name].max()]] * 2, color=plots.SOURCE, lw=1.5)
    ax.set(title=f"{name}: R² = {r2[name]:.2f}", xlabel="true", ylabel="read")
fig

# %%
for name in (ranked[0], ranked[len(ranked) // 2], ranked[-1]):
    lesson.record(f"R² of {name}", r2[name])


# %% [markdown]
# R² is 1 where all readings are right, and 0 where they are no better than the average. Most factors lie on the
# line. Age is flat over its younger part, because it hardly shows there: grey hair and lines come later. The nose is
# only a few pixels. The critic reads it roughly, and its answers are drawn towards the average. Do not trust it
# there: an evaluator that reads something badly does not notice when an edit spoils it.

# %% [markdown]
# ### Exercise 4 · is she wearing glasses? <small>(easy · 4 minutes)</small>
#
# Glasses are a yes or no, and the critic's reading is a probability. Turn readings into an accuracy: the
# share of pictures in which reading and truth are on the same side of one half.

# %% tags=["exercise"]
def accuracy(read, true):
    """Share of `read` (N,) on the same side of 0.5 as `true` (N,), both in [0, 1]."""
    return None


# %%
def library_accuracy(read, true):
    return 1 - ((read - 0.5).sign() != (true - 0.5).sign()).double().mean()


cases = [(torch.tensor([0.9, 0.2, 0.6, 0.4]), torch.tensor([1.0, 0.0, 0.0, 1.0]))]
cases += [(read["glasses"], true["glasses"])]
hints = [
    "compare two yes-or-no tensors, then average",
    "`(read > 0.5) == (true > 0.5)` is yes where both are on the same side",
]
lesson.exercise(accuracy, library_accuracy, cases, hints);

# %% [markdown]
# <details><summary>Hint 1</summary><code>read &gt; 0.5</code> is a tensor of yes and no.</details>
# <details><summary>Hint 2</summary>The mean of yes and no needs numbers: <code>.double().mean()</code>.</details>
# <details><summary>Solution</summary>
#
# ```python
# def accuracy(read, true):
#     """Share of `read` (N,) on the same side of 0.5 as `true` (N,), both in [0, 1]."""
#     return ((read > 0.5) == (true > 0.5)).double().mean()
# ```
# </details>

# %%
lesson.record("glasses right, of 256 held-out faces", library_accuracy(*cases[1]));

# %% [markdown]
# ### How far from the world?
#
# Let the critic read a picture, and let the world draw what the critic read. For a picture *of the world* the drawing
# is like the picture, up to the critic's errors. For any other picture it cannot be: the world has no such picture.
# The PSNR between picture and drawing is called the **manifold distance**. It is in dB. In spite of its name *more is
# nearer*.
#
# **Predict.** Order them: a held-out picture, the same under faint noise (0.1), a model's sample.

# %%
noise = torch.Generator().manual_seed(p.seed)
groups = {}
for name, (x, data, _) in pairs.items():
    if name in worlds.WORLDS:
        noisy = data + 0.1 * torch.randn(data.shape, generator=noise)
        groups[name] = [data, noisy, x.float().cpu()]

# %%
name = next(iter(groups))
pictures = torch.cat([images[:4] for images in groups[name]])
drawn = worlds.WORLDS[name].render(readings(pictures, name, critic), pictures.shape[-1])
columns = [kind for kind in ("data", "noisy", "sample") for _ in range(len(pictures) // 3)]
plots.strips([pictures, drawn], [name, "drawn as read"], columns)

# %%
dB = {
    name: [manifold_distance(v, name, critic).mean().item() for v in images]
    for name, images in groups.items()
}
fig, ax = plots.figure(width=9)
looks = {"data": plots.SOURCE, "data, noise of 0.1": plots.NOISE, "samples": plots.EDITED}
for i, (label, colour) in enumerate(looks.items()):
    heights = [values[i] for values in dB.values()]
    ax.bar(torch.arange(len(groups)) + 0.27 * (i - 1), heights, 0.25, color=colour, label=label)
ax.set_xticks(range(len(groups)), list(groups))
ax.set_ylabel("manifold distance in dB, more is nearer")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
fig

# %%
for name, values in dB.items():
    for label, value in zip(looks, values, strict=True):
        lesson.record(f"dB, {name}: {label}", value, show=False)
nearer = [name for name, (_, noisy, sample) in dB.items() if sample > noisy]
lesson.conclude(
    f"samples are nearer than noisy data in {len(nearer)} of {len(dB)} models"
    f"{': ' + ', '.join(nearer) if nearer else ''}."
)

# %% [markdown]
# The data come first. Only the critic's own error keeps them from a perfect score, so a sample can hardly do better.
# Faint noise of 0.1 costs several dB, although the eye hardly minds it: the measure is strict. The samples of a network
# come out about as far away as noisy data. The gap between samples and data shows what the network has not learnt. The
# lower row of the strip shows where: it has the clean eyes and whiskers that the sample should have had.
#
# But is the whole gap the sample's fault? The critic may misread it as well. The world can answer this. Begin at the
# reading, and change the factors by gradient descent until their drawing is as near to the picture as it gets
# (`nearest_factors`).
#
# **Predict.** How many dB will that add for the data, how many for the samples?

# %%
name = next(iter(groups))
data, _, x = (images[:4] for images in groups[name])
both, known = torch.cat([data, x]), worlds.WORLDS[name]
factors = [read(both, name, critic) for read in (readings, nearest_factors)]
drawn = [known.render(f, both.shape[-1]) for f in factors]
columns = ["data"] * len(data) + ["sample"] * len(x)
plots.strips([both, *drawn], [name, "drawn as read", "nearest drawing"], columns)

# %%
for label, v in zip(("as read", "nearest"), drawn, strict=True):
    of_data, of_samples = metrics.psnr(v, both).split(len(data))
    lesson.record(f"dB, {name}, {label}: data", of_data.mean())
    lesson.record(f"dB, {name}, {label}: samples", of_samples.mean())
gained = metrics.psnr(drawn[1], both) - metrics.psnr(drawn[0], both)
of_data, of_samples = (part.mean() for part in gained.split(len(data)))
lesson.conclude(
    f"the nearest drawing adds {of_data:.1f} dB for the data and {of_samples:.1f} dB for the samples."
)

# %% [markdown]
# A picture of the world has a drawing that is almost identical to it. So for data nearly the whole gap was the critic's
# error. A sample has no such drawing. The gap that is left to the nearest drawing is its own. (There is one exception:
# the descent does not change choices, such as the species or the pattern, and the critic may have misread one.)
# The table of Appendix 1 has both distances. Where lessons print a manifold distance, it is the one by the critic's
# reading, which takes milliseconds.
#
# ## Appendix 3 · your own checkpoint
#
# Every lesson takes another model by name, as the parameter `checkpoint`: an embedded one, a folder that
# diffusers saved, or an id of the Hugging Face hub.
#
# ```
# python -m lessons_lib.pages 01_eta -p checkpoint google/ddpm-ema-celebahq-256 -p n_images 1 -p device cuda
# ```
#
# A hub id is downloaded once; from then on it needs no network, and embedded names and folders never do.
# A name that is wrong is answered in one sentence:

# %%
for name in ("facse", "data/checkpoints/faces/card.json", "moons"):
    try:
        print(f"{name}: loaded, its data are {tuple(load(name).shape)}")
    except checkpoints.CheckpointError as error:
        print(f"{name}: {error}")

# %% [markdown]
# The same command without `-p checkpoint …` runs a lesson as it is, and makes a page of it. As a job, where
# you want the executed notebook only, papermill does the same (in the folder `notebooks`; a misspelt
# parameter ends the job before anything is computed):
#
# ```
# papermill 01_eta.ipynb out.ipynb -p checkpoint cats -p steps 100 -p seed 3
# ```
#
# If anything does not work, ask the doctor: `make doctor`, or `python -m lessons_lib.doctor`.

# %%
for check in doctor.checks():
    print(doctor.examine(check)[1])

# %% [markdown]
# ## What this does not say
#
# - The worlds are drawn. What holds on them is exact and can be measured, but a photograph has causes that
#   nobody listed. Run the lessons on a published checkpoint, too, before you believe a claim in general.
# - A small network here is good *for its size*; its card says how good. The bars above are of a few samples of each
#   model, so differences of a dB or two mean little.
# - The critic judges what it can read. Where it is blind (the R² above), a number by it says nothing, and a
#   method that is tuned on a judge must be tested by another.
