"""Make nbmake see what it misses: callbacks of widgets that fail, and replies that it overlooks."""

import nbmake.nb_run
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell
from nbmake.nb_result import NotebookError
from nbmake.nb_run import NotebookRun

from lessons_lib.press.kernels import KernelManager
from lessons_lib.press.runner import widget_errors

_execute = NotebookRun.execute


class MovingClient(NotebookClient):
    """Runs a notebook, then moves every control of a lesson's explorers to both ends."""

    def __init__(self, nb, **options):
        if any("lessons_lib.widgets" in c.source for c in nb.cells if c.cell_type == "code"):
            nb.cells.append(new_code_cell("from lessons_lib.widgets import try_all\ntry_all()"))
        options |= {"kernel_manager_class": KernelManager, "extra_arguments": ["--log-level=ERROR"]}
        super().__init__(nb, **options)


def execute(self):
    """nbmake's run of a notebook, which also fails for errors kept in widgets."""
    result = _execute(self)
    if result.error is None and (found := widget_errors(result.nb)):
        text = "a widget's callback failed: " + "; ".join(found)
        result.error = NotebookError(summary=text, trace=text, failing_cell_index=-1)
    return result


nbmake.nb_run.NotebookClient = MovingClient
NotebookRun.execute = execute
