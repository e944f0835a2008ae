"""diffusers' own pipelines around our networks, to be held against in tests, tables and seconds."""

from __future__ import annotations

import copy

import torch

from .. import _torchvision  # noqa: F401
from ..models.unet import UNet


def _pipeline(model: UNet):
    """diffusers' DDIMPipeline around the same network."""
    from diffusers.pipelines.ddim.pipeline_ddim import DDIMPipeline
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    class WithLabels(torch.nn.Module):
        """The pipeline knows no labels: give the network 0, 'no condition', as ours does."""

        config, dtype, device = model.net.config, model.net.dtype, model.net.device

        def forward(self, x, t):
            labels = torch.zeros(len(x), dtype=torch.int64, device=x.device)
            return model.net(x, t, labels if model.net.class_embedding is not None else None)

    class Pipeline(DDIMPipeline):
        """The same loop around a module that is not saved."""

        def __init__(self, unet, scheduler):
            super(DDIMPipeline, self).__init__()
            self.unet, self.scheduler = unet, scheduler

        _execution_device = model.net.device

        def maybe_free_model_hooks(self):
            pass

    scheduler = DDIMScheduler(
        len(model.alpha_bar),
        trained_betas=_betas(model),
        clip_sample=False,
        timestep_spacing="trailing",
        prediction_type=model.prediction,
    )
    pipeline = Pipeline(WithLabels(), scheduler)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def cycle_pipeline(model: UNet, unet=None, prediction: str | None = None, **scheduler):
    """diffusers' CycleDiffusionPipeline around the model's own codec, texts and network.

    unet: a module in the network's place; prediction: what it answers with, as `UNet.prediction`.
    scheduler: options of its DDIMScheduler, whose last step ends at the first ᾱ unless they say otherwise.
    """
    from diffusers import CycleDiffusionPipeline, DDIMScheduler

    options = {"set_alpha_to_one": False, "prediction_type": prediction or model.prediction}
    tokenizer = copy.copy(model.prompts.tokenizer)
    tokenizer.model_max_length = model.prompts.length  # which the pipeline pads to
    pipeline = CycleDiffusionPipeline(
        model.codec.net,
        model.prompts.net,
        tokenizer,
        model.net,
        DDIMScheduler(
            len(model.alpha_bar),
            trained_betas=_betas(model),
            clip_sample=False,
            steps_offset=1,
            **options | scheduler,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    if unet is not None:
        pipeline.unet = unet
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _betas(model: UNet):
    a = torch.cat([torch.ones(1, dtype=torch.float64), model.alpha_bar.cpu()])
    return (1 - a[1:] / a[:-1]).numpy()
