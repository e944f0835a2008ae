import pytest
import torch
from torch.testing import assert_close

from lessons_lib import load, worlds
from lessons_lib.studies import inputs
from small import mixture, tiny_latent, tiny_pipeline, tiny_unet


def test_a_networks_own_pictures_come_before_photographs():
    model = tiny_unet()
    model.world = "cats"
    found = inputs.kinds(model, 2, 3)
    assert list(found) == ["held-out cats", "photographs"]
    assert_close(found["held-out cats"], worlds.cats.sample(2, 3, 8).image.double())
    assert all(x.shape == (2, 3, 8, 8) and x.abs().max() <= 1 for x in found.values())


@pytest.mark.parametrize("save", [tiny_latent, tiny_pipeline])
def test_a_latent_model_is_given_latents_of_whole_pictures(tmp_path, save):
    save(tmp_path)
    model = load(tmp_path)
    assert list(inputs.kinds(model, 2, 0)) == ["photographs"]
    model.world = "scenes"
    found = inputs.kinds(model, 2, 0)
    images = worlds.scenes.sample(2, 0, 16).image.double()
    assert_close(found["held-out scenes"], model.codec.encode(images))
    assert_close(found["photographs"], model.codec.encode(inputs.photographs(2, (3, 16, 16))))
    assert all(x.shape == (2, *model.shape) for x in found.values())
    latents = found["photographs"]
    assert_close(model.pictures(latents), model.codec.decode(latents))
    assert all(x.dtype == torch.float64 for x in found.values())


def test_what_is_no_latent_is_shown_as_it_is():
    x = torch.randn(2, 1, 8, 8)
    assert load("digits").pictures(x) is x


def test_a_model_whose_data_are_no_images_is_refused():
    with pytest.raises(ValueError, match="not images"):
        inputs.kinds(mixture(d=3), 2, 0)


@pytest.mark.parametrize("n", [0, 7])
def test_more_photographs_than_there_are_is_refused(n):
    with pytest.raises(ValueError, match=f"n is {n}: there are 1 to 6"):
        inputs.photographs(n, (3, 8, 8))


def test_photographs_differ_and_are_grey_for_one_channel():
    grey, colour = (inputs.photographs(3, (channels, 12, 12)) for channels in (1, 3))
    assert colour.min() >= -1 and colour.max() <= 1 and colour.std((1, 2, 3)).min() > 0.1
    assert_close(grey[:, 0], colour.mean(1))
    assert (colour[0] - colour[1]).abs().mean() > 0.1
