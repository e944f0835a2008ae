import json
import shutil

import lessons_lib._torchvision  # noqa: F401

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from lessons_lib import Code, Sampler, checkpoints, load
from lessons_lib.cards import CheckpointError
from lessons_lib.denoisers import Guided, predict
from lessons_lib.models.latent import Codec
from lessons_lib.models.unet import UNet
from lessons_lib.schedule import Schedule, trailing
from lessons_lib.weights import TEXT_WEIGHTS, WEIGHTS
from small import (
    ALPHA_BAR,
    PROMPTS,
    mixture,
    randn,
    tiny_latent,
    tiny_net,
    tiny_pipeline,
    tiny_unet,
    write_card,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("t2i")
    tiny_pipeline(where)
    return where


@pytest.fixture
def copied(folder, tmp_path):
    return shutil.copytree(folder, tmp_path, dirs_exist_ok=True)


@pytest.fixture(scope="module")
def pipe(folder):
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def model(folder):
    """In float64, so that identities hold to its precision."""
    return load(folder).to(torch.float64)


# The oracle: diffusers' own pipeline, on the same folder, latents and noise


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("scale", [1.0, 3.0])
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
def test_sampler_guided_and_codec_are_the_stable_diffusion_pipeline(
    folder, pipe, eta, scale, spacing
):
    model, steps = load(folder), 5
    scheduler, kept = type(pipe.scheduler), pipe.scheduler
    pipe.scheduler = scheduler.from_config(kept.config, timestep_spacing=spacing)
    times = {"leading": list(range(801, 0, -200)), "trailing": trailing(1000, steps)}[spacing]
    schedule = Schedule.of(model.alpha_bar, times, model.alpha_bar[0].item())
    x_T = randn(2, 4, 8, 8, dtype=torch.float32)
    said = {"prompt": PROMPTS, "num_inference_steps": steps, "guidance_scale": scale, "eta": eta}
    theirs = {
        kind: pipe(**said, latents=x_T, generator=torch.manual_seed(7), output_type=kind).images
        for kind in ("latent", "pt")
    }
    pipe.scheduler = kept
    gen = torch.manual_seed(7)
    eps = torch.stack([torch.randn(x_T.shape, generator=gen) for _ in range(steps)])

    g = Sampler(Guided(model, scale, model.prompts.empty), eta=eta, schedule=schedule)
    z = g.decode(Code(x_T, eps if eta else None), cond=model.prompts(PROMPTS))
    assert_close(z.float(), theirs["latent"], rtol=0, atol=1e-4)
    image = model.codec.decode(z).float() / 2 + 0.5
    assert image.shape == (2, 3, 16, 16) and image.std() > 0.01
    assert_close(image.clamp(0, 1), theirs["pt"], rtol=0, atol=1e-4)


def test_guidance_and_prompts_matter_to_the_tiny_pipeline(model):
    # Otherwise the oracle above could not tell a wrong scale or a wrong text.
    x, cond, empty = randn(2, 4, 8, 8), model.prompts(PROMPTS), model.prompts.empty
    plain, guided = model(x, 500, cond), Guided(model, 3.0, empty)(x, 500, cond)
    assert (plain - guided).abs().max() > 1e-2
    assert (plain - model(x, 500, cond.flip(0))).abs().max() > 1e-2


def test_an_unconditional_latent_pipeline(tmp_path):
    from diffusers import LDMPipeline

    tiny_latent(tmp_path)
    model, pipe = load(tmp_path), LDMPipeline.from_pretrained(tmp_path)
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(
        2, torch.manual_seed(0), num_inference_steps=5, output_type="numpy", return_dict=False
    )[0]
    x_T = torch.randn(2, 3, 8, 8, generator=torch.manual_seed(0))
    g = Sampler(model, schedule=Schedule.of(model.alpha_bar, [800, 600, 400, 200, 0]))
    image = model.codec.decode(g.decode(Code(x_T))).float() / 2 + 0.5
    assert model.prompts is None and model.codec.scale == 0.5
    assert_close(image.clamp(0, 1).permute(0, 2, 3, 1).numpy(), theirs, rtol=0, atol=1e-4)

    config = json.loads((tmp_path / "vqvae" / "config.json").read_text())
    del config["scaling_factor"]
    (tmp_path / "vqvae" / "config.json").write_text(json.dumps(config))
    assert load(tmp_path).codec.scale == 1.0  # not Stable Diffusion's, as diffusers has it


# Loading


def test_half_precision_files_load_as_float32(folder):
    model = load(folder)
    parts = {"unet": model.net, "vae": model.codec.net, "text_encoder": model.prompts.net}
    for part, net in parts.items():
        stored = load_file(next((folder / part).glob("*.safetensors")))
        weights = net.state_dict()
        assert {w.dtype for w in stored.values()} == {torch.float16}
        assert {w.dtype for w in weights.values() if w.is_floating_point()} == {torch.float32}
        for name, weight in stored.items():
            mine = weights[name.removeprefix("text_model.")]
            assert torch.equal(mine, weight.float()), name
        assert not any(p.requires_grad for p in net.parameters()) and not net.training


def test_pixel_models_have_no_codec_and_no_prompts():
    unet = tiny_unet()
    assert unet.codec is None and unet.prompts is None and unet.text_width is None


def test_files_as_older_libraries_wrote_them(folder, copied):
    # Stable Diffusion v1 on the hub: a vocabulary in two files, weights under a prefix.
    whole = json.loads((copied / "tokenizer" / "tokenizer.json").read_text())["model"]
    (copied / "tokenizer" / "tokenizer.json").unlink()
    (copied / "tokenizer" / "vocab.json").write_text(json.dumps(whole["vocab"]))
    merges = "\n".join(["#version: 0.2", *(" ".join(pair) for pair in whole["merges"])])
    (copied / "tokenizer" / "merges.txt").write_text(merges)
    path = copied / "text_encoder" / TEXT_WEIGHTS
    older = {f"text_model.{k.removeprefix('text_model.')}": v for k, v in load_file(path).items()}
    older["text_model.embeddings.position_ids"] = torch.arange(8)[None]
    save_file(older, path, {"format": "pt"})
    assert_close(load(copied).prompts(PROMPTS), load(folder).prompts(PROMPTS), rtol=0, atol=0)


def test_a_flipped_byte_in_any_file_is_refused_by_name(copied):
    write_card(copied, kind="generator", world="scenes")
    assert load(copied).world == "scenes"
    listed = checkpoints.card(copied)["files"]
    parts = {path.split("/")[0] for path in listed}
    assert parts >= {"unet", "vae", "text_encoder", "tokenizer", "scheduler", "model_index.json"}
    for relative in listed:
        path = copied / relative
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="corrupt") as raised:
            load(copied)
        assert str(path) in str(raised.value)
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    load(copied)


def edit(relative, **changes):
    def change(folder):
        path = folder / relative
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def remove(part):
    return lambda folder: shutil.rmtree(folder / part)


def write(relative, text):
    return lambda folder: (folder / relative).write_text(text)


def rename(part, old, new):
    return lambda folder: (folder / part / old).rename(folder / part / new)


def another_unet(**changes):
    def change(folder):
        from diffusers import UNet2DConditionModel

        config = UNet2DConditionModel.load_config(folder / "unet") | changes
        UNet2DConditionModel.from_config(config).save_pretrained(folder / "unet")

    return change


def drop_a_tensor(folder):
    path = folder / "text_encoder" / TEXT_WEIGHTS
    tensors = load_file(path)
    del tensors[next(name for name in tensors if name.endswith("final_layer_norm.bias"))]
    save_file(tensors, path, {"format": "pt"})


VAE, UNET, TOKENIZER = "vae/config.json", "unet/config.json", "tokenizer/tokenizer_config.json"
BROKEN = {
    "no vae": (remove("vae"), [VAE, "missing"]),
    "no text encoder": (remove("text_encoder"), ["text_encoder/config.json", "missing"]),
    "no tokenizer": (remove("tokenizer"), [TOKENIZER, "missing"]),
    "no vocabulary": (rename("tokenizer", "tokenizer.json", "x"), ["vocabulary", "tokenizer.json"]),
    "a broken vocabulary": (write("tokenizer/tokenizer.json", "{}"), ["tokenizer does not load"]),
    "no vae weights": (rename("vae", WEIGHTS, "x.bin"), ["safetensors", f"vae/{WEIGHTS}"]),
    "no text weights": (
        rename("text_encoder", TEXT_WEIGHTS, "x.bin"),
        ["safetensors", TEXT_WEIGHTS],
    ),
    "text cut short": (
        write(f"text_encoder/{TEXT_WEIGHTS}", "123456789"),
        ["does not load", TEXT_WEIGHTS],
    ),
    "a tensor gone": (drop_a_tensor, ["lacks 1 ", "final_layer_norm.bias"]),
    "another vae": (edit(VAE, _class_name="AutoencoderDC"), ["AutoencoderDC", "AutoencoderKL"]),
    "another text model": (
        edit("text_encoder/config.json", architectures=["T5EncoderModel"]),
        ["T5EncoderModel", "CLIPTextModel"],
    ),
    "another tokenizer": (
        edit(TOKENIZER, tokenizer_class="T5Tokenizer"),
        ["T5Tokenizer", "CLIPTokenizer"],
    ),
    "prompts too long": (edit(TOKENIZER, model_max_length=77), ["77", "at most 8"]),
    "another text width": (another_unet(cross_attention_dim=20), ["width 20", "have 12"]),
    "inpainting": (another_unet(in_channels=9), ["takes 9 channels", "puts out 4"]),
    "SDXL": (
        another_unet(addition_embed_type="text", addition_embed_type_num_heads=4),
        ["addition_embed_type='text'", "None"],
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_pipeline_is_one_sentence(copied, name):
    damage, words = BROKEN[name]
    damage(copied)
    with pytest.raises(CheckpointError) as raised:
        load(copied)
    message = str(raised.value)
    assert all(word in message for word in words), message
    assert "\n" not in message and message.endswith(".") and len(message) < 500, message


# Prompts and codec


@torch.no_grad()
def test_prompts_are_padded_as_the_pipeline_pads_them(folder, pipe):
    prompts = load(folder).prompts
    theirs, empty = pipe.encode_prompt(PROMPTS, "cpu", 1, do_classifier_free_guidance=True)
    assert prompts(PROMPTS).shape == (2, prompts.length, 12)
    assert_close(prompts(PROMPTS), theirs, rtol=0, atol=0)
    assert_close(prompts.empty, empty[:1], rtol=0, atol=0)
    assert_close(prompts(PROMPTS), torch.cat([prompts([text]) for text in PROMPTS]))
    assert not torch.equal(*prompts(PROMPTS))


@pytest.mark.parametrize(
    "texts, words",
    [
        ("a red house", ["a red house", "list"]),
        ([], ["empty"]),
        ([3], ["[3]", "list"]),
        (None, ["None"]),
        ([PROMPTS[0], "a red car at a blue house"], ["'a red car at a blue house'", "9 tokens", "reads 8"]),
        (["house " * 400], ["'house house", "402 tokens"]),
    ],
)  # fmt: skip
def test_prompts_that_are_refused(model, texts, words):
    with pytest.raises(ValueError) as raised:
        model.prompts(texts)
    message = str(raised.value)
    assert all(word in message for word in words) and len(message) < 300, message
    assert "\n" not in message and message.endswith("."), message


def test_the_longest_prompt_that_fits_is_taken(model):
    assert model.prompts(["a red car at a house"]).shape == (1, 8, 12)


def tiny_vae(**config):
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8), norm_num_groups=4, **config,
    ).double()  # fmt: skip


@torch.no_grad()
def test_a_latent_is_the_posterior_mean_scaled_and_decoded_from_there():
    vae = tiny_vae(scaling_factor=0.4, shift_factor=0.3)
    codec, image = Codec(vae), randn(2, 3, 16, 8)
    mean = vae.encode(image).latent_dist.mean
    z = codec.encode(image)
    assert z.shape == (2, 4, 16 // codec.factor, 8 // codec.factor)
    assert_close(z, 0.4 * (mean - 0.3))
    assert_close(codec.decode(z), vae.decode(mean).sample)
    assert_close(Codec(vae, 2.0).encode(image), z / 0.4 * 2.0)
    assert_close(codec.encode(image[1:]), z[1:])


def test_the_codec_keeps_dtypes_and_lets_gradients_through():
    codec = Codec(tiny_vae()).to(torch.float32)
    z = codec.encode(randn(1, 3, 16, 16)).requires_grad_()
    image = codec.decode(z)
    assert z.dtype == image.dtype == torch.float64
    image.square().sum().backward()
    assert z.grad.abs().min() > 0


@pytest.mark.parametrize(
    "way, x, words",
    [
        ("encode", randn(1, 4, 16, 16), ["(1, 4, 16, 16)", "(B, 3, H, W)"]),
        ("encode", randn(1, 3, 15, 16), ["(1, 3, 15, 16)", "multiples of 2"]),
        ("encode", randn(3, 16, 16), ["(3, 16, 16)", "(B, 3, H, W)"]),
        ("encode", randn(1, 3, 16, 16).byte(), ["uint8", "floating-point"]),
        ("encode", None, ["NoneType"]),
        ("decode", randn(1, 3, 8, 8), ["z has shape", "(B, 4, H, W)."]),
        ("decode", randn(0, 4, 8, 8), ["z has shape"]),
    ],
)
def test_what_a_codec_refuses(model, way, x, words):
    with pytest.raises(ValueError) as raised:
        getattr(model.codec, way)(x)
    assert all(word in str(raised.value) for word in words), raised.value


# Conditions and guidance


@pytest.mark.parametrize(
    "cond, words",
    [
        (None, ["model.prompts("]),
        (randn(2, 8, 11), ["(2, 8, 11)", "(B, L, 12)"]),
        (randn(2, 12), ["(2, 12)", "(B, L, 12)"]),
        (torch.tensor([1, 2]), ["int64", "(B, L, 12)"]),
        (randn(3, 8, 12), ["3 conditions for 2 images"]),
        (["a cat", "a cat"], ["tensor"]),
    ],
)
def test_a_text_model_says_what_cond_it_takes(model, cond, words):
    x = randn(2, 4, 8, 8)
    guided = Guided(model, 3.0, model.prompts.empty)
    calls = [lambda: model(x, 5, cond), lambda: guided(x, 5, cond)]
    calls += [lambda d=d: Sampler(d, 2).decode(Code(x), cond=cond) for d in (model, guided)]
    calls += [lambda d=d: Sampler(d, 2).encode(x, cond=cond) for d in (model, guided)]
    for call in calls:
        with pytest.raises(ValueError) as raised:
            call()
        message = str(raised.value)
        assert all(word in message for word in words), message
        assert "\n" not in message and message.endswith("."), message


@torch.no_grad()
def test_one_text_for_all_images(model):
    x, cond = randn(3, 4, 8, 8), model.prompts(PROMPTS[:1])
    assert_close(model(x, 5, cond), model(x, 5, cond.repeat(3, 1, 1)), rtol=0, atol=0)
    guided = Guided(model, 2.0, model.prompts.empty)
    assert_close(guided(x, 5, cond), guided(x, 5, cond.repeat(3, 1, 1)), rtol=0, atol=0)


def texts(model):
    return model, model.prompts([*PROMPTS, "a house"]), model.prompts.empty


def labels(_):
    return tiny_unet(num_class_embeds=3), torch.tensor([1, 2, 1]), 0


def embeddings(_):
    unet = tiny_unet(num_class_embeds=3)
    return unet, torch.cat([unet.embedding(i) for i in (1, 2, 1)]), unet.embedding(0)


def exact(_):
    return mixture(labels=torch.tensor([0, 1, 1, 0])), torch.tensor([0, 1, 1]), -1


@pytest.fixture(params=[texts, labels, embeddings, exact], ids=lambda kind: kind.__name__)
def guidable(request, model):
    """(denoiser, a condition for each of three images, no condition)."""
    return request.param(model)


@torch.no_grad()
def test_guidance_is_its_equation_in_one_pass(guidable):
    denoiser, cond, empty = guidable
    x, t = randn(3, *denoiser.shape), torch.tensor([0, 400, 999])
    without = denoiser(x, t, torch.as_tensor(empty).expand(3, *cond.shape[1:]))
    given = denoiser(x, t, cond)
    calls = []

    class Counted:
        shape, alpha_bar, device = denoiser.shape, denoiser.alpha_bar, denoiser.device

        def __call__(self, x, t, cond=None):
            calls.append(len(x))
            return denoiser(x, t, cond)

    for scale, passes in ((-1.0, 6), (0, 3), (1, 3), (3.0, 6)):
        eps = Guided(Counted(), scale, empty)(x, t, cond)
        assert calls.pop() == passes and not calls
        assert_close(eps, without + scale * (given - without), rtol=1e-9, atol=1e-10)
    assert torch.equal(Guided(denoiser, 1.0, empty)(x, t, cond), given)
    assert torch.equal(Guided(denoiser, 0, empty)(x, t, cond), without)
    assert not torch.allclose(given, without, atol=1e-4)


@torch.no_grad()
def test_a_guided_denoiser_keeps_the_contract(guidable):
    denoiser, cond, empty = guidable
    guided = Guided(denoiser, 2.5, empty)
    assert guided.shape == denoiser.shape and guided.device == denoiser.device
    assert guided.alpha_bar is denoiser.alpha_bar and guided.labels == denoiser.labels
    x = randn(3, *denoiser.shape)
    for dtype in (torch.float32, torch.float64):
        assert guided(x.to(dtype), 5, cond).dtype == dtype
    eps, h, _ = predict(guided, x, 5, cond)
    assert_close(eps, guided(x, 5, cond), rtol=0, atol=0)
    assert (h is None) == (not hasattr(denoiser, "encode"))
    if h is not None:
        assert_close(h, denoiser.encode(x, 5, cond).h)


@torch.no_grad()
def test_labels_without_cond_are_the_denoisers_own():
    unet, x = tiny_unet(num_class_embeds=3), randn(2, 3, 8, 8)
    assert torch.equal(Guided(unet, 4.0, 0)(x, 9), unet(x, 9))


@torch.no_grad()
@pytest.mark.parametrize("scale", [0.0, 1.0, 2.5])
def test_delta_h_moves_both_passes_before_they_are_guided(model, scale):
    cond, empty, x = model.prompts(PROMPTS), model.prompts.empty, randn(2, 4, 8, 8)
    guided = Guided(model, scale, empty)
    b = guided.encode(x, 300, cond)
    assert b.h.shape[0] == b.temb.shape[0] == 2
    assert torch.equal(guided.decode(b, torch.zeros_like(b.h)), guided.decode(b))
    for delta in (randn(*b.h.shape), randn(1, *b.h.shape[1:])):
        without, given = (
            model.decode(model.encode(x, 300, c), delta) for c in (empty.expand_as(cond), cond)
        )
        expected = without + scale * (given - without)
        assert_close(guided.decode(b, delta), expected, rtol=1e-9, atol=1e-10)
        assert not torch.allclose(expected, guided.decode(b))


@torch.no_grad()
def test_a_batch_is_its_images_one_by_one(model):
    image, cond = randn(2, 3, 16, 16).clamp(-1, 1), model.prompts(PROMPTS)
    g = Sampler(Guided(model, 3.0, model.prompts.empty), steps=4, eta=1.0)
    z = g.draw(2, seed=0)
    each = [g.decode(z[i : i + 1], cond=cond[i : i + 1]) for i in range(2)]
    assert_close(g.decode(z, cond=cond), torch.cat(each), rtol=1e-9, atol=1e-9)
    assert_close(
        model.codec.decode(model.codec.encode(image))[1:],
        model.codec.decode(model.codec.encode(image[1:])),
    )


@torch.no_grad()
@pytest.mark.parametrize("eta", [0.1, 1.0])
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_a_latent_is_reconstructed_from_its_code(model, eta, scale):
    x, cond = model.codec.encode(randn(2, 3, 16, 16).clamp(-1, 1)), model.prompts(PROMPTS)
    g = Sampler(Guided(model, scale, model.prompts.empty), steps=5, eta=eta)
    z = g.encode(x, seed=0, cond=cond)
    assert_close(g.decode(z, cond=cond), x, rtol=0, atol=1e-10)
    assert not torch.allclose(g.decode(z, cond=cond.flip(0)), x, atol=1e-3)


@pytest.mark.parametrize(
    "scale, empty, words",
    [
        ("3", 0, ["scale is '3'"]),
        (float("nan"), 0, ["scale is nan"]),
        (2.0, torch.tensor([0, 0]), ["2 conditions", "give one"]),
    ],
)
def test_what_guided_refuses(scale, empty, words):
    with pytest.raises(ValueError) as raised:
        Guided(tiny_unet(num_class_embeds=3), scale, empty)
    assert all(word in str(raised.value) for word in words), raised.value


def test_an_empty_condition_of_another_kind_is_refused(model):
    labelled = tiny_unet(num_class_embeds=3)
    x, latent = randn(1, 3, 8, 8), randn(1, 4, 8, 8)
    with pytest.raises(ValueError, match=r"empty one is torch\.int64"):
        Guided(labelled, 2.0, 0)(x, 5, labelled.embedding(1))
    with pytest.raises(ValueError, match=r"empty one is .*\(1, 5, 12\)"):
        Guided(model, 2.0, model.prompts.empty[:, :5])(latent, 5, model.prompts(PROMPTS[:1]))


@pytest.mark.parametrize(
    "config, words",
    [
        ({"class_embed_type": "timestep"}, ["class_embed_type='timestep'", "None"]),
        ({"time_embedding_type": "fourier"}, ["time_embedding_type", "positional"]),
        ({"sample_size": (8, 16)}, ["sample_size"]),
    ],
)
def test_networks_of_other_kinds_are_refused(config, words):
    with pytest.raises(ValueError) as raised:
        UNet(tiny_net(**config), ALPHA_BAR)
    assert all(word in str(raised.value) for word in words), raised.value
