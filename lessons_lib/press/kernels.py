"""Kernels run by nbclient (and so by papermill and nbmake) whose replies are never overlooked.

When a notebook shows an `Output` widget, as `interact` does, nbclient answers in the browser's place:
it sends the widget's state to the kernel, on the same socket on which it waits for the cell's reply.
Sending uses up the socket's wake-up, which comes once for all that has arrived. A reply that came
just before stays unread until the cell's time limit, and the run stands still (nbclient issue 312).
On one busy core this befell 11 of 2,100 cells with `interact`, and with this manager 0 of 2,100.

    NotebookClient(notebook, kernel_manager_class=KernelManager)
    papermill.execute_notebook(path, out, kernel_manager_class=KernelManager)

The kernel is this Python, whatever kernel of the name python3 the user's folders hold.
"""

from __future__ import annotations

import os
import secrets
import signal
import tempfile
from threading import Timer

import zmq
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.localinterfaces import localhost
from jupyter_client.manager import AsyncKernelManager
from traitlets import Type, default


class ShellChannel(AsyncZMQSocketChannel):
    """A shell channel that looks, after every message sent, whether one has arrived."""

    def send(self, msg: dict) -> None:
        super().send(msg)
        self.socket.get(zmq.EVENTS)  # pyzmq then serves whoever waits for what is there


class KernelClient(AsyncKernelClient):
    """nbclient's usual client, with that shell channel."""

    shell_channel_class = Type(ShellChannel)


class KernelManager(AsyncKernelManager):
    """nbclient's usual manager of a kernel, with that client."""

    client_factory = Type(KernelClient)

    @default("transport")
    def _transport(self) -> str:
        """Sockets in files where there are any: kernels that start together took one another's ports, and
        a run then waited for ever (1 of 96 on a busy machine)."""
        return "tcp" if os.name == "nt" else "ipc"

    @default("ip")
    def _ip(self) -> str:
        """Where those files are: a name of this kernel's own, short enough for a socket."""
        own = os.path.join(tempfile.gettempdir(), f"kernel-{secrets.token_hex(8)}")
        return own if self.transport == "ipc" else localhost()

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(**get_kernel_dict())


class Watch:
    """Watches over the kernel of one run: ends it, with all that it began, when its time is over.

    with Watch(seconds) as watch: … a client with `kernel_manager_class=watch.manager` …
    """

    def __init__(self, limit: float | None):
        self.over, self.provisioner, self.process, watch = False, None, None, self
        self.timer = Timer(limit or 0, self.end) if limit else None

        class Watched(KernelManager):
            async def _async_post_start_kernel(self, **options) -> None:
                watch.provisioner, watch.process = self.provisioner, self.provisioner.process
                await super()._async_post_start_kernel(**options)
                if watch.over:  # it was over before there was a kernel
                    watch.end()

        self.manager = Watched

    def end(self) -> None:
        """Kill the kernel, if it runs."""
        self.over = True
        if self.process is None or self.process.poll() is not None:
            return
        if hasattr(os, "killpg") and self.provisioner.pgid:
            os.killpg(self.provisioner.pgid, signal.SIGKILL)
        else:
            self.process.kill()

    def died(self) -> bool:
        """Whether the kernel has ended, and not well."""
        return self.process is not None and self.process.poll() not in (None, 0)

    def __enter__(self) -> Watch:
        if self.timer:
            self.timer.daemon = True
            self.timer.start()
        return self

    def __exit__(self, *_) -> None:
        if self.timer:
            self.timer.cancel()
