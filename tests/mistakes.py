"""What people get wrong, tried: `python tests/mistakes.py` prints how each of these mistakes is answered.

A good answer is one sentence that the library raises itself, of these words; a riddle is any other error; silent
is none. It fails below 98 % of sentences, or where one is silent.
"""
# ruff: noqa: E501

import contextlib
import io
import json
import math
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from functools import cache
from pathlib import Path

import nbformat
import torch
from nbformat.v4 import new_code_cell, new_notebook

sys.path.insert(0, str(Path(__file__).parent))

import test_door
import test_errors
from lessons_lib import (
    Code,
    Sampler,
    bench,
    chains,
    classroom,
    convert,
    direction,
    edit,
    handouts,
    lesson,
    load,
    pages,
    pairing,
    plots,
    scoreboard,
    sweep,
    worlds,
)
from lessons_lib.judges import metrics
from lessons_lib.judges.counterfactual import manifold_distance, readings
from lessons_lib.judges.evaluators import load_clip, load_critic
from lessons_lib.methods import bounds, editing, energies, guidance, hspace, intervals, training
from lessons_lib.methods import training_free as free
from lessons_lib.methods.asyrp import Asyrp, Conv, load_edit, save_edit
from lessons_lib.methods.public_edits import read_public_edit
from lessons_lib.methods.rivals import moved_start
from lessons_lib.methods.translators import load_domains, load_translator
from lessons_lib.paths import DIRECTIONS, NOTEBOOKS, held_out_seed
from lessons_lib.pictures import read_pictures
from lessons_lib.recipes import __main__ as recipes
from lessons_lib.recipes import directions, figures
from lessons_lib.schedule import of_thousand
from lessons_lib.streams import Streams
from lessons_lib.studies import exact, inputs, subjects, unpaired
from published import labelled
from small import mixture, randn, tiny_net, tiny_pipeline, tiny_unet, write_card

NAN, INF = math.nan, math.inf
NOWHERE = str(Path(tempfile.gettempdir()) / f"nowhere-{os.getpid()}")  # no refused command makes it
TINY = tiny_unet(dtype=torch.float32)
G, DDIM = Sampler(TINY, 4, 1.0), Sampler(TINY, 4)
MIX = Sampler(mixture(), 4, 1.0)
X, POINTS = randn(2, 3, 8, 8).clamp(-1, 1), randn(2, 3)
PICTURE = worlds.faces.sample(2, 0, 32).image
BRIGHT = energies.of(lambda x: x.flatten(1).square().sum(1))
EDIT = hspace.constant(torch.zeros(16, 4, 4), 999)
critic, clip = cache(load_critic), cache(load_clip)


def kicked(x, *where, by):
    """x with one value replaced."""
    out = x.clone()
    out[where] = by
    return out


def paths(**changes):
    """Curves of one path, of which some are changed."""
    c = intervals.curves(DDIM, DDIM.draw(1, 0), metrics.rms)
    return c._replace(**changes)


LIBRARY = {f"{name}": case for table in (test_errors.BAD, test_door.REFUSED) for name, case in table.items()} | {
    "a code for x": (lambda: G.encode(G.draw(1, 0)), ["Code", "tensor"]),
    "x in half precision, beyond its range": (lambda: G.encode(X.half() * 1e5), ["not finite"]),
    "a seed too large": (lambda: G.draw(1, 2**40), ["seed is 1099511627776", "4294967295"]),
    "seeds for other images": (lambda: G.encode(X, seed=[1, 2, 3]), ["3 seeds", "2 images"]),
    "a seed that is a tensor": (lambda: G.draw(1, torch.tensor(3)), ["seed is tensor(3)", "whole number"]),
    "streams of no seed": (lambda: Streams("0", 2), ["seed is '0'"]),
    "an image that a code has not": (lambda: G.draw(2, 0)[7], ["no image 7"]),
    "codes of two samplers added": (lambda: G.draw(1, 0).map(torch.add, DDIM.draw(1, 0)), ["same steps and eta"]),
    "replace a name that is none": (lambda: G.replace(step=3), ["step", "it has denoiser"]),
    "an eta of 7 by replace": (lambda: G.replace(eta=7), ["eta is 7"]),
    "a question with one choice": (lambda: lesson.predict("Well?", "yes"), ["two or more"]),
    "a result that was no choice": (lambda: lesson.compare(lesson.predict("Well?", "yes", "no"), "dog"), ["'dog'", "yes, no"]),
    "half a picture of anyone": (lambda: subjects.anyone(DDIM, 0.5, 0), ["n is 0.5", "at least 1"]),
    "pictures of nowhere": (lambda: read_pictures("nowhere/*.png", (3, 8, 8)), ["nowhere/*.png", "glob"]),
    "pictures without a name": (lambda: read_pictures("", (3, 8, 8)), ["empty", "folder"]),
    "pictures for points": (lambda: read_pictures(__file__, (64,)), ["(64,)", "channels"]),
    "a text for a picture": (lambda: read_pictures(__file__, (3, 8, 8)), ["mistakes.py", "PNG"]),
    "a published f_t that is none": (lambda: read_public_edit(__file__, 999, 500), ["mistakes.py", "not read"]),
    "start at a time that is none": (lambda: editing.start_at(G, 1000), ["t is 1000", "999"]),
    "start at half a time": (lambda: editing.start_at(G, 99.5), ["t is 99.5"]),
    "start below the last": (lambda: editing.start_at(G, -1), ["t is -1"]),
    "texts for a model of pictures": (lambda: editing.text_samplers(TINY), ["no text", "t2i"]),
    "ILVR by areas that do not fit": (lambda: editing.ilvr(X, G, editing.low_pass(3)), ["factor is 3", "divide 8"]),
    "ILVR by no area": (lambda: editing.ilvr(X, G, editing.low_pass(0)), ["factor is 0"]),
    "DDIB with noise": (lambda: editing.ddib(X, G, G), ["eta=0"]),
    "DDIB, refined -1 times": (lambda: editing.ddib(X, DDIM, DDIM, refine=-1), ["refine is -1"]),
    "best of nothing": (lambda: editing.best_of([], BRIGHT, BRIGHT), ["no candidates"]),
    "chosen and reported by one judge": (lambda: editing.best_of([X], BRIGHT, BRIGHT), ["same scores"]),
    "no chains": (lambda: guidance.sample(G, BRIGHT, 1.0, 0), ["chains is 0"]),
    "chains in words": (lambda: guidance.sample(G, BRIGHT, 1.0, "8"), ["chains is '8'"]),
    "a weight below 0": (lambda: guidance.sample(G, BRIGHT, -1.0), ["weight is -1.0"]),
    "a weight of nan": (lambda: guidance.sample(G, BRIGHT, NAN), ["weight is nan"]),
    "a step of 0": (lambda: guidance.sample(G, BRIGHT, 1.0, step=0.0), ["step is 0.0"]),
    "no rounds of a chain": (lambda: guidance.sample(G, BRIGHT, 1.0, rounds=0), ["rounds is 0"]),
    "a burn-in below 0": (lambda: guidance.sample(G, BRIGHT, 1.0, burn_in=-1), ["burn_in is -1"]),
    "kept every 0th round": (lambda: guidance.sample(G, BRIGHT, 1.0, thin=0), ["thin is 0"]),
    "a setting that is none": (lambda: guidance.sample(G, BRIGHT, 1.0, lr=0.1), ["lr"]),
    "an energy of all images": (lambda: guidance.sample(G, energies.of(lambda x: x.sum()), 1.0, 2, 1), ["one number for each image"]),
    "an energy that is infinite": (lambda: guidance.sample(G, energies.of(lambda x: x.flatten(1).sum(1) * INF), 1.0, 2, 1), ["finite"]),
    "an energy times a text": (lambda: BRIGHT * "2", ["'2'", "number"]),
    "an energy plus a number": (lambda: BRIGHT + 1, ["another energy"]),
    "a part of a picture of another size": (lambda: energies.inpainting(X, torch.ones(5, 5))(X), ["(5, 5)"]),
    "augmented -1 times": (lambda: energies.by_text(clip(), "a cat", copies=-1), ["copies is -1"]),
    "a guide of no recurrence": (lambda: free.freedom(0.1, recur=0), ["recur is 0"]),
    "best of no draws": (lambda: free.best_of(G, BRIGHT, 0, 2), ["count is 0"]),
    "a single chain's mixing": (lambda: guidance.mixing(torch.zeros(9, 1)), ["2 chains"]),
    "a direction of no h": (lambda: Asyrp.of(Conv(8, 32), 999)(TINY, X.float(), 5), ["8 channels", "16"]),
    "an interval upside down": (lambda: Asyrp.of(Conv(16, 32), 100, 500), ["100", "500"]),
    "no visits": (lambda: Asyrp.of(Conv(16, 32), 500, 100, 0), ["visits"]),
    "an edit times a text": (lambda: EDIT * "2", ["'2'", "number"]),
    "an edit times nan": (lambda: EDIT * NAN, ["nan"]),
    "an edit of a mixture": (lambda: MIX.decode(MIX.draw(1, 0), EDIT), ["bottleneck"]),
    "k directions of too few": (lambda: hspace.principal(randn(4, 3), 9), ["k is 9"]),
    "linearity of two scales": (lambda: hspace.linearity(torch.tensor([0.0, 1.0]), torch.zeros(2, 4)), ["3 scales"]),
    "a threshold that is never reached": (lambda: intervals.t_edit(paths(), 99.0), ["never reaches 99"]),
    "a share above 1": (lambda: intervals.threshold(paths().t, paths().P, [900, 500], [0.1, 0.2], 1.5), ["share is 1.5"]),
    "no success at all": (lambda: intervals.threshold(paths().t, paths().P, [900, 500], [0.0, 0.0], 0.9), ["any success"]),
    "boosted from a text": (lambda: intervals.Boosted(G, "200"), ["t_boost is '200'"]),
    "trained by one text": (lambda: training.text_change(clip(), "a cat", "a cat"), ["the same"]),
    "texts of two lengths": (lambda: training.text_change(clip(), ["a cat"], ["a dog", "a fox"]), ["1 source", "2 target"]),
    "sources at eta 1": (lambda: training.source_paths(G, G.draw(2, 0), clip(), 900, 100), ["eta=0"]),
    "an interval without a step": (lambda: training.source_paths(DDIM, DDIM.draw(2, 0), clip(), 990, 980), ["No step"]),
    "x_T moved by no rounds": (lambda: moved_start(DDIM, DDIM.draw(1, 0), clip(), "a cat", "a dog", rounds=-1), ["rounds is -1"]),
    "K of no step": (lambda: bounds.estimated_K(MIX, POINTS, 99), ["step", "99"]),
    "a time of 1,000 that is none": (lambda: of_thousand(1000, 500), ["1000"]),
    "no such purpose": (lambda: held_out_seed("exams"), ["'exams'"]),
    "a purpose's seed too large": (lambda: held_out_seed("lessons", 10**9), ["1000000000"]),
    "no chunk to weigh": (lambda: exact.weighed(POINTS, torch.tensor([NAN, NAN]), 2, 0), ["finite"]),
    "a factor above its range": (lambda: worlds.faces.render(test_errors.FACTORS | {"smile": 7.0}), ["smile", "-1", "1"]),
    "a kind that is none": (lambda: worlds.animals.render(worlds.animals.sample_factors(1, 0) | {"species": 9.0}), ["species"]),
    "a world that is none": (lambda: readings(PICTURE, "trees", critic()), ["'trees'"]),
    "a factor named wrongly": (lambda: worlds.faces.where("smiling", smle=1.0), ["smle"]),
    "pictures of too large a size": (lambda: worlds.faces.sample(1, 0, size=10**6), ["size is 1000000"]),
    "a schedule in a list": (lambda: Sampler(TINY, schedule=[900, 500]), ["schedule is", "Schedule.of"]),
    "a dtype in words": (lambda: Sampler(TINY, 4, dtype="float32"), ["dtype is 'float32'"]),
    "an edit that answers nothing": (lambda: G.decode(G.draw(1, 0), lambda *a: None), ["NoneType", "Eps"]),
    "an edit that answers a tensor": (lambda: G.decode(G.draw(1, 0), lambda d, x, t, cond: x), ["Tensor", "Eps"]),
    "a guide of nan": (lambda: free.Guide(rho=NAN), ["rho is nan"]),
    "guided by a weight of nan": (lambda: free.guided(G, BRIGHT, NAN, free.dps(1.0), G.draw(1, 0)), ["weight is nan"]),
    "rms of two shapes": (lambda: metrics.rms(X, X[:1, :, :4]), ["one shape"]),
    "codes of two batches added": (lambda: G.draw(3, 0).map(torch.add, G.draw(2, 0)), ["3, 2 images"]),
    "no draws of a mixture": (lambda: mixture().sample(0, 0), ["n is 0"]),
    "a mixture's draws by a seed in words": (lambda: mixture().sample(2, "0"), ["seed is '0'"]),
    "a threshold of nan": (lambda: intervals.t_edit(paths(), NAN), ["nan"]),
    "strips of nothing": (lambda: plots.strips([], [], []), ["no rows"]),
    "no held-out purpose of a mixture": (lambda: inputs.kinds(mixture(d=3), 2, 0), ["not images"]),
    "an attribute that is none": (lambda: subjects.who_lacks(["smilng"], 2, 0), ["smilng"]),
    "no direction of that name": (lambda: subjects.subjects(DDIM, "faces", "smilng", 2, 0), ["smilng"]),
    "a setting chosen of nothing": (lambda: unpaired.best_translation({}), ["no setting"]),
    "a translator of no world": (lambda: unpaired.drawn("cats", "trees", 2, 0, 32), ["trees"]),
}  # fmt: skip

ONE_PICTURE = ["finite"]
PICTURES = {
    "levels to the critic": (lambda: critic().read((PICTURE + 1) * 127.5, "faces"), ["255", "/ 127.5 - 1"]),
    "levels to clip": (lambda: clip().image((PICTURE + 1) * 127.5), ["255", "/ 127.5 - 1"]),
    "bytes to the critic": (lambda: critic().world(PICTURE.byte()), ["uint8"]),
    "one picture without a batch": (lambda: critic().world(PICTURE[0]), ["(3, 32, 32)", "(B, "]),
    "no pictures to clip": (lambda: clip().image(PICTURE[:0]), ["(0, 3, 32, 32)"]),
    "channels last": (lambda: clip().image(PICTURE.permute(0, 2, 3, 1)), ["(2, 32, 32, 3)"]),
    "channels last to the sampler": (lambda: G.encode(X.permute(0, 2, 3, 1)), ["(2, 8, 8, 3)", "(B, 3, 8, 8)"]),
    "an array to the critic": (lambda: critic().features(PICTURE.numpy()), ["ndarray"]),
    "nan in a picture for the critic": (lambda: critic().read(kicked(PICTURE, 0, 0, 0, 0, by=NAN), "faces"), ONE_PICTURE),
    "infinity in a picture for clip": (lambda: clip().image(kicked(PICTURE, 0, 0, 0, 0, by=INF)), ONE_PICTURE),
    "nan in a picture to encode": (lambda: G.encode(kicked(X, 0, 0, 0, 0, by=NAN)), ONE_PICTURE),
    "infinity in a picture to encode": (lambda: G.encode(kicked(X, 1, 2, 3, 4, by=-INF)), ONE_PICTURE),
    "a picture of 0 to 255 to invert": (lambda: editing.ddib((X + 1) * 127.5, DDIM, DDIM), ["/ 127.5 - 1"]),
    "a picture of 0 to 255 for ILVR": (lambda: editing.ilvr((X + 1) * 127.5, G, editing.low_pass(2)), ["/ 127.5 - 1"]),
    "nan for SDEdit": (lambda: editing.sdedit(kicked(X, 0, 0, 0, 0, by=NAN), G), ONE_PICTURE),
    "nan for CycleDiffusion": (lambda: editing.cycle_diffusion(kicked(X, 0, 0, 0, 0, by=NAN), G, G), ONE_PICTURE),
    "levels for CycleDiffusion": (lambda: editing.cycle_diffusion((X + 1) * 127.5, G, G), ["/ 127.5 - 1"]),
    "two sizes compared": (lambda: metrics.psnr(PICTURE, PICTURE[..., :16, :16]), ["one shape"]),
    "two numbers of pictures compared": (lambda: metrics.ssim(PICTURE, PICTURE[:1]), ["one shape"]),
    "small pictures' SSIM": (lambda: metrics.ssim(X, X), ["8×8", "11×11"]),
    "levels compared": (lambda: metrics.psnr((PICTURE + 1) * 127.5, PICTURE), ["/ 127.5 - 1"]),
    "tiny pictures' distance from the world": (lambda: manifold_distance(X.float(), "faces", critic()), ["32"]),
    "a picture that is not square": (lambda: manifold_distance(PICTURE[..., :20], "faces", critic()), ["32×20"]),
    "two channels for the critic": (lambda: critic().world(PICTURE[:, :2]), ["(2, 2, 32, 32)"]),
    "an image of five channels to plot": (lambda: plots.pixels(torch.zeros(5, 8, 8)), ["(5, 8, 8)"]),
    "a batch to plot as one": (lambda: plots.pixels(torch.zeros(2, 3, 8, 8)), ["(2, 3, 8, 8)"]),
    "a person of another size": (lambda: energies.same_person(critic(), PICTURE[0]), ["(3, 32, 32)"]),
    "few pictures for FID": (lambda: metrics.fid(PICTURE, PICTURE, critic()), ["at least"]),
    "few pictures for KID": (lambda: metrics.kid(PICTURE, PICTURE, critic()), ["subset_size"]),
    "more photographs than there are": (lambda: inputs.photographs(99, (3, 8, 8)), ["n is 99"]),
    "no text for clip": (lambda: clip().text([]), ["no sentences"]),
    "a number for a text": (lambda: clip().text([3]), ["3"]),
    "a text in place of a list": (lambda: clip().text("a cat"), ["list"]),
    "a text of no known word": (lambda: clip().text(["xylophone qwertz"]), ["xylophone"]),
}  # fmt: skip


def coded(folder):
    """A network whose `.bin` would run something."""
    tiny_net().save_pretrained(folder)
    (folder / "diffusion_pytorch_model.safetensors").unlink()
    torch.save({"a": Path}, folder / "diffusion_pytorch_model.bin")


def in_folder(make, use):
    """A case that needs a folder: make(folder) fills it, use(folder) is the mistake."""

    def call():
        with tempfile.TemporaryDirectory() as where:
            folder = Path(where) / "there"
            folder.mkdir()
            make(folder)
            use(folder)

    return call


def copied(name):
    """Fill a folder with an embedded checkpoint or direction."""
    return lambda folder: shutil.copytree(name, folder, dirs_exist_ok=True)


def spoilt(name, file, content=b""):
    """The same, with one file's content replaced; None is without the file."""

    def make(folder):
        copied(name)(folder)
        (folder / file).unlink() if content is None else (folder / file).write_bytes(content)

    return make


def own(**changes):
    """A tiny network as diffusers saves it; changes: of its scheduler's file."""

    def make(folder):
        tiny_net().save_pretrained(folder / "unet")
        said = {
            "_class_name": "DDIMScheduler",
            "beta_start": 1e-4,
            "beta_end": 0.02,
            "num_train_timesteps": 1000,
        }
        (folder / "scheduler").mkdir()
        (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(said | changes))

    return make


def own_unet(**changes):
    """The same; changes: of its network's configuration."""

    def make(folder):
        own()(folder)
        path = folder / "unet" / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return make


def own_weights(change):
    """The same, with its weights' bytes changed."""

    def make(folder):
        own()(folder)
        path = folder / "unet" / "diffusion_pytorch_model.safetensors"
        path.write_bytes(change(path.read_bytes()))

    return make


def nothing(folder):
    """An empty folder."""


def own_code(content=None, sampler=G):
    """A code's file, or one with this content."""

    def make(folder):
        if content is None:
            sampler.draw(1, 0).save(folder / "z", sampler)
        else:
            (folder / "z").write_bytes(content)

    return make


CRITIC, CLIP, SMILE = (
    Path(f"data/{p}").resolve()
    for p in ("checkpoints/critic", "checkpoints/clip", "directions/smiling")
)
FACES = Path("data/checkpoints/faces").resolve()
FILES = {
    "a model's name misspelt": (lambda: load("facs"), ["'facs'", "faces"]),
    "no folder there": (lambda: load("./nowhere/model"), ["no folder"]),
    "a name of nothing": (lambda: load(""), ["empty"]),
    "a number for a model": (lambda: load(3), ["3"]),
    "a device that is none": (lambda: load("faces", "gpu"), ["'gpu'"]),
    "a precision that is none": (lambda: load("faces", precision="half"), ["'half'", "bfloat16"]),
    "float16 on a CPU": (lambda: load("faces", precision="float16"), ["float16", "GPU", "'bfloat16'"]),
    "an exact model in half precision": (lambda: load("digits", precision="bfloat16"), ["exact", "leave precision"]),
    "an exact model compiled": (lambda: load("moons", compiled=True), ["exact", "compiled"]),
    "K of a network in half precision": (lambda: bounds.estimated_K(G.replace(denoiser=load("faces", precision="bfloat16")), randn(1, 3, 32, 32), 1), ["bfloat16", "without precision"]),
    "a Jacobian in half precision": (lambda: hspace.singular(load("faces", precision="bfloat16"), randn(1, 3, 64, 64), 500, 1), ["bfloat16", "without precision"]),
    "a variant that is none": (lambda: load(SMILE.parent.parent / "checkpoints" / "faces", variant="fp16"), ["no variant 'fp16'"]),
    "a file of the authors": (in_folder(lambda f: (f / "x.pt").touch(), lambda f: load(f / "x.pt")), ["is a file", "lessons_lib.convert"]),
    "weights that are code": (in_folder(coded, load), ["could run code"]),
    "a critic as a generator": (lambda: load("critic"), ["critic", "load_critic"]),
    "a generator as a critic": (lambda: load_critic("faces"), ["generator", "load"]),
    "a critic as a clip": (lambda: load_clip("critic"), ["critic"]),
    "no such clip": (lambda: load_clip("clipp"), ["clipp"]),
    "no such critic": (lambda: load_critic("nowhere"), ["nowhere"]),
    "no such translator": (lambda: load_translator("cut-dogs-cats"), ["cut-dogs-cats"]),
    "domains that are none": (lambda: load_domains("critic"), ["critic"]),
    "no such direction": (lambda: load_edit("smilng"), ["smilng", "smiling"]),
    "a folder that is empty": (in_folder(nothing, load), ["config.json"]),
    "a file for a folder": (in_folder(lambda f: (f / "x").write_text("x"), lambda f: load(f / "x")), ["x"]),
    "a scheduler that is no JSON": (in_folder(lambda f: (own()(f), (f / "scheduler/scheduler_config.json").write_text("{")), load), ["scheduler_config.json"]),
    "a scheduler that is a list": (in_folder(lambda f: (own()(f), (f / "scheduler/scheduler_config.json").write_text("[]")), load), ["scheduler_config.json"]),
    "no scheduler": (in_folder(lambda f: (own()(f), shutil.rmtree(f / "scheduler")), load), ["scheduler_config.json"]),
    "flow matching": (in_folder(own(_class_name="FlowMatchEulerDiscreteScheduler"), load), ["FlowMatch"]),
    "a scheduler that nobody knows": (in_folder(own(_class_name="MyScheduler"), load), ["MyScheduler"]),
    "β above 1": (in_folder(own(beta_end=2.0), load), ["beta_end=2.0"]),
    "β of nan": (in_folder(own(beta_end=NAN), load), ["beta_end=nan"]),
    "no training steps": (in_folder(own(num_train_timesteps=0), load), ["num_train_timesteps is 0"]),
    "training steps in words": (in_folder(own(num_train_timesteps="many"), load), ["num_train_timesteps"]),
    "a prediction that is none": (in_folder(own(prediction_type="score"), load), ["score"]),
    "a β schedule that is none": (in_folder(own(beta_schedule="zigzag"), load), ["zigzag"]),
    "a network of another class": (in_folder(own_unet(_class_name="UNet3DConditionModel"), load), ["UNet3DConditionModel"]),
    "a network of no class": (in_folder(own_unet(_class_name=None), load), ["class"]),
    "a network of other widths": (in_folder(own_unet(block_out_channels=[8, 32]), load), ["does not load"]),
    "a side that its levels cannot halve": (in_folder(own_unet(sample_size=7), load), ["7"]),
    "a side of two numbers": (in_folder(own_unet(sample_size=[8, 16]), load), ["sample_size"]),
    "a configuration that is no JSON": (in_folder(lambda f: (own()(f), (f / "unet/config.json").write_text("x")), load), ["config.json"]),
    "weights cut short": (in_folder(own_weights(lambda b: b[: len(b) // 2]), load), ["does not load"]),
    "weights that are empty": (in_folder(own_weights(lambda b: b""), load), ["does not load"]),
    "weights that are a text": (in_folder(own_weights(lambda b: b"version https://git-lfs.github.com/spec/v1"), load), ["does not load"]),
    "a flipped byte": (in_folder(lambda f: (copied(FACES)(f), (f / "unet/config.json").write_text("{}")), load), ["corrupt"]),
    "a card that is no JSON": (in_folder(spoilt(FACES, "card.json", b"{"), load), ["card.json"]),
    "a card of a later format": (in_folder(lambda f: (own()(f), write_card(f, format=99)), load), ["format"]),
    "a critic without weights": (in_folder(spoilt(CRITIC, "model.safetensors", None), load_critic), ["model.safetensors"]),
    "a critic of an empty file": (in_folder(spoilt(CRITIC, "model.safetensors"), load_critic), ["corrupt"]),
    "a clip without its words": (in_folder(spoilt(CLIP, "tokenizer.json", None), load_clip), ["tokenizer.json"]),
    "a clip in an empty folder": (in_folder(nothing, load_clip), ["there"]),
    "a direction without weights": (in_folder(spoilt(SMILE, "model.safetensors", None), load_edit), ["model.safetensors"]),
    "a direction that is cut short": (in_folder(spoilt(SMILE, "model.safetensors", b"1234"), load_edit), ["model.safetensors"]),
    "a direction without a card": (in_folder(spoilt(SMILE, "card.json", None), load_edit), ["card"]),
    "a direction that is empty": (in_folder(nothing, load_edit), ["card"]),
    "a network as a direction": (lambda: load_edit(FACES), ["generator"]),
    "no code there": (in_folder(nothing, lambda f: Code.load(f / "z", G)), ["no file"]),
    "a code that is empty": (in_folder(own_code(b""), lambda f: Code.load(f / "z", G)), ["no code"]),
    "a code that is a text": (in_folder(own_code(b"a code"), lambda f: Code.load(f / "z", G)), ["no code"]),
    "a code of another model": (in_folder(own_code(), lambda f: Code.load(f / "z", MIX)), ["another model"]),
    "a code of other steps": (in_folder(own_code(), lambda f: Code.load(f / "z", Sampler(TINY, 5, 1.0))), ["schedule"]),
    "a code of another eta": (in_folder(own_code(), lambda f: Code.load(f / "z", G.with_eta(0.5))), ["eta"]),
    "a code from a folder": (in_folder(nothing, lambda f: Code.load(f, G)), ["no file"]),
    "a code saved for another sampler": (in_folder(nothing, lambda f: G.draw(1, 0).save(f / "z", MIX)), ["code"]),
    "an edit of two saved": (in_folder(nothing, lambda f: save_edit(EDIT + EDIT, f)), ["one"]),
    "no scoreboard": (in_folder(nothing, lambda f: scoreboard.read(f / "none.json")), ["lessons_lib.scoreboard"]),
    "no chains": (in_folder(nothing, lambda f: chains.read(f / "none.json")), ["lessons_lib.chains"]),
    "another pipeline's steps": (in_folder(lambda f: tiny_pipeline(f), lambda f: Sampler(load(f), 10**6)), ["steps is 1000000"]),
    "a text model without a text": (in_folder(lambda f: tiny_pipeline(f), lambda f: Sampler(load(f), 2).decode(Sampler(load(f), 2).draw(1, 0))), ["cond"]),
}  # fmt: skip


def checked(lesson, **changes):
    """A lesson's own check of its parameters, some of them changed."""

    def call():
        (text,) = NOTEBOOKS.glob(f"{lesson}_*.py")
        cells = text.read_text(encoding="utf-8").split("\n# %%")
        given, check = (
            next(c for c in cells if word in c)
            for word in ('tags=["parameters"]', "lesson.parameters(")
        )
        namespace = {}
        exec(given.split("\n", 1)[1], namespace)
        exec(check.split("\n", 1)[1], namespace | changes)

    return call


PARAMETERS = {
    "a checkpoint that is not there": (checked("01", checkpoint="facs"), ["facs", "faces"]),
    "a clip that is not there": (checked("05", clip="clpi"), ["clpi"]),
    "a judge that is a critic": (checked("09", judge="critic"), ["judge is 'critic'", "clip"]),
    "a text model that is not there": (checked("12", text_checkpoint="t3i"), ["t3i"]),
    "a checkpoint that is a clip": (checked("07", checkpoint="clip"), ["checkpoint is 'clip'", "generator"]),
    "a device that is not there": (checked("04", device="tpu"), ["'tpu'"]),
    "a source that is not there": (checked("08", source="catz"), ["catz", "cats"]),
    "a stranger that is the target": (checked("08", stranger="dogs"), ["stranger is 'dogs'", "dogs-alone"]),
    "an edit that no label is told": (in_folder(labelled, lambda f: inputs.editable(str(f), "cpu")), ["prompt", "0 to 9"]),
    "an edit told a text for a label": (in_folder(labelled, lambda f: inputs.editable(str(f), "cpu", "a cat")), ["'a cat'", "0 to 9"]),
    "latents in lesson 05": (lambda: inputs.with_bottleneck("t2i", "cpu"), ["'t2i'", "faces"]),
    "pictures in lesson 11": (lambda: inputs.with_bottleneck("faces", "cpu", latent=True), ["'faces'", "t2i"]),
    "a text for a model of labels": (lambda: load("digits", prompt="a cat"), ["'a cat'", "0 to 9"]),
    "a label that there is not": (lambda: load("moons", prompt=7), ["prompt is 7", "0 to 1"]),
    "a prompt for a model of neither": (lambda: load("dogs", prompt="a cat"), ["no text", "no labels"]),
    "latents in a lesson of pictures": (lambda: inputs.model_for("t2i", "cpu", latent=False), ["'t2i'", "dogs"]),
    "two conditions of a model without": (lambda: bounds.two_conditions(load("dogs"), [0, 1]), ["no two conditions"]),
    "no bottleneck": (lambda: inputs.with_bottleneck("digits", "cpu"), ["'digits'", "bottleneck"]),
} | {
    f"lesson {lesson}: {name} = {value!r}": (checked(lesson, **{name: value}), [name, *words])
    for lesson, name, value, *words in (
        ("00", "steps", 0, "0"), ("00", "n_images", 99, "99"), ("00", "checkpoint", 3, "3"),
        ("01", "steps", "many", "many"), ("01", "etas", [0.5, 2.0], "2.0"), ("01", "etas", 0.5, "0.5"),
        ("01", "seed", -1, "-1"), ("01", "seed", 1.5, "1.5"), ("01", "chekpoint", "faces", "checkpoint"),
        ("01", "n_images", None, "None"), ("01", "device", 0, "0"), ("01", "etas", [], "[]"),
        ("02", "eta", NAN, "nan"), ("02", "scale", INF, "inf"), ("02", "counts", [5, 1], "1"),
        ("02", "few_steps", True, "True"), ("03", "eta", 0.0, "0.0"), ("03", "sweep_steps", 3, "3"),
        ("03", "eta", "half", "half"), ("04", "conditions", [-1, 0], "-1"), ("04", "digit_pair", [3, 10], "10"),
        ("04", "digit_pair", [1.5, 2], "1.5"), ("04", "n_images", 1, "1"), ("05", "learn", "smilng", "smilng"),
        ("05", "rounds", 0, "0"), ("05", "first", 1000, "1000"), ("05", "last", -1, "-1"), ("05", "batch", 65, "65"),
        ("05", "attributes", ["old"], "old"), ("06", "share", 0, "0"), ("06", "share", 95, "95"),
        ("06", "n_images", 1, "1"), ("07", "components", 9, "9"), ("07", "full", -0.1, "-0.1"),
        ("07", "straight", "1", "1"), ("08", "t_es", [999], "999"), ("08b", "factor", 0, "0"),
        ("08", "eta", 0, "0"), ("08b", "refine", -1, "-1"), ("08b", "strenght", 500, "strength"),
        ("09", "strong", 1.0, "1.0"), ("09", "starts", [400, 0], "0"), ("09", "n_images", 151, "151"),
        ("10", "seed", "a", "a"), ("11", "attributes", 7, "7"), ("11", "steps", 10**6, "1000000"),
        ("12", "n_images", 1, "1"), ("12", "steps", 2, "2"), ("12", "text_checkpont", "t2i", "text_checkpoint"),
    )
}  # fmt: skip


def command(main, *words):
    """A command, given these words: what it prints last is raised, if it ends with 2."""

    def call():
        said, kept = io.StringIO(), sys.argv
        sys.argv = ["command", *words]
        try:
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
                code = main()
        except SystemExit as end:
            code = end.code
        finally:
            sys.argv = kept
        if code:
            last = said.getvalue().strip().splitlines()[-1]
            raise Answered(last if last.endswith((".", ")")) else f"{last}.")

    return call


class Answered(ValueError):
    """What a command said before it ended with 2."""


EMPTY = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
SWEPT = """lesson.parameters(globals(), checkpoint=str, device=str, seed=(0, 9999), steps=(2, 1000),
etas=(0.0, 1.0, None))"""
DEFAULTS = 'checkpoint = "moons"\ndevice = "cpu"\nseed = 0\nsteps = 5\netas = [0.0, 1.0]'


def swept(*words, notebook=None, grid=None):
    """A sweep of a notebook of its own, with these words, and this text for a grid's file."""
    cells = [new_code_cell(DEFAULTS, metadata={"tags": ["parameters"]}), new_code_cell(SWEPT)]

    def call():
        with tempfile.TemporaryDirectory() as folder:
            path, file = Path(folder, "tiny.ipynb"), Path(folder, "grid.yaml")
            path.write_text(
                notebook or nbformat.writes(new_notebook(cells=cells)), encoding="utf-8"
            )
            file.write_text(grid or "", encoding="utf-8")
            more = [] if grid is None else ["--grid", str(file)]
            command(sweep.main, str(path), "--out", str(Path(folder, "out")), *words, *more)()

    return call


COMMANDS = {
    "pages: no such lesson": (command(pages.main, "99_nothing"), ["99_nothing", "there are"]),
    "pages: a lesson's name of several": (command(pages.main, "0"), ["'0'", "lessons"]),
    "pages: a parameter that no lesson has": (command(pages.main, "01_eta", "-p", "step", "5"), ["step"]),
    "pages: a parameter without a value": (command(pages.main, "01_eta", "-p", "steps"), ["expected 2 arguments"]),
    "pages: words for a number": (command(pages.main, "01_eta", "-p", "steps", "many"), ["steps", "many"]),
    "pages: a fraction for a whole number": (command(pages.main, "01_eta", "-p", "steps", "1.5"), ["steps", "1.5"]),
    "pages: no jobs": (command(pages.main, "01_eta", "--jobs", "0"), ["--jobs"]),
    "pages: a cell's limit of 0": (command(pages.main, "01_eta", "--cell-limit", "0"), ["--cell-limit"]),
    "pages: an option that is none": (command(pages.main, "--quick"), ["--quick"]),
    "recipes: no such network": (command(recipes.main, "facs"), ["facs", "faces"]),
    "recipes: no network": (command(recipes.main), ["name"]),
    "recipes: no images": (command(recipes.main, "critic", "--images", "0", "--out", NOWHERE), ["--images"]),
    "recipes: images below 0": (command(recipes.main, "critic", "--images", "-5", "--out", NOWHERE), ["--images"]),
    "recipes: a device that is none": (command(recipes.main, "critic", "--device", "gpu", "--out", NOWHERE), ["gpu"]),
    "recipes: grown from nothing": (command(recipes.main, "faces-32", "--images", "1", "--out", NOWHERE), ["faces-32-half"]),
    "recipes: a warm start from nowhere": (command(recipes.main, "critic", "--warm-start", "nowhere", "--images", "1", "--out", NOWHERE), ["nowhere"]),
    "figures: no such network": (command(figures.main, "facs"), ["facs", "faces"]),
    "figures: of no samples": (command(figures.main, "faces", "--samples", "0"), ["--samples"]),
    "directions: no such edit": (command(directions.main, "smilng"), ["smilng"]),
    "directions: of no network": (command(directions.main, "smiling", "--checkpoint", "facs"), ["facs"]),
    "directions: of no clip": (command(directions.main, "smiling", "--clip", "clipp"), ["clipp"]),
    "directions: no rounds": (command(directions.main, "smiling", "--rounds", "0"), ["rounds"]),
    "directions: no pictures to test": (command(directions.main, "smiling", "--test-images", "0"), ["--test-images"]),
    "directions: measure what is not there": (command(directions.main, "clown", "--measure"), ["clown"]),
    "convert: no such file": (command(convert.main, "nothing.pt", "--out", NOWHERE, "--size", "256"), ["no file", "nothing.pt"]),
    "convert: no size": (command(convert.main, "nothing.pt", "--out", NOWHERE), ["--size"]),
    "convert: a file of words": (command(convert.main, __file__, "--out", NOWHERE, "--size", "256"), ["mistakes.py", "does not load"]),
    "convert: over another folder": (command(convert.main, __file__, "--out", "/tmp", "--size", "256"), ["there already"]),
    "scoreboard: no such table": (command(scoreboard.main, "text", "texts"), ["texts"]),
    "scoreboard: one image": (command(scoreboard.main, "--images", "1"), ["2 images"]),
    "scoreboard: no steps": (command(scoreboard.main, "--steps", "0"), ["1000 steps"]),
    "scoreboard: a device that is none": (command(scoreboard.main, "--device", "gpu"), ["gpu"]),
    "chains: no such table": (command(chains.main, "famlies"), ["famlies"]),
    "chains: one chain": (command(chains.main, "--chains", "1"), ["4 chains"]),
    "chains: two rounds": (command(chains.main, "--rounds", "2"), ["4 rounds"]),
    "chains: a seed below 0": (command(chains.main, "--seed", "-1"), ["seed"]),
    "bench: no such network": (command(bench.main, "--checkpoint", "facs"), ["facs"]),
    "bench: a device that is none": (command(bench.main, "--device", "gpu"), ["gpu"]),
    "handouts: no such lesson": (command(handouts.main, "99_nothing"), ["99_nothing", "there are"]),
    "handouts: a notebook without a teacher's page": (in_folder(lambda f: (f / "mine.ipynb").touch(), lambda f: command(handouts.main, str(f / "mine.ipynb"))()), ["docs/teaching/mine.md"]),
    "handouts: a file for a folder": (command(handouts.main, "01", "--out", str(FACES / "card.json")), ["card.json", "folder"]),
    "sweep: nowhere to write": (command(sweep.main, "01_eta", "-p", "steps=5"), ["--out"]),
    "sweep: no notebook": (command(sweep.main, "--out", "nowhere"), ["01_eta"]),
    "sweep: no such lesson": (command(sweep.main, "99_nothing", "--out", "nowhere"), ["99_nothing", "there are"]),
    "sweep: a notebook that is none": (swept(notebook="x"), ["tiny.ipynb", "no notebook"]),
    "sweep: a notebook without parameters": (swept(notebook=json.dumps(EMPTY)), ["'parameters'", "0"]),
    "sweep: a parameter that no lesson has": (swept("-p", "step=5"), ["'step'", "steps"]),
    "sweep: a parameter without a value": (swept("-p", "steps"), ["steps", "NAME=VALUE"]),
    "sweep: words for a number": (swept("-p", "steps=5,many"), ["steps", "'many'"]),
    "sweep: an empty value": (swept("-p", "steps=5,"), ["steps", "int"]),
    "sweep: a fraction for a whole number": (swept("-p", "steps=1:2:0.5"), ["steps", "int"]),
    "sweep: a value out of range": (swept("-p", "steps=20,5000"), ["steps is 5000", "1000"]),
    "sweep: one in a list": (swept("-p", "etas=[0,1],[0,7]"), ["etas", "7", "1.0"]),
    "sweep: a number for a list": (swept("-p", "etas=0.5"), ["etas", "list"]),
    "sweep: not a finite number": (swept(grid="- seed: .inf"), ["seed", "inf"]),
    "sweep: a name given twice": (swept("-p", "steps=5", "-p", "steps=6"), ["steps", "twice"]),
    "sweep: a name given in both ways": (swept("-p", "steps=5", grid="steps: 6"), ["steps", "twice"]),
    "sweep: a range of two numbers": (swept("-p", "seed=0:4"), ["seed=0:4", "FIRST:LAST:STEP"]),
    "sweep: a range that misses its end": (swept("-p", "seed=0:5:2"), ["seed=0:5:2", "lead"]),
    "sweep: a range that goes the other way": (swept("-p", "seed=5:0:1"), ["seed=5:0:1", "lead"]),
    "sweep: a range without steps": (swept("-p", "seed=0:5:0"), ["seed=0:5:0", "FIRST:LAST:STEP"]),
    "sweep: a range without an end": (swept("-p", "seed=0:1000000000:1"), ["100000"]),
    "sweep: more runs than anybody wants": (swept("-p", "seed=0:999:1", "-p", "steps=2:999:1"), ["100000 runs"]),
    "sweep: a network that is not there": (swept("-p", "checkpoint=facs"), ["facs", "faces"]),
    "sweep: a device that is not there": (swept("-p", "device=tpu"), ["tpu"]),
    "sweep: no grid's file": (command(sweep.main, "01_eta", "--grid", "none.yaml", "--out", "nowhere"), ["none.yaml"]),
    "sweep: a grid that is no YAML": (swept(grid="steps: [1,"), ["YAML", "line"]),
    "sweep: a grid that is a text": (swept(grid="steps"), ["'steps'", "mapping"]),
    "sweep: a grid that is empty": (swept(grid=""), ["None", "mapping"]),
    "sweep: a grid's parameter without values": (swept(grid="steps: []"), ["steps", "no values"]),
    "sweep: a grid's text for a number": (swept(grid="steps: five"), ["steps", "'five'"]),
    "sweep: a grid's mapping for a value": (swept(grid="device: {a: 1}"), ["device", "str"]),
    "sweep: a file for a folder": (command(sweep.main, "01_eta", "--out", __file__), ["is a file"]),
    "sweep: no workers": (swept("--workers", "0"), ["--workers"]),
    "sweep: a limit below 0": (swept("--limit", "-1"), ["--limit"]),
    "sweep: a cell's limit of nan": (swept("--cell-limit", "nan"), ["--cell-limit"]),
    "sweep: two ways at once": (swept("--jobs", "--scheduler", "tcp://x:1"), ["--jobs", "--scheduler"]),
    "sweep: a run that is no JSON": (swept("--one", "steps=5"), ["steps=5", "JSON"]),
    "sweep: a run and a grid": (swept("--one", "{}", "-p", "steps=5"), ["--one"]),
    "sweep: collect nothing": (command(sweep.main, "--collect", "--out", "nowhere"), ["no runs in nowhere"]),
    "sweep: no scheduler": (swept("--scheduler", "tcp://127.0.0.1:9"), ["tcp://127.0.0.1:9", "scheduler"]),
    "edit: no such picture": (command(edit.main, "nowhere.png", "--direction", "smiling"), ["nowhere.png", "folder"]),
    "edit: in no way": (command(edit.main, "nowhere.png"), ["--direction", "--source"]),
    "edit: by one text": (command(edit.main, "nowhere.png", "--source", "a cat"), ["--target"]),
    "edit: by a direction that is none": (command(edit.main, __file__, "--direction", "smilng"), ["mistakes.py", "no picture"]),
    "edit: of a model without h": (command(edit.main, __file__, "--direction", "smiling", "--checkpoint", "digits"), ["digits", "bottleneck"]),
    "edit: of no network": (command(edit.main, __file__, "--direction", "smiling", "--checkpoint", "facs"), ["facs", "faces"]),
    "edit: on a device that is none": (command(edit.main, __file__, "--direction", "smiling", "--device", "tpu"), ["tpu"]),
    "direction: nowhere to write": (command(direction.main, "--source", "a", "--target", "b"), ["--out"]),
    "direction: one text": (command(direction.main, "--source", "a", "--out", "nowhere"), ["--target"]),
    "direction: texts that do not pair": (command(direction.main, "--source", "a|b", "--target", "c", "--out", "nowhere"), ["as many"]),
    "direction: an interval upside down": (command(direction.main, "--source", "a", "--target", "b", "--first", "1", "--last", "9", "--out", "nowhere"), ["--first", "999"]),
    "direction: a rate of 0": (command(direction.main, "--source", "a", "--target", "b", "--rate", "0", "--out", "nowhere"), ["--rate", "above 0"]),
    "direction: a published file that is not there": (command(direction.main, "--public", "none.pth", "--out", "nowhere"), ["none.pth"]),
    "direction: over another one": (command(direction.main, "--source", "a", "--target", "b", "--out", str(DIRECTIONS / "old")), ["already"]),
    "classroom: no such version": (command(classroom.main, "teacher"), ["teacher", "student"]),
    "classroom: no such lesson": (command(classroom.main, "student", "99_nothing"), ["99_nothing"]),
    "pages: a file for a folder": (command(pages.main, "01_eta", "--out", __file__), ["mistakes.py", "folder"]),
    "pages: a notebook that is none": (command(pages.main, __file__), ["mistakes.py", "no notebook"]),
    "classroom: a file for a folder": (command(classroom.main, "student", "01", "--out", __file__), ["mistakes.py", "folder"]),
    "classroom: a notebook that is none": (command(classroom.main, "student", __file__, "--out", NOWHERE), ["mistakes.py", "no notebook"]),
    "classroom: over the lessons": (command(classroom.main, "student", "--out", str(NOTEBOOKS)), ["another folder"]),
    "pairing: no such lesson": (command(pairing.main, "99_nothing"), ["99_nothing"]),
}  # fmt: skip

KINDS = {
    "library": LIBRARY,
    "pictures": PICTURES,
    "files": FILES,
    "parameters": PARAMETERS,
    "commands": COMMANDS,
}


def answered(call, words, most=500):
    """How a mistake is answered: ('sentence' | 'riddle' | 'silent', what was said)."""
    signal.signal(signal.SIGALRM, ran_on)
    signal.alarm(25)
    try:
        call()
    except (ValueError, TypeError, IndexError, FileNotFoundError) as error:
        said, last = str(error), traceback.extract_tb(error.__traceback__)[-1]
        ours = ("lessons_lib" in last.filename and last.line.startswith("raise")) or isinstance(
            error, Answered
        )
        whole = said.endswith((".", "?", ")")) and "\n" not in said and len(said) < most
        if ours and whole and all(word in said for word in words):
            return "sentence", said
        return "riddle", f"{type(error).__name__} in {Path(last.filename).name}: {said[:300]}"
    except BaseException as error:
        return "riddle", f"{type(error).__name__}: {str(error)[:300]}"
    finally:
        signal.alarm(0)
    return "silent", ""


def ran_on(*_):
    raise KeyboardInterrupt("it ran on for 25 seconds")


def main() -> int:
    torch.set_num_threads(1)
    counts, failing = {}, []
    for kind, cases in KINDS.items():
        counts[kind] = Counter()
        for name, (call, words) in cases.items():
            how, said = answered(call, words)
            if "-v" in sys.argv:
                print(how, kind, name, said[:250], flush=True)
            counts[kind][how] += 1
            if how != "sentence":
                failing.append(f"{how}: {kind}, {name}: {said}")
    print(*failing, sep="\n")
    total = sum(counts.values(), Counter())
    for kind, found in [*counts.items(), ("all", total)]:
        print(
            f"{kind:12} {found.total():4} tried: "
            + ", ".join(f"{found[k]} {k}" for k in ("sentence", "riddle", "silent"))
        )
    share = total["sentence"] / total.total()
    print(f"{share:.1%} are answered in a sentence")
    return int(share < 0.98 or total["silent"] > 0)


if __name__ == "__main__":
    sys.exit(main())
