"""Which pictures a world draws: a hash of its drawing code and of its factors' ranges."""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
from importlib.util import resolve_name
from types import ModuleType


def fingerprint(module: ModuleType, also: str = "") -> str:
    """First 12 hexadecimal digits of the SHA-256 of a module's code and of all that it draws with,
    which is every module of this package that it imports from, and they in turn.

    Comments, docstrings and layout do not count; indentation does.
    """
    found = hashlib.sha256(also.encode())
    for code in _with_imports(module, {}).values():
        found.update(ast.unparse(code).encode() + b"\0")
    return found.hexdigest()[:12]


def _with_imports(module: ModuleType, found: dict[str, ast.Module]) -> dict[str, ast.Module]:
    """The code of the module and of those of this package that it imports from, by name."""
    found[module.__name__] = code = _code(module)
    for node in ast.walk(code):
        if isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), __package__)
            for name in (source, *(f"{source}.{alias.name}" for alias in node.names)):
                ours = name.startswith(f"{__package__}.") and name in sys.modules
                if ours and name not in found:
                    _with_imports(sys.modules[name], found)
    return found


def _code(module: ModuleType) -> ast.Module:
    """A module's code, without its docstrings."""
    tree = ast.parse(inspect.getsource(module))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return tree
