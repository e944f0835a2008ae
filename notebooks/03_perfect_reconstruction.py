# %% [markdown]
# # 03 · Perfect reconstruction: the DPM-Encoder
#
# **Afterwards you can say** what the latent code z of a *stochastic* sampler is, how to find a z that gives
# back any image exactly, why that works for any network (even a useless one), where published implementations lose
# this exactness, and why the codes of a real image are not quite noise.
#
# 60 minutes. Equations: CycleDiffusion (Wu & De la Torre, ICCV 2023) eqs. 4 and 5, Algorithm 1, Appendix A;
# the independent path is that of edit-friendly inversion (Huberman-Spiegelglas et al., CVPR 2024).

# %% tags=["parameters"] nbmake={"mock": {"n_images": 2, "steps": 10, "sweep_steps": 4}}
checkpoint = "faces"  # an embedded model, a folder, or a hub id such as "google/ddpm-cifar10-32"
prompt = ""  # what a model that reads texts draws, such as "a portrait of a person"
device = "cpu"
seed = 0
steps = 50
sweep_steps = 16  # of the experiments that are repeated over η, precision, …
eta = 1.0
n_images = 4
images = ""  # pictures of your own: a folder, a file, or a glob such as "me/*.jpg"

# %%
from lessons_lib import lesson
from lessons_lib.studies import inputs

p = lesson.parameters(
    globals(), checkpoint=str, device=str, seed=(0, 289_999_999), steps=(4, 1000), sweep_steps=(4, 1000),
    prompt=str, eta=(0.001, 1.0), n_images=(1, 6), images=str,
)  # fmt: skip
inputs.check_networks(p)

# %%
from itertools import pairwise

import torch

from lessons_lib import Code, Sampler, load, plots
from lessons_lib.devices import precise, precision
from lessons_lib.encoder import encode, independent, invert, lockstep, posterior
from lessons_lib.judges import metrics
from lessons_lib.schedule import Schedule, mean_coefficients, noised
from lessons_lib.widgets import choice, explore, slider

# %% [markdown]
# ## A code for a stochastic sampler
#
# A step is x_t' = μ(x_t, t) + σ_t ε_t, where μ is the part without fresh noise. Write *all* the randomness down, and
# what is left is a deterministic map (eq. 4; ⊕ means 'together with'):
#
# $$x = G(z), \qquad z = x_T \oplus \varepsilon_T \oplus \dots \oplus \varepsilon_1 .$$
#
# **Predict.** How many numbers does z have, for an image of C·H·W pixels and S steps?

# %%
model = inputs.model_for(p.checkpoint, p.device, p.steps, p.sweep_steps, prompt=p.prompt)
g = Sampler(model, steps=p.steps, eta=p.eta)
z = g.draw(1, seed=p.seed)
in_image = lesson.record("numbers in an image", g.decode(z).numel())
in_code = lesson.record("numbers in its code", z.x_T.numel() + z.eps.numel())
lesson.conclude(
    f"z has {in_code / in_image:.0f} times as many numbers as the image, in {p.steps} steps."
)

# %% [markdown]
# That is S+1 times as many. So there are *many* codes for one image, and it should be easy to find one.
# (The last step adds no noise, so a code that is drawn holds zeros there; see 'The last step' below.)
#
# ## Encode: draw the noisy versions first, then read off the noise
#
# 1. Draw a chain x_T, …, x_1 of ever less noisy versions of the image: x_T by adding noise to the image, and each x_t'
#    by a step like the sampler's, with x_0 itself in the place of P_t. No network is needed.
# 2. At each step, compute which noise would have led from x_t to x_t' (eq. 5):
#
# $$\varepsilon_t = \frac{x_{t'} - \mu(x_t, t)}{\sigma_t}.$$
#
# The whole chain is known before the network is called, so all steps can go through it in one batch.
# *Decoding* is sampling with this z.
#
# **Predict.** The model knows only the kind of image that it has learnt. We also encode photographs, which are not of
# that kind. How well will they come back?

# %%
# By what they are; of some models photographs only.
pictures = inputs.kinds(model, p.n_images, p.seed, p.images)
own, photos = next(iter(pictures.values())), pictures["photographs"]

# %%
results = {}
for name, x in pictures.items():
    z = g.encode(x, seed=p.seed)
    results[name] = x, g.decode(z), z

# %% tags=["gallery"] sentence="Photographs that this network has never seen come back from their codes: the largest error of any pixel is {largest error of any pixel, photographs|.0e}."
rows = [model.pictures(v) for x, back, _ in results.values() for v in (x, back)]
plots.strips(rows, [label for name in results for label in (name, "decoded")], [])

# %%
worst = 0.0
for name, (x, back, _) in results.items():
    off = lesson.record(f"largest error of any pixel, {name}", (back - x).abs().max())
    worst = max(worst, off)
lesson.conclude(f"the largest error is {worst:.1e}. One step of an 8-bit image is {2 / 255:.1e}.")

# %% [markdown]
# For every kind only rounding errors are left. (Precision has its own section below.)

# %% [markdown]
# ## Why: the induction, with a network that knows nothing
#
# Decoding starts at x_T. If it arrives at x_t, it adds to μ(x_t, t) exactly what was missing, and so it arrives at x_t',
# and so on to the image. Nowhere did we use that μ is *good*.
#
# **Predict.** What happens if ε is replaced by nonsense?

# %%
with_nonsense = lesson.predict(
    "A nonsense network, decode(encode(x)).", "exact all the same", "blurred", "nothing comes back"
)
with_nonsense


# %%
class Nonsense:
    """A 'denoiser' that has nothing to do with denoising."""

    shape, alpha_bar, device = model.shape, model.alpha_bar, model.device

    def __call__(self, x, t, cond=None):
        return torch.sin(2 * x) + 0.3


# %%
fool = Sampler(Nonsense(), steps=p.steps, eta=p.eta)
back = fool.decode(fool.encode(photos, seed=p.seed))
z = g.draw(p.n_images, seed=p.seed)
wrong_by = lesson.record("largest error with a nonsense network", (back - photos).abs().max())
seen = next(i for i, limit in enumerate((1 / 255, 0.5, 99)) if wrong_by < limit)
lesson.compare(with_nonsense, with_nonsense.choices[seen])
lesson.conclude(f"a nonsense network gives every picture back, with an error of {wrong_by:.0e}.")

# %%
names = [
    "nonsense:\ndecode(encode(x))",
    "nonsense:\ndecode(random z)",
    "the model:\ndecode(random z)",
]
plots.strips([model.pictures(v) for v in (back, fool.decode(z), g.decode(z))], names, [])


# %% [markdown]
# That is a warning: **perfect reconstruction says nothing about the model**. What the model decides is which codes
# *look like noise*, and what happens when a code is decoded by another model or under another text (lessons 08 and 09).

# %% [markdown]
# ### Exercise 1 · read off a step's code <small>(easy · 3 minutes)</small>

# %% tags=["exercise"]
def read_code(x_to, mu, sigma):
    """ε_t of the step that led to x_to."""
    return None


# %%
x_to, mu = torch.tensor([[1.0, 2.0], [0.5, 2.5]], dtype=torch.float64)
cases = [(x_to, mu, s) for s in (0.1, 0.7)]
hints = ["solve x_to = mu + sigma * eps", "take mu away first, then divide by sigma"]
lesson.exercise(read_code, lambda x, mu, s: (x - mu) / s, cases, hints);

# %% [markdown]
# <details><summary>Hint 1</summary>Solve x_t' = μ + σ ε for ε.</details>
# <details><summary>Solution</summary>
#
# ```python
# def read_code(x_to, mu, sigma):
#     """ε_t of the step that led to x_to."""
#     return (x_to - mu) / sigma
# ```
# </details>

# %% [markdown]
# ## The last step
#
# The last step ends at the clean image, where σ = 0, so we cannot divide by it. Published implementations leave the
# last code out. We keep the *residual* x_0 - μ in its place.
#
# **Predict.** Will you *see* the difference?

# %%
x, back, z = results["photographs"]
dropped = Code(z.x_T, torch.cat([z.eps[:-1], torch.zeros_like(z.eps[-1:])]))
without = g.decode(dropped)
shown = [model.pictures(v) for v in (x, without)]
difference = (shown[1] - shown[0]) / (shown[1] - shown[0]).abs().max()
names = ["photograph", "last code\ndropped", "difference\n(stretched)"]
plots.strips([*shown, difference], names, [])

# %%
lost = lesson.record("largest error with the last code dropped", (without - x).abs().max())
kept = lesson.record("largest error with the residual kept", (back - x).abs().max())
lesson.conclude(
    f"without the last code a pixel is off by up to {lost:.2g}, and with it by {kept:.0e}."
)

# %% [markdown]
# The loss is hardly visible, but it is much more than rounding, and a higher precision cannot repair it.

# %% [markdown]
# ## float16, float32, float64
#
# **Predict.** The state x is kept in 16, 32 or 64 bits. Each step rounds. Do the errors pile up?

# %%
piled = lesson.predict(
    "The error after all steps in float16, in units of one rounding.",
    "below 100",
    "from 100 to 10,000",
    "more",
)
piled

# %%
one = own[:1]


def error(network, dtype):
    """The largest error of any pixel, of three η."""
    samplers = [
        Sampler(network, steps=p.sweep_steps, eta=eta, dtype=dtype) for eta in (0.1, 0.5, 1.0)
    ]
    backs = [sampler.decode(sampler.encode(one, seed=p.seed)) for sampler in samplers]
    return max((precise(back) - one).abs().max().item() for back in backs)


kinds = {"float16": (model, torch.float16), "float32": (model, torch.float32)}
if precision(model.device) == torch.float64:  # mps has none
    double = inputs.model_for(p.checkpoint, p.device, prompt=p.prompt)
    if hasattr(double, "to"):  # an exact model computes in float64 anyway
        double.to(torch.float64)
    kinds |= {"float64": (model, torch.float64), "float64, network too": (double, torch.float64)}

# %%
errors = {}
for name, kind in kinds.items():
    errors[name] = lesson.record(f"largest error, state in {name}", error(*kind))
roundings = errors["float16"] / torch.finfo(torch.float16).eps
lesson.compare(piled, piled.choices[(roundings >= 100) + (roundings >= 10_000)])
lesson.conclude(
    f"in float16 the error after all steps is {roundings:.0f} roundings of a number near 1."
)


# %% [markdown]
# The error stays near the precision of the type, so rounding errors do not pile up. The third line is an exception. There
# the state is float64 but the *network* is float32, and its rounding is what we see: the last digits of its answer
# depend on how many images it gets at once, and encoding and decoding call it with different batch sizes. With the
# network in float64, too, this is gone. (Where a network predicts ε itself, P divides its rounding by √ᾱ_t. So `encode`
# repeats the noisiest steps in the batches of decoding, and what was encoded together must be decoded together.)
#
# The codes do not repair errors: an error in x_t goes through μ into x_t'. To see this we put a small error into x_T:

# %%
def left(network, image, eta):
    """What is left in the image of a small error in x_T, relative to it (rms)."""
    sampler = Sampler(network, steps=p.sweep_steps, eta=eta)
    z = sampler.encode(image, seed=p.seed)
    wrong = 1e-3 * sampler.draw(1, seed=p.seed + 1).x_T
    back = sampler.decode(Code(z.x_T + wrong, z.eps, z.residual))
    return metrics.rms(back, image) / wrong.square().mean().sqrt()


# %%
whose = {name: (model, x[:1]) for name, x in pictures.items()} | {"nonsense": (Nonsense(), one)}
share = 0.0
for name, pair in whose.items():
    for eta in (0.1, 1.0):
        called = f"share of an error left in the image, {name}, η = {eta:g}"
        share = lesson.record(called, left(*pair, eta))
lesson.conclude(f"at η = 1 the nonsense network makes an error in x_T {share:,.0f} times as large.")

# %% [markdown]
# Where the share is below 1, errors fade: a denoiser pulls what it is given towards an image that it knows, and the
# fresh noise of a large η helps it to forget. Where it is above 1, errors grow, as with the nonsense network. (A
# photograph may fall on either side.) 'Exact for any network' is a statement about real numbers. In floating point it
# also depends on μ.

# %% [markdown]
# ## η → 0: the codes explode, the reconstruction does not
#
# The chain's step is x_t' = c_x x_t + c_P x_0 + σ_t n with a fresh n ~ N(0, I); exercise 3 asks for the numbers c_x and
# c_P. The sampler's mean μ = c_x x_t + c_P P_t has P_t in the place of x_0. So the code is
#
# $$\varepsilon_t = n + \frac{c_P}{\sigma_t}\,(x_0 - P_t).$$
#
# **Predict.** σ_t is proportional to η. What do the codes do as η falls?

# %%
fig, ax = plots.figure(width=9)
stds, errors = [], []
for i, eta in enumerate((0.03, 0.1, 0.3, 1.0)):
    sampler = Sampler(model, steps=p.sweep_steps, eta=eta)
    z = sampler.encode(one, seed=p.seed)
    std = metrics.normality(z.eps[:-1])[0]
    ax.plot(sampler.schedule.t[:-1], std, "o-", color=plots.ETAS(i / 3), label=f"η = {eta:g}")
    stds.append(
        lesson.record(f"std of the last code before the image, η = {eta:g}", z.eps[-2].std())
    )
    errors.append((sampler.decode(z) - one).abs().max())
    lesson.record(f"largest error, η = {eta:g}", errors[-1], show=False)
ax.axhline(1, color=plots.SOURCE, lw=1)
ax.set(yscale="log", xlabel="t", ylabel="standard deviation of the codes")
ax.legend()
fig

# %%
lesson.conclude(
    f"from η = 1 to η = 0.03 the last code's standard deviation grows from {stds[-1]:.1f} to {stds[0]:.0f}. "
    f"The largest error of all reconstructions is {max(errors):.1e}."
)


# %% [markdown]
# The second term is what the model could not predict of this image, divided by something small. Where it is the larger
# one, the codes grow as 1/η. At η = 1 and high t it is much smaller than n. At small η and low t it is nearly all of
# the code.

# %% [markdown]
# ## At η = 0: DDIM inversion, and what it loses
#
# For the deterministic sampler z is x_T alone, with as many numbers as the image. To find it, walk backwards. But each
# backward step would need ε at the point that it is looking for. DDIM inversion takes ε at the point where it is. One
# can do better, and repeat the step with ε at the point just found, until the point no longer moves: these are the
# *iterations* below. Above each picture is its PSNR, in dB: higher is nearer to the image.
#
# **Predict.** Does the error vanish with more steps? How much do the iterations help?

# %%
def back_and_forth(network, x, count, refine):
    ddim = Sampler(network, steps=count, eta=0.0)
    return ddim.decode(invert(ddim, x, refine=refine)[0])


kinds = [(5, 0), (10, 0), (20, 0), (10, 5)]
strip = [back_and_forth(model, one, *kind) for kind in kinds]
names = [f"{n} steps" + f",\n{r} iterations" * (r > 0) for n, r in kinds]
above = ["the image"]
for called, x in zip(names, strip, strict=True):
    said = called.replace(chr(10), " ")
    psnr = lesson.record(
        f"PSNR of DDIM inversion, {said} (dB)", metrics.psnr(x, one).mean(), show=False
    )
    above.append(f"{called}\n{psnr:.1f} dB")
plots.strips([model.pictures(torch.cat([one, *strip]))], ["DDIM\ninversion"], above)

# %% [markdown]
# Few steps lose detail and shift colours; more steps bring them back. Compare the two pictures of 10 steps: the gain is
# from the iterations. (In steps this long the iterations need not converge. Then they can leave speckles.)
#
# Now the exact model of 1,797 handwritten digits (one Gaussian on each), where no network can be blamed:

# %%
digits = load("digits")
x_digits = digits.means[:: 1797 // 12][:12].view(-1, 1, 8, 8)
counts, few, at_50 = [5, 10, 20, 50, 100], x_digits[:3], []
fig, ax = plots.figure(width=8)
for i, refine in enumerate((0, 1, 5, 20)):
    errors = [(back_and_forth(digits, few, n, refine) - few).abs().max() for n in counts]
    ax.plot(counts, errors, "os^v"[i] + "-", label=f"{refine} iterations", color=plots.ETAS(i / 3))
    called = f"largest error of DDIM inversion, 50 steps, {refine} iterations"
    at_50.append(lesson.record(called, errors[3], show=False))
ax.set(xscale="log", yscale="log", xlabel="steps", ylabel="largest error of any pixel")
ax.legend()
fig

# %%
lesson.conclude(
    f"at 50 steps the largest error is {at_50[0]:.0e} without iterations, and {at_50[-1]:.0e} with 20."
)


# %% [markdown]
# More steps help, but slowly. Iterations help much more, where they converge: the smaller the step, the faster. The
# stochastic code needs neither. It is exact at any number of steps. Its price is its size: it is S+1 times as large.

# %% [markdown]
# ### Exercise 2 · where does the chain start? <small>(medium · 5 minutes)</small>
#
# A sampler visits the times 800, 600, 400, 200, 0. One published implementation draws x_T with ᾱ of the *training*
# schedule's last time, 999, whatever the sampler's first time is. At which ᾱ must x_T be drawn, so that the
# model gets what it expects? Write the noised start.

# %% tags=["exercise"]
def noised_start(x, noise, alpha_bar, times):
    """x_T of the chain; alpha_bar (1000,) is the training table, times falls."""
    return None


# %%
def right_start(x, noise, alpha_bar, times):
    return noised(x, noise, Schedule.of(alpha_bar, times).a[0])


image, noise = torch.tensor([[[0.5, -0.5], [1.0, 0.0]], [[1.0, -1.0], [0.5, 2.0]]])
cases = [(image, noise, model.alpha_bar, t) for t in ([800, 400, 0], [999, 500], [300, 0])]
hints = [
    "the level that the first step expects",
    "√ᾱ x + √(1-ᾱ) noise, with ᾱ = alpha_bar[times[0]]",
]
lesson.exercise(noised_start, right_start, cases, hints);

# %% [markdown]
# <details><summary>Hint 1</summary>The first step is told that x_T has the noise of times[0].</details>
# <details><summary>Solution</summary>
#
# ```python
# def noised_start(x, noise, alpha_bar, times):
#     """x_T of the chain; alpha_bar (1000,) is the training table, times falls."""
#     a = alpha_bar[times[0]]
#     return a**0.5 * x + (1 - a) ** 0.5 * noise
# ```
# </details>

# %% [markdown]
# ## Are the codes noise?
#
# A *drawn* code is N(0, I). An *encoded* one should be, if the image is a typical sample of the model *and*
# the steps are small. There are two ways to draw the chain: the **posterior** path that we have used (each x_t' from x_t
# and x_0) and the **independent** path (each x_t from x_0, with noise of its own).
#
# **Predict.** The independent path's neighbours x_t and x_t' share no noise. Are its codes larger or smaller
# than the posterior path's? Does one step's code tell anything about the next one's?

# %%
codes = {path.__name__: encode(g, own, seed=p.seed, path=path) for path in (posterior, independent)}
codes["drawn"] = g.draw(p.n_images, seed=p.seed)
shown = [int(i) for i in torch.linspace(0, p.steps - 2, 5)]
rows = [code.eps[shown, 0, :3] for code in codes.values()]  # of a latent's channels the first three
rows = [row / row.abs().amax((1, 2, 3), True) for row in rows]
plots.strips(rows, list(codes), [f"t = {g.schedule.t[i]}" for i in shown], "codes, each stretched")

# %%
fig, axes = plots.figure(1, 2, width=11, height=4)
colours = dict(zip(codes, (plots.P, plots.D, plots.SOURCE), strict=True))
t = g.schedule.t[:-1]
for name, code in codes.items():
    eps = code.eps[:-1]
    style = {"color": colours[name], "ls": "--" if name == "drawn" else "-", "label": name}
    axes[0].plot(t, metrics.normality(eps)[0], **style)
    axes[1].plot(t[:-1], metrics.step_correlation(eps), **style)
axes[0].set(title="standard deviation of the codes", xlabel="t", ylim=(0, None))
axes[1].set(title="correlation with the next step's code", xlabel="t", ylim=(-1, 1))
axes[1].legend()
fig

# %%
middle, found = p.steps // 2, []
for name, code in codes.items():
    at = f"(t = {t[middle]})"
    std = lesson.record(f"{name}: std of the code at mid-way", code.eps[middle].std(), at, False)
    late = lesson.record(
        f"{name}: std of the last code", code.eps[-2].std(), f"(t = {t[-1]})", False
    )
    correlation = metrics.step_correlation(code.eps)[middle]
    called = f"{name}: correlation with the next step at mid-way"
    correlation = lesson.record(called, correlation, at, False)
    found.append((std, late, correlation))
whats = (f"standard deviation {at}", f"standard deviation (t = {t[-1]})", f"correlation {at}")
for what, values in zip(whats, zip(*found, strict=True), strict=True):
    said = ", ".join(f"{name} {v:.2f}" for name, v in zip(codes, values, strict=True))
    lesson.conclude(f"{what}: {said}.")

# %% [markdown]
# At high t the posterior path's codes are like drawn ones: white, of unit variance. Towards the image they
# grow and show its edges, which the model could not predict. The independent path's codes are larger, except at the
# last step, where the two nearly agree. From step to step they correlate with a negative sign: the noise of x_t enters
# one step's code as something that was added, and the next step's code as something that must be removed. The image's
# own term, c_P (x_0 - P_t)/σ_t, has the same form in both. At high t it is small, so there the independent codes are
# noise, too, only more of it. (Huberman-Spiegelglas et al. find such codes better for editing.)
#
# How much of that term is the model's fault? An exact model has no fault. Here are the codes of images that *are* its
# samples:

# %%
typical, stds = digits.sample(4, seed=p.seed), []
for count in (20, 1000):
    z = Sampler(digits, steps=count, eta=1.0).encode(typical, seed=p.seed)
    name = f"exact model, its own samples, {count} steps: std of the last code before the image"
    stds.append(lesson.record(name, z.eps[-2].std(), show=False))
lesson.conclude(
    f"an exact model's own samples have a last code of standard deviation {stds[0]:.1f} in 20 steps, and "
    f"of {stds[1]:.1f} in 1,000."
)


# %% [markdown]
# Even here the standard deviation is above 1. It falls as steps become small. The cause is that P_t is an
# average over images, and x_0 is one image. So there are three reasons why codes may not look like noise: an unusual
# image, a poor model, or only large steps.

# %% [markdown]
# ### Exercise 3 · the chain's two factors <small>(hard · 8 minutes)</small>
#
# The posterior path's next state is x_t' = c_x x_t + c_P x_0 + σ n. Write c_x and c_P so that, given x_0, it
# has the right mean √ᾱ' x_0 and the right variance 1-ᾱ'. Given are ᾱ, ᾱ' and σ.

# %% tags=["exercise"]
def chain_coefficients(a, a_to, sigma):
    """(c_x, c_P) as a tensor of two numbers; a, a_to, sigma are tensors."""
    return None


# %%
def right_coefficients(*levels):
    return torch.stack(mean_coefficients(*levels))


levels = torch.tensor([[0.2, 0.5, 0.3], [0.5, 0.9, 0.0]], dtype=torch.float64)
cases = [tuple(row) for row in levels]
hints = [
    "match the variance first: it has only c_x",
    "c_x²(1-ᾱ) + σ² = 1-ᾱ' gives c_x, then c_x √ᾱ + c_P = √ᾱ' gives c_P",
]
lesson.exercise(chain_coefficients, right_coefficients, cases, hints);


# %% [markdown]
# <details><summary>Hint 1</summary>Given x_0, x_t has variance 1-ᾱ; so x_t' has c_x²(1-ᾱ) + σ².</details>
# <details><summary>Hint 2</summary>Then the mean: c_x √ᾱ + c_P = √ᾱ'.</details>
# <details><summary>Solution</summary>
#
# ```python
# def chain_coefficients(a, a_to, sigma):
#     """(c_x, c_P) as a tensor of two numbers; a, a_to, sigma are tensors."""
#     c_x = ((1 - a_to - sigma**2) / (1 - a)) ** 0.5
#     return torch.stack([c_x, a_to**0.5 - c_x * a**0.5])
# ```
# </details>

# %% [markdown]
# ### Exercise 4 · capstone: write the DPM-Encoder <small>(hard · 12 minutes)</small>
#
# Eight lines, and any image comes back. Take the independent path: each noisy version is √ᾱ x + √(1-ᾱ) times a
# noise of its own. `noise[0]` makes x_T at the level `a[0]`; `noise[i + 1]` makes the end of step i at the level
# `a_to[i]`; the last step ends at x itself. Return x_T and then, for each step, the difference between the end of the
# step and its mean μ. Divide it by σ, except in the last step, where σ is 0.
#
# The figure after it decodes *your* codes by the library's sampler.

# %% tags=["exercise"]
def my_encoder(mean, x, noise, a, a_to, sigma):
    """x_T and the S codes, one tensor (S + 1, *x.shape). mean(x_t, i) is μ of step i; noise is (S, *x.shape);
    a, a_to and sigma are (S,), the last a_to is 1 and the last sigma 0."""
    return None


# %%
def library_encoder(mean, x, noise, a, a_to, sigma):
    levels = [a[0], *a_to[:-1]]
    chain = [*(noised(x, n, v.item()) for n, v in zip(noise, levels, strict=True)), x]
    left = [x_to - mean(x_t, i) for i, (x_t, x_to) in enumerate(pairwise(chain))]
    scaled = [v / (s or 1.0) for v, s in zip(left, sigma.tolist(), strict=True)]
    return torch.stack([chain[0], *scaled])


def needed_for(g, x):
    gen, x = torch.Generator().manual_seed(p.seed), precise(x)
    noise = torch.randn((len(g.schedule), *x.shape), generator=gen, dtype=torch.float64).to(x)
    return g.mean, x, noise, g.schedule.a, g.schedule.a_to, g.sigma


# %%
cases = [needed_for(Sampler(digits, steps=4, eta=eta), x_digits[:2]) for eta in (1.0, 0.3)]
hints = [
    "walk along the chain: keep x_t, make x_t', read off the code, go on from x_t'",
    "(x_to - mean(x_t, i)) / sigma[i] is a code; x_to is noised at a_to[i], or x itself in the last step",
]
right = lesson.exercise(my_encoder, library_encoder, cases, hints)
encoder = my_encoder if right else library_encoder

# %% [markdown]
# <details><summary>Hint 1</summary><code>a_to[i]</code> is 1 in the last step, so √ᾱ' x + √(1-ᾱ') noise is x there, but there is
# no <code>noise[S]</code> to multiply by 0.</details>
# <details><summary>Hint 2</summary>In the last step divide by 1 in place of σ.</details>
# <details><summary>Solution</summary>
#
# ```python
# def my_encoder(mean, x, noise, a, a_to, sigma):
#     """x_T and the S codes, one tensor (S + 1, *x.shape). mean(x_t, i) is μ of step i; noise is (S, *x.shape);
#     a, a_to and sigma are (S,), the last a_to is 1 and the last sigma 0."""
#     x_t = a[0] ** 0.5 * x + (1 - a[0]) ** 0.5 * noise[0]
#     codes, last = [x_t], len(a) - 1
#     for i in range(len(a)):
#         x_to = x if i == last else a_to[i] ** 0.5 * x + (1 - a_to[i]) ** 0.5 * noise[i + 1]
#         left = x_to - mean(x_t, i)
#         codes.append(left if i == last else left / sigma[i])
#         x_t = x_to
#     return torch.stack(codes)
# ```
# </details>

# %%
found = encoder(*needed_for(g, own))
is_last = torch.arange(p.steps) == p.steps - 1
back = g.decode(Code(found[0], found[1:], is_last.to(own.device)))
kept = [1, p.steps // 2, p.steps - 1]
shades = [v[:, :3] / v[:, :3].abs().amax((1, 2, 3), True) for v in found[kept]]
rows = [model.pictures(own), *shades, model.pictures(back)]
plots.strips(rows, ["x", *(f"code of step {i}" for i in kept), "decoded"], [])

# %%
off_by = (back - own).abs().max()
lesson.conclude(f"the largest error of a pixel after encoding and decoding is {off_by:.0e}.")

# %% [markdown]
# The codes hold what the model does not predict: in the last one you can see the picture.

# %% [markdown]
# ## Long chains: stream them
#
# A code of 1,000 steps at 256 px has 197 million numbers. Encoder and decoder can walk in lock-step instead
# (Algorithm 1): each code is used as soon as it is read off, and only one step is in memory at a time.

# %%
*_, (_, last) = lockstep(g, one, seed=p.seed)
off = lesson.record(
    "largest error, encoded and decoded in lock-step", (last.x_to - one).abs().max()
)
lesson.conclude(f"encoded and decoded in lock-step, the largest error is {off:.1e}.")


# %% [markdown]
# ## Try it
#
# You see a digit, its x_t at the chosen step, its code there, and what decode gives if the codes from this step on are
# dropped. The later the step, the less is lost. At which step does the digit change? And at small η?

# %%
def show(eta, precision, step):
    sampler = Sampler(digits, steps=30, eta=eta, dtype=getattr(torch, precision))
    z = sampler.encode(x_digit, seed=p.seed)
    cut = torch.cat([z.eps[:step], torch.zeros_like(z.eps[step:])])
    path, back = sampler.path(z), sampler.decode(Code(z.x_T, cut))
    error = (path[-1].double() - x_digit).abs().max()
    fig, axes = plots.figure(1, 4, width=12, height=3.4)
    code = z.eps[step] / z.eps[step].abs().max()
    titles = ["the digit", f"x at step {step}", "its code", "later codes dropped"]
    for ax, image, title in zip(axes, (x_digit, path[step], code, back), titles, strict=True):
        plots.picture(ax, image[0], title)
    fig.suptitle(
        f"η = {eta:g}, {precision}: all codes kept, largest error {error:.1e}", fontsize=13
    )
    return fig


x_digit = digits.means[3:4].view(1, 1, 8, 8)
explore(
    show, eta=slider(0.05, 1.0, 1.0, 0.05, "η"), step=slider(0, 29, 20, 1),
    precision=choice(["float16", "float32", "float64"], "float64"),
)  # fmt: skip

# %% [markdown]
# ## What this does not say
#
# - Exact reconstruction holds by construction, for any network, except for rounding, which a bad network can
#   enlarge. It is no evidence that a model, a code or an edit is good.
# - z of a real image is not a sample from N(0, I), above all at low t and small η. A method that assumes it is one makes
#   an error there.
# - DDIM inversion's numbers above are for 12 digits that the exact model was built on; measure yours.
