"""Settings of every test process."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub is imported: no test asks the network

import pytest
import torch
from hypothesis import HealthCheck, settings

settings.register_profile(
    "lessons", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("lessons")


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)  # pytest-xdist runs one process a core


@pytest.fixture(autouse=True)
def _gradients_as_before():
    yield
    torch.set_grad_enabled(True)  # a lesson may have turned them off for good
