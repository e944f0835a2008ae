# %% [markdown]
# # 11 · Asyrp in a latent diffusion model
#
# **Afterwards you can say** what h is in a model of Stable Diffusion's kind and how many numbers it has, which
# picture the losses must see and why it is not D(z_t), what the papers' table (S_dir, FID or KID, identity,
# segmentation) says of an edit and how each column is fooled, and whether this h is as linear as that of a
# model of pixels.
#
# 60 minutes. Equations: Kwon et al. (ICLR 2023) eqs. 6 and 7; Rombach et al. (CVPR 2022); classifier-free
# guidance: Ho & Salimans (2022) eq. 6. The question comes from a student blog (Gerbscheid, Ivășchescu, Sträter,
# Zila), which left its tables empty. Lessons 05 and 07 come before this one.

# %% tags=["parameters"] nbmake={"mock": {"n_images": 2, "n_train": 4, "rounds": 2, "steps": 5}}
checkpoint = "t2i"  # a latent model: embedded, a folder in Stable Diffusion's layout, or a hub id
clip = "clip"  # reads the two texts and trains
judge = "clip-judge"  # judges, and trains nothing
device = "cpu"
seed = 0
steps = 10
n_images = 4
images = ""  # pictures of your own: a folder, a file, or a glob such as "me/*.jpg"
attributes = "old, tanned, smiling, zombie, robot"  # directions; the last two are looks never seen
learn = "tanned"  # the one that is trained here
n_train = 8  # pictures to train on
rounds = 3
first = 800  # the editing interval of what is trained here, in times of 1,000
last = 150
guidance = 3.0
prompt = "a portrait of a person"  # what models of another source draw

# %%
from lessons_lib import lesson
from lessons_lib.studies import attributes as study
from lessons_lib.studies import inputs

p = lesson.parameters(
    globals(), checkpoint=str, clip=str, judge=str, device=str, seed=(0, 289_999_999), steps=(4, 1000),
    n_images=(2, 64), attributes=str, learn=list(study.ATTRIBUTES), n_train=(4, 1000), rounds=(1, 1000),
    first=(1, 999), last=(0, 998), guidance=(1.1, 20.0), prompt=str, images=str,
)  # fmt: skip
inputs.check_networks(p)

# %%
from collections import namedtuple

import torch
from IPython.display import Markdown, display

from lessons_lib import Sampler, load, plots, worlds
from lessons_lib.denoisers import Guided
from lessons_lib.judges import metrics
from lessons_lib.judges.counterfactual import readings
from lessons_lib.judges.evaluators import KINDS, load_clip, load_critic
from lessons_lib.judges.tables import markdown
from lessons_lib.methods import hspace, training
from lessons_lib.methods.asyrp import edit_names, load_edit
from lessons_lib.paths import TRAIN_EDITS
from lessons_lib.schedule import of_thousand
from lessons_lib.studies import edits as judging
from lessons_lib.studies.subjects import subjects
from lessons_lib.widgets import choice, explore

# %%
name = p.checkpoint
model = inputs.with_bottleneck(name, p.device, latent=True)
clip, judge, critic = load_clip(p.clip, p.device), load_clip(p.judge, p.device), load_critic()
g = Sampler(model, steps=p.steps)
who = subjects(g, name, p.attributes, p.n_images, p.seed, p.prompt, p.images)
truth, names = bool(who.goals), list(who.edits)
print(who.said if not truth else f"Directions: {', '.join(names)}.")


def look(x):
    """The pictures (…, 3, H, W) of latents (…, c, h, w)."""
    return study.shown(g, x)


# %% [markdown]
# ## From x to z
#
# A latent model has a *codec*: an encoder E and a decoder D between pictures x and latents z = E(x). All the
# diffusion happens in z: DDIM, its inversion, the U-Net, and so h. This U-Net also reads a text. We edit held-out
# faces. Each has its own true caption as condition, when it is encoded and when it is decoded, without guidance.

# %%
before = look(g.decode(who.z, cond=who.cond))
rows = {"no edit:\nD(G(z_T))": before}
if truth:
    size = before.shape[-1]
    picture = worlds.faces.render(who.factors, size).to(before)
    through = model.codec.decode(model.codec.encode(picture)).clamp(-1, 1)
    rows = {"the picture x": picture, "D(E(x))": through} | rows
for caption in (who.captions or [])[:3]:
    print(caption)

# %% [markdown]
# **Predict.** What is lost from x to the last row, and is it the codec's fault or the inversion's?

# %%
plots.strips([v[:8].cpu() for v in rows.values()], list(rows), [])

# %%
if truth:
    codec = lesson.record("D(E(x)) and x, PSNR (dB)", metrics.psnr(through, picture).mean())
    inverted = lesson.record(
        "D(G(z_T)) and D(E(x)), PSNR (dB)", metrics.psnr(before, through).mean()
    )
    larger = "codec" if codec < inverted else "inversion"
    lesson.conclude(f"the {larger} loses more: a PSNR of {min(codec, inverted):.1f} dB is lower than the "
                    f"other's {max(codec, inverted):.1f} dB.")  # fmt: skip

# %% [markdown]
# Neither loss has to do with an edit. So we compare edits with 'no edit', and show the true edited picture *through the
# codec*: no edit can be expected to do better.
#
# ## How large is h?
#
# h is called the *bottleneck*. The word suggests that it is small.
#
# **Predict.** Which has most numbers: the picture x, the latent z, h, or what the skips carry past h?

# %%
largest = lesson.predict("Which has the most numbers?", "x", "z", "h", "skips")
largest

# %%
first_t = g.schedule.t[0].item()
b = model.encode(who.z.x_T[:1], first_t, None if who.cond is None else who.cond[:1])
sizes = {
    "x": before[0].numel(), "z": who.z.x_T[0].numel(), "h": b.h[0].numel(),
    "skips": sum(skip[0].numel() for skip in b.skips),
}  # fmt: skip
fig, ax = plots.figure(width=8, height=3)
colours = [plots.SOURCE, plots.P, plots.EDITED, plots.D]
bars = ax.barh(list(sizes), list(sizes.values()), color=colours)
ax.bar_label(bars, [f"{v:,}" for v in sizes.values()], padding=4)
ax.set(xlabel="numbers for one picture"), ax.invert_yaxis(), ax.margins(x=0.15)
fig

# %%
for what, count in sizes.items():
    lesson.record(f"numbers of {what}", count, show=False)
ratio = lesson.record("h / z", sizes["h"] / sizes["z"])
lesson.compare(largest, max(sizes, key=sizes.get))
wider = "wider" if ratio > 1 else "no wider"
lesson.conclude(
    f"h has {ratio:.2f} times as many numbers as z: this 'bottleneck' is {wider} than what is diffused."
)
print("h is", " × ".join(map(str, b.h.shape[1:])))


# %% [markdown]
# h has few places, but many channels. What is special about h is its position, not its size. It is the last map of the
# U-Net's encoder half, and the only one that no skip carries past the middle. The next section measures how much the
# skips leave for h to decide.
#
# ### Exercise 1 · count h <small>(easy · 4 minutes)</small>
#
# A U-Net with `channels` [c_1, …, c_L] halves the side between its levels, L - 1 times. How many times as many
# numbers as the latent z (`latent_channels` × `side` × `side`) has h? (Stable Diffusion 1.4: channels 320, 640,
# 1280, 1280, a side of 64, 4 latent channels.)

# %% tags=["exercise"]
def h_over_z(channels, side, latent_channels):
    """Numbers of h over numbers of z, for latents (latent_channels, side, side)."""
    return None


# %%
def counted(channels, side, latent_channels):
    small = side // 2 ** (len(channels) - 1)
    return channels[-1] * small**2 / (latent_channels * side**2)


cases = [([320, 640, 1280, 1280], 64, 4), ([64, 128, 128], 16, 4), ([128, 256, 512], 32, 3)]
hints = [
    "h is (c_L, side / 2^(L-1), side / 2^(L-1))",
    "channels[-1] times the small side squared, over latent_channels times side squared",
]
lesson.exercise(h_over_z, counted, cases, hints);


# %% [markdown]
# <details><summary>Hint 1</summary>h has the last level's channels and the smallest sides.</details>
# <details><summary>Solution</summary>
#
# ```python
# def h_over_z(channels, side, latent_channels):
#     """Numbers of h over numbers of z, for latents (latent_channels, side, side)."""
#     small = side / 2 ** (len(channels) - 1)
#     return channels[-1] * small**2 / (latent_channels * side**2)
# ```
# </details>

# %% [markdown]
# ## Does the decoder listen to h?
#
# Give the U-Net's decoder half one picture's skips and *another's* h. How far does ε move? We give it as a share of
# how far ε moves if h and skips are both the other's. Near 0 the skips decide, near 1 h does.
#
# **Predict.** At which t is h heard best?
#
# ### Exercise 2 · capstone: how much does h decide? <small>(hard · 10 minutes)</small>
#
# `b` is what the encoder half gives for a batch: `b.h` (B, C, H, W) and `b.skips`, a tuple of such tensors.
# `b._replace(h=…)` is the same with another h. Give every picture its neighbour's h (`roll(1, 0)` moves the batch by
# one), then its neighbour's h *and* skips. How far does ε move (the root mean square of each picture, then the mean over
# pictures)? Return the first over the second.
#
# The curves after it are yours.

# %% tags=["exercise"]
def share_of_h(b, decode):
    """Change of decode(b) by another's h alone, over the change by another's h and skips: one number."""
    return None


# %%
def library_share(b, decode):
    eps, other = decode(b), b.h.roll(1, 0)
    alone = decode(b._replace(h=other))
    both = decode(b._replace(h=other, skips=tuple(skip.roll(1, 0) for skip in b.skips)))
    return metrics.rms(alone, eps).mean() / metrics.rms(both, eps).mean()


Halves = namedtuple("Halves", "h skips")
gen = torch.Generator().manual_seed(0)
toy_h, toy_skip, toy_low = torch.randn(3, 3, 2, 4, 4, generator=gen, dtype=torch.float64)
toy_b = Halves(toy_h, (toy_skip, toy_low))
cases = [(toy_b, lambda b: b.h + b.skips[0].tanh() * b.skips[1])]
cases += [(toy_b, lambda b: 2 * b.h.square() + b.skips[0] - b.skips[1])]
hints = [
    "three answers of decode: as it is, with another's h, with another's h and skips",
    "rms over all axes but the first, mean over pictures, for both changes; then their ratio",
]
right = lesson.exercise(share_of_h, library_share, cases, hints)
share_by = share_of_h if right else library_share


# %% [markdown]
# <details><summary>Hint 1</summary><code>b._replace(h=b.h.roll(1, 0))</code> is b with the neighbour's h.</details>
# <details><summary>Hint 2</summary><code>tuple(s.roll(1, 0) for s in b.skips)</code> are the neighbour's skips.</details>
# <details><summary>Solution</summary>
#
# ```python
# def share_of_h(b, decode):
#     """Change of decode(b) by another's h alone, over the change by another's h and skips: one number."""
#     eps = decode(b)
#     with_h = b._replace(h=b.h.roll(1, 0))
#     with_both = with_h._replace(skips=tuple(s.roll(1, 0) for s in b.skips))
#     far = [(decode(v) - eps).square().mean((1, 2, 3)).sqrt().mean() for v in (with_h, with_both)]
#     return far[0] / far[1]
# ```
# </details>

# %%
@torch.no_grad()
def heard(sampler, z, cond=None):
    """Share of ε's change that another picture's h alone makes, at each t."""
    net = sampler.denoiser
    steps = sampler.trajectory(z, cond=cond)
    return [float(share_by(net.encode(s.x, s.t, cond), net.decode)) for s in steps]


listened = {name: heard(g, who.z, who.cond)}
if truth:
    pixels = Sampler(load("faces", p.device), steps=p.steps)
    both = [k for k in who.goals if k in edit_names()] or ["old"]  # `faces` has them, too
    same = subjects(pixels, "faces", ", ".join(both), p.n_images, p.seed)
    listened["faces"] = heard(pixels, same.z)

# %%
fig, ax = plots.figure(width=8, height=3.4)
for (label, values), colour in zip(listened.items(), (plots.EDITED, plots.SOURCE), strict=False):
    ax.plot(g.schedule.t[: len(values)], values, "o-", color=colour, label=label)
    called = f"share of the change that h alone makes, mean over t, {label}"
    lesson.record(called, sum(values) / len(values), show=False)
ax.set(
    xlabel="t",
    ylabel="change by h alone / by both",
    xlim=(len(model.alpha_bar), -20),
    ylim=(0, None),
)
ax.legend()
fig

# %%
for label, values in listened.items():
    mean, peak = sum(values) / len(values), max(range(len(values)), key=values.__getitem__)
    lesson.conclude(
        f"in {label} another's h makes {mean:.0%} of the change, at most {values[peak]:.0%}, at "
        f"t = {g.schedule.t[peak]}."
    )

# %% [markdown]
# Below one half the skips decide most. This says where h is *heard*, not where a Δh is *worth adding*. A low curve does
# not prove that an edit in h is weak: it may only need a longer Δh. But a longer Δh leads further away from every h
# that the decoder has learnt from. Park et al. (2023) found less structure in the h of latent models than in that of
# pixel models.
#
# ## Which picture does the loss see?
#
# Eq. 7 compares *pictures* by CLIP. Here P_t is a latent, so a picture must be made of it first. The blog says:
# run the decoder on z_t. Kwon et al. compare P_t, the *predicted* image, which is D(P_t(z_t)) here.
#
# **Predict.** What will D(z_t) look like at a high t?

# %%
steps_taken = list(g.trajectory(who.z, cond=who.cond))
some = [steps_taken[i] for i in range(0, len(steps_taken), max(1, len(steps_taken) // 8))]
of_z, of_P = (torch.cat([look(v[:1]) for v in seen]) for seen in
              ([s.x for s in some], [s.P for s in some]))  # fmt: skip
plots.strips([of_z.cpu(), of_P.cpu()], ["D(z_t)", "D(P_t(z_t))"], [f"t = {s.t}" for s in some])


# %%
def likeness(latents):
    """Mean cosine, to the encoder, of the pictures of latents with the final ones."""
    return (clip.image(look(latents)) * clip.image(before)).sum(1).mean().item()


to_end = {"D(z_t)": [likeness(s.x) for s in some], "D(P_t)": [likeness(s.P) for s in some]}
fig, ax = plots.figure(width=8, height=3.2)
for (label, values), colour in zip(to_end.items(), (plots.WRONG, plots.P), strict=True):
    ax.plot([s.t for s in some], values, "o-", color=colour, label=label)
ax.set(xlabel="t", ylabel="cosine to the final picture", xlim=(len(model.alpha_bar), -20))
ax.legend()
fig

# %%
start, middle = (f"(t = {some[i].t})" for i in (0, len(some) // 2))
for label, values in to_end.items():
    called = f"{label} at mid-way: cosine to the final picture"
    lesson.record(called, values[len(some) // 2], middle)
lesson.conclude(
    f"at the first step {start} the cosine is {to_end['D(P_t)'][0]:.2f} for D(P_t) and "
    f"{to_end['D(z_t)'][0]:.2f} for D(z_t)."
)


# %% [markdown]
# D has never seen a noisy latent, and CLIP has never seen what D makes of one. (You may see a trace of the face in D(z_t)
# even at the first t: with few steps the inversion leaves some of it in z_T.) So the loss compares D(P_t):
#
# $$\mathcal L^{(t)} = \lambda_\text{CLIP}\big(1-\cos(\Delta I,\Delta T)\big)
# + \lambda_\text{recon}\,\big|D(P^\text{edit}_t)-D(P^\text{source}_t)\big|,\qquad
# \Delta I = E_I(D(P^\text{edit}_t)) - E_I(D(P^\text{source}_t)),$$
#
# and its gradient goes back through CLIP, D and the U-Net's decoder to Δh. (The training below adds lesson 05's third
# term, `reach_weight`, at ten times the cosine's weight, and random scales of both signs.)
#
# ### Exercise 3 · the loss through the decoder <small>(medium · 6 minutes)</small>

# %% tags=["exercise"]
def latent_loss(z_t, eps_edit, eps, a, decode, embed, towards):
    """1 - cos(ΔI, ΔT) of one step: z_t, eps_edit, eps are (B, d), a is ᾱ_t; decode makes pictures of latents,
    embed makes vectors (B, E) of pictures; towards is ΔT (E,). The result is (B,)."""
    return None


# %%
def through_decoder(z_t, eps_edit, eps, a, decode, embed, towards):
    P = [(z_t - (1 - a) ** 0.5 * v) / a**0.5 for v in (eps_edit, eps)]
    after, start = (embed(decode(v)) for v in P)
    return 1 - training.directional(start, after, towards)


gen = torch.Generator().manual_seed(0)
z_toy, eps_toy, other_toy = torch.randn(3, 2, 4, generator=gen, dtype=torch.float64)
matrix = torch.randn(4, 5, generator=gen, dtype=torch.float64)
toy = (lambda z: (z @ matrix).tanh(), torch.nn.functional.normalize, matrix[0])
cases = [
    (z_toy, eps_toy, other_toy, a, *toy) for a in torch.tensor([0.3, 0.9], dtype=torch.float64)
]
hints = [
    "what goes through decode: z_t, ε or P?",
    "ΔI = embed(decode(P of eps_edit)) - embed(decode(P of eps)), and its cosine with towards",
]
lesson.exercise(latent_loss, through_decoder, cases, hints);

# %% [markdown]
# <details><summary>Hint 1</summary>P = (z_t - √(1-ᾱ) ε) / √ᾱ, once with each ε; decode both, embed both.</details>
# <details><summary>Hint 2</summary>cos(u, v) = u·v / (‖u‖ ‖v‖); towards has no batch: <code>u @ towards</code>.</details>
# <details><summary>Solution</summary>
#
# ```python
# def latent_loss(z_t, eps_edit, eps, a, decode, embed, towards):
#     """1 - cos(ΔI, ΔT) of one step: z_t, eps_edit, eps are (B, d), a is ᾱ_t; decode makes pictures of latents,
#     embed makes vectors (B, E) of pictures; towards is ΔT (E,). The result is (B,)."""
#     after, start = (
#         embed(decode((z_t - (1 - a) ** 0.5 * e) / a**0.5)) for e in (eps_edit, eps)
#     )
#     moved = after - start
#     return 1 - moved @ towards / (moved.norm(dim=1) * towards.norm())
# ```
# </details>

# %% [markdown]
# ## Train one: convolutions or attention?
#
# The paper's f_t looks at each place of h by itself (1×1 convolutions). The blog expects that the h of a latent
# model needs *attention* between its places. We train both for the same few rounds on the same few pictures, each
# at a learning rate of its own: attention needs a smaller one.
#
# **Predict.** h has few places here (see `h` above: channels × side × side). Will attention help?

# %%
points_better = lesson.predict(
    "Whose cosine is clearly higher after these rounds?", "convolutions", "attention", "neither's"
)
points_better

# %%
attribute = study.LATENT[p.learn]
texts = attribute.source, attribute.target
if truth:
    pupils = worlds.faces.sample(p.n_train, TRAIN_EDITS + p.seed, size)
    cond_train = study.cond_of(model, pupils.caption)
    z_train = study.codes(g, pupils.image.to(p.device), cond=cond_train)
else:
    z_train = g.draw(p.n_train, seed=p.seed + 1)
    cond_train = study.cond_of(model, [p.prompt] * p.n_train)
first, last = (of_thousand(t, len(model.alpha_bar)) for t in (p.first, p.last))
sources = training.source_paths(g, z_train, clip, first, last, cond_train)
print("source:", texts[0][0], "| target:", texts[1][0])


# %%
def briefly(form):
    """(the edit by an f_t of this form, its rounds)."""
    f_t = training.new_f_t(g, z_train, form.kind, cond_train, p.seed)
    done = list(training.training(
        f_t, sources, clip, *texts, rounds=p.rounds, batch=4, rate=form.latent_rate,
        clip_weight=0.4, l1_weight=attribute.l1_weight, reach_weight=4.0, seed=p.seed,
    ))  # fmt: skip
    return training.trained(f_t, sources), done


here = {label: briefly(form) for label, form in study.FORMS_OF.items()}

# %%
fig, axes = plots.figure(1, 2, width=10, height=3.2)
for (label, (_, done)), colour in zip(here.items(), (plots.P, plots.NOISE), strict=True):
    axes[0].plot([r.towards for r in done], "o-", color=colour, label=label)
    axes[1].plot([r.change for r in done], "o-", color=colour, label=label)
    lesson.record(f"{label}: cosine in the last round", done[-1].towards, show=False)
    lesson.record(f"{label}: change in the last round", done[-1].change, show=False)
axes[0].set(title="cos(ΔI, ΔT)", xlabel="round", xticks=range(p.rounds)), axes[0].legend()
axes[1].set(title="|D(P edit) - D(P source)|", xlabel="round", xticks=range(p.rounds))
fig

# %%
towards = {label: torch.tensor([r.towards for r in done]) for label, (_, done) in here.items()}
jump = max((v.diff().abs().max().item() for v in towards.values() if len(v) > 1), default=0.0)
gap = (towards["attention"][-1] - towards["conv"][-1]).item()
clear = points_better.choices[int(gap > 0)] if abs(gap) > jump else "neither's"
lesson.compare(points_better, clear)
lesson.conclude(
    f"the last cosine is {towards['conv'][-1]:.2f} by convolutions and {towards['attention'][-1]:.2f} by "
    f"attention. From round to round it jumps by up to {jump:.2f}."
)

# %% [markdown]
# A gap smaller than these jumps means nothing: so short a training cannot decide.
#
# The shipped directions of both forms had the same longer training, by the same sentences of their own. For each form
# three rates were tried, and the one was taken whose edit *achieves* nearest to 1. So their prices, in drift and in
# identity, can be compared. Each direction's *card* keeps what was measured on more pictures than this lesson has time
# for. (The next section says what the four columns are.)

# %%
MEASURES = ("S_dir", "KID, goal", "KID, people", "ID", "SC", "achieved", "to truth", "drift")


def card_of(edit):
    return edit.terms[0][1].card.get("figures", {})


def as_table(rows, measures):
    """Each row's mean and interval for each measure; what a row does not have is left empty."""
    written = {
        label: ["{:.2f} ({:.2f}…{:.2f})".format(*v[m]) if m in v else "" for m in measures]
        for label, v in rows.items()
    }
    return Markdown(markdown(list(measures), written))


# %%
shipped = {form: f"{name}-{p.learn}{end}" for form, (_, end, _) in study.FORMS_OF.items()}
forms = {form: load_edit(v) for form, v in shipped.items() if v in edit_names()}
tables = {form: card_of(e).get("table", {}).get("Asyrp", {}) for form, e in forms.items()}
compared = ("S_dir", "achieved", "ID", "drift")
as_table(tables, compared) if tables else print("There are no shipped directions for this model.")

# %%
if len(tables) == 2:
    differ = []
    for what in compared:
        (by_conv, low_c, high_c), (by_attention, low_a, high_a) = (v[what] for v in tables.values())
        if low_c > high_a or low_a > high_c:
            differ.append(
                f"{what} ({by_conv:.2f} by convolutions, {by_attention:.2f} by attention)"
            )
    lesson.conclude(f"the intervals are apart for: {', '.join(differ) or 'none of the four'}.")

# %% [markdown]
# ## The table
#
# - **S_dir**: the cosine of eq. 7 for the final pictures, by an encoder that was not used in training.
# - **KID**: like FID, but fair for few pictures. Smaller is nearer. It is a squared kernel distance of the critic's
#   features and has no unit, so compare it with the rows *no edit* and *true edit* of the figure. **KID, people** is the
#   distance to pictures of other people as they are, **KID, goal** to other people with the wanted change.
# - **ID**: the critic's likeness of identity, edited against unedited. 1 is the same person.
# - **SC**: segmentation consistency, the mean intersection over union of the masks that the critic reads from the two.
#
# Three more can only be measured in a drawn world:
#
# - **achieved**: the share of the wanted change. (For a zombie or a robot: the critic's probability of that kind of
#   picture.)
# - **to truth**: the perceptual distance to the true counterfactual.
# - **drift**: how much the factors changed that should have stayed.
#
# The model has learnt faces that are old, tanned or smiling. It has never seen a zombie or a robot. We call such a wish a
# *look*.
#
# **Predict.** Which of these columns will look best for an edit that does *nothing at all*?
#
# The figure compares *Asyrp* with four references: *no edit*, a *random Δh* of equal length, *another text* (the same
# code under the caption of the true counterfactual, if the model knows words for it), and the *true edit* through the
# codec. A line is the interval of a mean. Where even the true edit achieves far less than 1, the codec has lost what the
# critic looks for, or the critic misreads. (Drift is measured on factors, and a look has none.)

# %%
own = {k: card_of(e)["table"] for k, e in who.edits.items() if "table" in card_of(e)}
SMALLER = ("KID, goal", "KID, people", "to truth", "drift")  # is better; of the others larger is
ROWS = {"no edit": plots.SOURCE, "random Δh": plots.WRONG, "another text": plots.D,
        "Asyrp": plots.EDITED, "true edit": plots.P}  # fmt: skip
fig = None
if own:
    fig, axes = plots.figure(4, 2, width=11, height=12)
    for ax, what in zip(axes.flat, MEASURES, strict=True):
        for i, rows_of in enumerate(own.values()):
            for k, (row, colour) in enumerate(ROWS.items()):
                if what in rows_of.get(row, {}):
                    mean, low, high = rows_of[row][what]
                    place = i + (k - 2) * 0.14
                    ax.plot([place, place], [low, high], color=colour, lw=2)
                    ax.plot(place, mean, "o", color=colour, ms=6, label="" if i else row)
        ax.set(title=f"{what} {'(smaller is better)' if what in SMALLER else '(larger is better)'}")
        ax.set(xticks=range(len(own)), xticklabels=list(own), xlim=(-0.5, len(own) - 0.5))
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=5)
fig


# %%
def wins(what):
    """In how many of the edits that have the score 'no edit' scores at least as well as Asyrp: a text."""
    sign = -1 if what in SMALLER else 1
    rows = [v for v in own.values() if what in v["Asyrp"]]
    won = sum(sign * v["no edit"][what][0] >= sign * v["Asyrp"][what][0] for v in rows)
    return f"{what} {won} of {len(rows)}"


clear = 0
for attribute_name, rows_of in own.items():
    found = {row: v["S_dir"] for row, v in rows_of.items()}
    clear += found["Asyrp"][1] > found["random Δh"][2]
    lesson.record(f"{attribute_name}: S_dir", found["Asyrp"][0], show=False)
    lesson.record(f"{attribute_name}: achieved", rows_of["Asyrp"]["achieved"][0], show=False)
if own:
    won = "; ".join(wins(what) for what in MEASURES if what not in ("S_dir", "achieved"))
    lesson.conclude(f"in so many edits doing nothing is as good as Asyrp or better: {won}.")
    lesson.conclude(f"in {clear} of {len(own)} edits S_dir is clearly above that of a random Δh.")

# %% [markdown]
# So ID, SC, drift and the distance to people as they are (*KID, people*) reward doing nothing. S_dir rewards any change that
# CLIP likes. Where doing nothing is also nearer *to truth*, the edit has spoilt more than it has gained, whatever it
# achieved. So read *achieved* and *to truth* together.
#
# Now judge with your own eyes. Compare each edit with its truth in the row below it. Where is the tan?

# %% tags=["gallery"] sentence="Asyrp in a latent model that reads texts: its h has {h / z|.2g} times as many numbers as its latent."
made = {
    k: judging.compared(study.ATTRIBUTES[k], g, who.z, e, who.factors, who.cond, p.seed)
    if truth else {"no edit": before, "Asyrp": look(g.decode(who.z, e, who.cond))}
    for k, e in who.edits.items()
}  # fmt: skip
shown = {"no edit": before}
for k, pictures in made.items():
    shown |= {k: pictures["Asyrp"]} | ({"truth, " + k: pictures["true edit"]} if truth else {})
plots.strips([v[:8].cpu() for v in shown.values()], list(shown), [])

# %%
for k, pictures in made.items() if truth else ():
    found = judging.judgements(
        pictures["Asyrp"],
        pictures["no edit"],
        study.ATTRIBUTES[k],
        who.factors,
        critic,
        judge,
        p.seed,
    )
    note = f"({found['achieved'].low:.2f} to {found['achieved'].high:.2f})"
    lesson.record(f"{k}: achieved on these pictures", found["achieved"].mean, note)

# %% [markdown]
# *Tanned* has a high *achieved*, and hardly any tan in its row. Why? We take the skin of each picture (from the drawing's
# own mask), cut it into face and neck, and compare how much darker each has become.

# %%
if "tanned" in made and truth:
    skin = worlds.faces.mask(who.factors, size) == worlds.faces.classes.index("skin")
    is_neck = (torch.arange(size) >= 0.75 * size).view(-1, 1)
    parts = {"face": skin & ~is_neck, "neck": skin & is_neck}
    darker = {}
    for row in ("Asyrp", "true edit"):
        change = (made["tanned"]["no edit"] - made["tanned"][row]).mean(1).cpu()  # (N, H, W)
        darker[row] = {k: (change * v).sum() / v.sum() for k, v in parts.items()}
        for part, value in darker[row].items():
            lesson.record(f"tanned, {row}: the {part} is darker by", value, show=False)
    shares = {k: darker["Asyrp"][k] / darker["true edit"][k] for k in parts}
    lesson.conclude(
        f"of the true darkening, the neck has {shares['neck']:.0%} and the face {shares['face']:.0%}."
    )

# %% [markdown]
# Where the neck has most of the tan and the face little, the critic has been fooled. It reads *skin* from any place where
# skin is seen, and so did the CLIP that trained the edit. No score replaces a look at the picture.
#
# Look at the rows of the unseen looks. What does the critic call them?

# %%
for k, pictures in made.items():
    if truth and study.ATTRIBUTES[k].look:
        share = critic.world(pictures["Asyrp"]).mean(0)
        called = {KINDS[i]: share[i] for i in share.argsort(descending=True)[:3].tolist()}
        for kind, value in called.items():
            lesson.record(f"{k}: the critic's probability of {kind}, mean", value, show=False)
        said = ", ".join(f"{kind} {value:.0%}" for kind, value in called.items())
        lesson.conclude(f"what the critic calls the pictures of '{k}': {said}.")

# %% [markdown]
# The model can only draw what it has learnt from: faces, animals and scenes. If Δh asks for something else, the decoder
# draws something that it knows. S_dir may rise even if that looks like an animal, because the picture is less like a
# person.
#
# ## Where words end
#
# Here an edit in h has a rival that the pixel model of lesson 05b did not have. We can change the *text*, and decode the
# same code. Is h needed at all?

# %%
both_ways = [k for k in made if "another text" in made[k]]
if both_ways:
    k = both_ways[0]
    rows = [made[k][row][:8].cpu() for row in ("no edit", "Asyrp", "another text", "true edit")]
    display(plots.strips(rows, ["no edit", "Δh", "another text", "true edit"], [], k))
for k in both_ways:
    moved = {row: metrics.rms(made[k][row], before).mean() for row in ("Asyrp", "another text")}
    lesson.ratio(
        f"{k}: change of the picture by the text / by Δh",
        moved["another text"],
        moved["Asyrp"],
        show=False,
    )
if who.captions:
    try:
        model.prompts(["a zombie"])
    except ValueError as error:
        print(error)

# %% [markdown]
# **Predict.** By the table, which of the two achieved more, and which cost less in identity and in distance to the truth?

# %%
told = [v for v in own.values() if "another text" in v]
for what, sign in (("achieved", 1), ("ID", 1), ("to truth", -1)) if told else ():
    by_h = by_text = 0
    for rows_of in told:
        (low, high), (low_text, high_text) = (
            sorted(sign * v for v in rows_of[row][what][1:]) for row in ("Asyrp", "another text")
        )
        by_h, by_text = by_h + (low > high_text), by_text + (low_text > high)
    lesson.conclude(
        f"{what}: Δh is clearly better in {by_h} of {len(told)} edits, the text in {by_text}."
    )

# %% [markdown]
# An inverted code keeps much of the picture, even under another text. So a new sentence may achieve less, and cost less.
# It needs no training. But used in this way it has no scale and no sign, and it is limited to words that the model has
# learnt. A Δh can be trained for any word that the encoder knows. But the unseen looks have shown that the decoder
# cannot always draw it.

# %% [markdown]
# ## As linear as pixels?
#
# Lesson 07 measured for `faces`: the mean effect of an edit against its scale, the R² of the line on -1…1, and an
# interval by resampling the pictures. The same here, and beside it the pixel model, on the same people.
#
# **Predict.** Which is straighter? Which is steeper?

# %%
scales = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0])


def swept(sampler, z, edits, cond=None):
    """Pictures (S, N, 3, H, W) of each edit at all scales; what comes before all intervals is walked once."""
    first = max(d.first for e in edits.values() for _, d in e.terms)
    late, begun = training.from_first(sampler, z, first, cond)
    start = study.shown(sampler, late.decode(begun, cond=cond))  # scale 0 of all edits

    def scaled(edit, s):
        return study.shown(sampler, late.decode(begun, edit * s, cond)) if s else start

    return {k: torch.stack([scaled(e, s) for s in scales.tolist()]) for k, e in edits.items()}


at = swept(g, who.z, who.edits, who.cond)
over = [f"scale {s:g}" for s in scales.tolist()]
plots.strips([v[:, 0].cpu() for v in at.values()], names, over)


# %%
def small(x):
    return torch.nn.functional.adaptive_avg_pool2d(x, 8).flatten(1)


along = {
    k: torch.nn.functional.normalize((small(v[-1]) - small(before)).mean(0), dim=0)
    for k, v in at.items()
}  # where no factor is known: the mean change of 8 × 8 pixels from scale 0 to 1


def effect(pictures, start, k):
    """How far edited pictures (N, 3, H, W) went along attribute k, (N,); in units of its factor's range."""
    if k not in who.goals:
        return ((small(pictures) - small(start)) @ along[k]).cpu()
    ((factor, wanted),) = who.goals[k].items()
    known = worlds.faces.factor(factor)
    was, now = (readings(x, "faces", critic)[factor].cpu() for x in (start, pictures))
    return (wanted - who.factors[factor]).mean().sign() * (now - was) / (known.high - known.low)


# %%
straight = list(who.goals) or names
curves = {name: {k: torch.stack([effect(x, before, k) for x in at[k]]) for k in straight}}
if truth:
    shared_names = [k for k in straight if k in same.goals]
    of_faces = swept(pixels, same.z, {k: same.edits[k] for k in shared_names})
    curves["faces"] = {
        k: torch.stack([effect(x, v[2], k) for x in v]) for k, v in of_faces.items()
    }  # fmt: skip

# %%
fig, axes = plots.figure(1, len(straight), width=4.3 * len(straight), squeeze=False, sharey=True)
for ax, k in zip(axes[0], straight, strict=True):
    for (label, found), colour in zip(curves.items(), (plots.EDITED, plots.SOURCE), strict=False):
        if k in found:
            ax.plot(scales, found[k], color=colour, lw=0.8, alpha=0.5)
            ax.plot(scales, found[k].mean(1), "o-", color=colour, lw=3, label=label)
    ax.set(title=k, xlabel="scale")
axes[0, 0].set_ylabel("effect"), axes[0, 0].legend()
fig

# %%
lines, written = {}, {}
for label, found in curves.items():
    for k, values in found.items():
        r2 = hspace.linearity(scales, values, p.seed)
        lines[label, k] = r2
        lesson.record(f"R² on -1…1, {label}, {k}", r2.mean, show=False)
        slope = (values.mean(1)[-1] - values.mean(1)[0]) / 2
        slope = lesson.record(f"effect of one unit of scale, {label}, {k}", slope, show=False)
        its = (who if label == name else same).edits[k]
        on_card = card_of(its).get("linearity R² on -1…1")
        written[f"{label}, {k}"] = [
            f"{r2.mean:.2f} ({r2.low:.2f}…{r2.high:.2f})", f"{slope:.2f}", f"{on_card:.2f}" if on_card else ""
        ]  # fmt: skip
Markdown(
    markdown(["R² on -1…1", "effect of one unit of scale", "R², card: more pictures"], written)
)

# %%
flat = min(straight, key=lambda k: lines[name, k].mean)
lesson.conclude(
    f"the least straight direction of {name} is '{flat}', with an R² of {lines[name, flat].mean:.2f}."
)

# %% [markdown]
# R² says how *straight* a line is, not how *steep*: a line that hardly rises may be straight. Any curve bends where the
# factor has reached its end. These people were chosen because they *lack* the attributes, so below 0 little is left to take
# away. Read R² with the slope, and trust the cards' numbers more than these. The two models' directions were trained
# differently, so a difference may come from the training.
#
# ## Sums, and one Δh for all
#
# **Predict.** Two edits at once: how much of each is left? And if everybody gets the mean Δh of *other* people?

# %%
k1, k2 = (straight * 2)[:2]
late, begun = training.from_first(
    g, who.z, max(d.first for e in who.edits.values() for _, d in e.terms), who.cond
)
added = look(late.decode(begun, who.edits[k1] + who.edits[k2], who.cond))
train_late, train_begun = training.from_first(g, z_train, late.schedule.t[0].item(), cond_train)
shared = hspace.global_edit(train_late, train_begun, who.edits[k1], cond_train)
by_shared = look(late.decode(begun, shared, who.cond))

# %%
rows = {"no edit": before, k1: at[k1][-1], k2: at[k2][-1], "the sum": added,
        f"{k1}: mean Δh\nof others": by_shared}  # fmt: skip
plots.strips([v[:8].cpu() for v in rows.values()], list(rows), [])

# %%
left = {}
for k in dict.fromkeys((k1, k2)):
    both, alone = (effect(x, before, k).mean() for x in (added, at[k][-1]))
    left[k] = lesson.ratio(f"effect of {k} in the sum / alone", both, alone)
theirs, its_own = (effect(x, before, k1).mean() for x in (by_shared, at[k1][-1]))
for_all = lesson.ratio(f"effect of others' mean Δh / of its own, {k1}", theirs, its_own)

# %%
claims = [("linear on -1…1, the worst R²", lines[name, flat].mean, 0.95, 0.8)]
if None not in (*left.values(), for_all):  # undefined, of an edit that does nothing
    claims.append(("what a sum leaves of each, the worst", min(left.values()), 0.8, 0.5))
    claims.append(("one Δh for all", for_all, 0.8, 0.5))
if truth:
    of_faces = min(r.mean for (m, _), r in lines.items() if m == "faces")
    claims.append(("for comparison: `faces`, the worst R²", of_faces, 0.95, 0.8))
for claim, value, enough, some in claims:
    word = "confirmed" if value >= enough else "partly" if value >= some else "not confirmed"
    lesson.conclude(f"{claim}: {value:.2f}, {word}.")


# %% [markdown]
# These are lesson 07's limits. For a line: R² of 0.95, and partly from 0.8 on. For what is left of an effect: 0.8, and
# partly from 0.5 on. A ratio of two small effects is worth little, so look at the slopes above first. And look at scale -1
# in the strip above, before you call a direction linear because one number rises: the picture there may be something
# quite different.
#
# ## With guidance
#
# Texts are usually followed with classifier-free guidance: ε = ε_u + s (ε_c - ε_u), with s = 1 + w of Ho & Salimans. Asyrp
# then has four answers of the decoder: with and without the text, with and without Δh. Here Δh is added to h in *both*
# passes. P_t gets the guided edited ε, and eq. 6's D_t (not the codec's D) the guided unedited one.
#
# ### Exercise 4 · the asymmetric step with a guided ε <small>(medium · 6 minutes)</small>

# %% tags=["exercise"]
def guided_step(z, unconditioned, conditioned, scale, a, a_to):
    """z_t' at η = 0. unconditioned, conditioned: each a pair (ε with Δh, ε without); a, a_to: ᾱ_t, ᾱ_t'."""
    return None


# %%
def guided_by_the_library(z, unconditioned, conditioned, scale, a, a_to):
    edited, plain = (u + scale * (c - u) for u, c in zip(unconditioned, conditioned, strict=True))
    P = (z - (1 - a) ** 0.5 * edited) / a**0.5
    return a_to**0.5 * P + (1 - a_to) ** 0.5 * plain


gen = torch.Generator().manual_seed(1)
toy_eps = torch.randn(5, 3, generator=gen, dtype=torch.float64)
toy_levels = torch.tensor([0.3, 0.6], dtype=torch.float64)
cases = [(toy_eps[0], tuple(toy_eps[1:3]), tuple(toy_eps[3:5]), s, *toy_levels) for s in (1.0, 3.0)]
hints = [
    "guide twice, then eq. 6",
    "P gets u[0] + s (c[0] - u[0]), and D_t gets u[1] + s (c[1] - u[1])",
]
lesson.exercise(guided_step, guided_by_the_library, cases, hints);

# %% [markdown]
# <details><summary>Hint 1</summary>The guided edited ε uses the first of each pair, the guided plain ε the second.</details>
# <details><summary>Hint 2</summary>P from the edited one, √(1-ᾱ') times the plain one for D_t.</details>
# <details><summary>Solution</summary>
#
# ```python
# def guided_step(z, unconditioned, conditioned, scale, a, a_to):
#     """z_t' at η = 0. unconditioned, conditioned: each a pair (ε with Δh, ε without); a, a_to: ᾱ_t, ᾱ_t'."""
#     edited = unconditioned[0] + scale * (conditioned[0] - unconditioned[0])
#     plain = unconditioned[1] + scale * (conditioned[1] - unconditioned[1])
#     P = (z - (1 - a) ** 0.5 * edited) / a**0.5
#     return a_to**0.5 * P + (1 - a_to) ** 0.5 * plain
# ```
# </details>

# %% [markdown]
# The pictures were encoded *without* guidance (scale 1), as one must: an inversion under strong guidance does not
# come back.
#
# **Predict.** Decode the same codes with guidance, without any edit. Is it still the same picture? And is the edit
# larger, smaller, or the same?

# %%
few = min(4, p.n_images)
guided = {}
for s in (1.0, p.guidance) if who.cond is not None else ():
    sampler = Sampler(Guided(model, s, model.prompts.empty), schedule=g.schedule)
    ways = {"no edit": who.edits[k1] * 0.0, k1: who.edits[k1]}
    guided |= {
        (s, label): look(sampler.decode(who.z[:few], e, who.cond[:few]))
        for label, e in ways.items()
    }
if guided:
    labels = [f"{label}, guidance {s:g}" for s, label in guided]
    display(plots.strips([v.cpu() for v in guided.values()], labels, []))
else:
    print("This model reads no texts: guidance is left out.")

# %%
effects = []
for s in dict.fromkeys(s for s, _ in guided):
    plain, edited = guided[s, "no edit"], guided[s, k1]
    how, note = "unguided" if s == 1 else "guided", f"(guidance {s:g})"
    moved = metrics.rms(plain, before[:few]).mean()
    lesson.record(f"{how}: rms change of the picture without an edit", moved, note)
    effects.append(
        lesson.record(f"{how}: effect of the edit", effect(edited, plain, k1).mean(), note)
    )
if guided:
    lesson.conclude(
        f"the effect of '{k1}' is {effects[0]:.2f} without guidance, and {effects[-1]:.2f} with it. Guidance "
        f"alone moves the picture by {moved:.2f} rms."
    )


# %% [markdown]
# Guidance alone already moves the picture towards its caption, and away from the source. The caption still describes the
# *unedited* picture, so guidance may also undo a part of what Δh does. To edit a given picture, choose guidance 1: it
# leaves the picture as it is.
#
# ## Try it

# %%
def show(attribute, scale, image):
    i = scales.tolist().index(scale)
    start, edited = before[image].cpu(), at[attribute][i, image].cpu()
    fig, axes = plots.figure(1, 3, width=10, height=3.6)
    pictures = {
        "no edit": start,
        f"{attribute} × {scale:g}": edited,
        "difference, grey: 0": edited - start,
    }
    for ax, (title, v) in zip(axes, pictures.items(), strict=True):
        plots.picture(ax, v, title)
    return fig


explore(
    show, attribute=choice(names, names[0]), scale=choice(scales.tolist(), 1.0),
    image=choice(list(range(min(4, p.n_images))), 0),
)  # fmt: skip

# %% [markdown]
# ## What this does not say
#
# - This model has Stable Diffusion's layout, but not its size: its h has few places, and its text encoder knows few words.
#   What is weak here may be strong in a large model, and the other way round.
# - The directions had a short training on a few dozen pictures; the paper takes 1,000. So a weak edit may only need more
#   training. Convolutions and attention were compared on one attribute, with one training each.
# - The table's intervals are over pictures. They say nothing of another training, or another network.
# - KID is on the critic's features: no figure here can be compared with an FID from a paper.
