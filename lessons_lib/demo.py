"""The lessons for projecting: `python -m lessons_lib.demo [VOILA'S OPTIONS]`.

Voila runs a lesson when it is opened, and shows texts, figures and controls; the code stays hidden until it
is asked for. The template lies in data/voila, and asks for nothing on another machine.
"""

from __future__ import annotations

import os
import subprocess
import sys

from .paths import DATA, NOTEBOOKS

OPTIONS = ("--template=lessons", "--strip_sources=False")


def main(argv: list[str] | None = None) -> int:
    """Serve until stopped by hand."""
    here = os.environ.get("JUPYTER_PATH")
    path = os.pathsep.join([str(DATA), *([here] if here else [])])
    asked = sys.argv[1:] if argv is None else argv
    command = [sys.executable, "-m", "voila", str(NOTEBOOKS), *OPTIONS, *asked]
    environment = os.environ | {"JUPYTER_PATH": path, "JUPYTER_PREFER_ENV_PATH": "1"}
    try:
        return subprocess.run(command, env=environment, check=False).returncode
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
