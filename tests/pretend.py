"""A pretend device: tensors made on it or moved to it are tagged, and may not be mixed with others.

    with Pretend("mps"):
        model = load("faces", "mps")     # the numbers stay on the CPU, the rules are the device's

As on a real one: an operation takes tensors of one device (but for numbers in no dimension, and indices from
the CPU), numpy takes none of it, and 'mps' has no float64.
"""

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import WeakTensorKeyDictionary

MAKERS = {
    torch.tensor, torch.as_tensor, torch.zeros, torch.ones, torch.empty, torch.full, torch.arange, torch.eye,
    torch.linspace, torch.rand, torch.randn, torch.randint, torch.randperm, torch.from_numpy,
}  # fmt: skip
# What may take tensors of two devices: it moves between them, or looks at no number.
ACROSS = {
    Tensor.copy_,
    Tensor.to,
    Tensor.__setitem__,
    Tensor.__getitem__,
    Tensor.type_as,
    torch.is_tensor,
    torch._has_compatible_shallow_copy_type,
}
TO_NUMPY = {Tensor.numpy, Tensor.__array__}
LOOKS = {"__get__", "__set__"}


class Mixed(RuntimeError):
    """Tensors of two devices in one operation, or what a device cannot do."""


class Pretend(TorchFunctionMode):
    """The device `name`, 'cuda' or 'mps', while it is on."""

    def __init__(self, name: str):
        super().__init__()
        self.device, self.double = torch.device(name), name != "mps"
        self.tagged = WeakTensorKeyDictionary()

    def __enter__(self):
        self.copied = copied = (
            Parameter.__deepcopy__
        )  # which calls no function that could be seen here

        def tagged(one, memo):
            out = copied(one, memo)
            return self.tag(out) if self.on(one) else out

        Parameter.__deepcopy__ = tagged
        return super().__enter__()

    def __exit__(self, *raised):
        Parameter.__deepcopy__ = self.copied
        return super().__exit__(*raised)

    def on(self, x) -> bool:
        return isinstance(x, Tensor) and x in self.tagged

    def tag(self, out):
        """The same result, on the device."""
        for x in tree_leaves(out):
            if isinstance(x, Tensor):
                if x.dtype == torch.float64 and not self.double:
                    raise Mixed(f"{self.device} has no float64")
                self.tagged[x] = True
        return out

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        with torch._C.DisableTorchFunction():
            return self._called(func, args, kwargs)

    def _called(self, func, args, kwargs):
        name = getattr(func, "__name__", "")
        if name in LOOKS:
            return self._looked(func, args)
        if func in TO_NUMPY and self.on(args[0]):
            raise Mixed(f"numpy takes no tensor of {self.device}")
        if func is Tensor.__deepcopy__:  # whose memo holds tensors of both
            return self.tag(func(*args)) if self.on(args[0]) else func(*args)
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        here = [self.on(x) for x in tensors]
        if func is Tensor.to or name in ("cpu", "cuda", "mps"):
            return self._moved(func, name, args, kwargs)
        if any(here) and not all(here) and func not in ACROSS:
            inside = torch._C._functorch.is_functorch_wrapped_tensor  # of torch.func: not tagged
            pairs = zip(tensors, here, strict=True)
            strangers = [x for x, known in pairs if not known and x.ndim and not inside(x)]
            if strangers:
                raise Mixed(
                    f"{resolve_name(func) or name}: tensors of {self.device} and of the CPU, "
                    f"{tuple(strangers[0].shape)}"
                )
        if func is Tensor.__getitem__ and not self.on(args[0]) and any(here):
            raise Mixed(f"an index of {self.device} into a tensor of the CPU")
        device = kwargs.pop("device", None)
        asked = device is not None and torch.device(device) == self.device
        if device is not None and not asked:
            kwargs["device"] = device
        out = func(*args, **kwargs)
        if (
            func in MAKERS and not asked
        ):  # as_tensor of a tensor stays where that is, of a list it does not
            there = device is None and args and self.on(args[0])
            return self.tag(out) if there else out
        on_cpu = device is not None and not asked
        return self.tag(out) if asked or (any(here) and not on_cpu) else out

    def _looked(self, func, args):
        """An attribute of a tensor, read or set."""
        which = getattr(getattr(func, "__self__", None), "__name__", "")
        if func.__name__ == "__set__":
            out = func(*args)
            if which in ("data", "grad") and self.on(args[1]):
                self.tag(args[0])
            return out
        if which == "device" and self.on(args[0]):
            return self.device
        out = func(*args)
        return self.tag(out) if self.on(args[0]) and isinstance(out, Tensor) else out

    def _moved(self, func, name, args, kwargs):
        """`to`, `cpu`, `cuda`: a copy where the device changes."""
        source, rest = args[0], list(args[1:])
        target = (
            self.device
            if name in ("cuda", "mps")
            else torch.device("cpu")
            if name == "cpu"
            else None
        )
        for i, value in enumerate(rest):
            if isinstance(value, Tensor):  # where that one is, and in its dtype
                target = self.device if self.on(value) else torch.device("cpu")
                rest[i] = value.dtype
            elif isinstance(value, (str, torch.device)):
                target, rest[i] = torch.device(value), torch.device("cpu")
        if "other" in kwargs:
            other = kwargs.pop("other")
            target, kwargs["dtype"] = (
                self.device if self.on(other) else torch.device("cpu"),
                other.dtype,
            )
        if kwargs.get("device") is not None:
            target, kwargs["device"] = torch.device(kwargs["device"]), torch.device("cpu")
        if target is not None and target.type not in (self.device.type, "cpu"):
            return func(*args, **kwargs)  # meta, of libraries that load weights
        out = source.to(*rest, **kwargs) if func is Tensor.to or rest or kwargs else source
        there = self.on(source) if target is None else target == self.device
        if there != self.on(source) and out is source:
            out = source.detach().clone() if not source.requires_grad else source.clone()
        return self.tag(out) if there else out


def moved(tree, device):
    """All tensors in lists and dicts, on a device."""
    return tree_map(lambda x: x.to(device) if isinstance(x, Tensor) else x, tree)
