"""Make `import torchvision` work where its wheel and torch's are of different builds.

On Linux the default torchvision wheel is compiled for CUDA. Beside a CPU-only torch its compiled
operators cannot be loaded, `import torchvision` dies with "operator torchvision::nms does not
exist", and diffusers, transformers, lpips and torchmetrics die with it, though none of them uses
those operators here. Declaring the two missing schemas lets the import pass. Matched pairs
(conda-forge, macOS, CUDA) never reach the repair.
"""

import sys

import torch

try:
    import torchvision
except RuntimeError as error:
    if "torchvision::nms" not in str(error):
        raise
    for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    torch.library.define(
        "torchvision::nms", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
    )
    torch.library.define(
        "torchvision::qnms", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
    )
    import torchvision  # noqa: F401
except ImportError:
    pass  # not installed: nothing to mend
