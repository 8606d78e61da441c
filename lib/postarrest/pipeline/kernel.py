"""A notebook's kernel as a fork of the step that executes it, which has all imports; see `warm`."""

import asyncio
import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner

_NAME = "JUPYTER_DEFAULT_PROVISIONER_NAME"
_FORK = multiprocessing.get_context("fork")
# The process that waits to be the next kernel, and where it is told how.
_waiting: list[tuple[BaseProcess, Connection]] = []


@contextmanager
def forked() -> Iterator[None]:
    """Have the kernel that is started meanwhile be a fork of this process.

    It is forked at once, as long as this process has one thread, and waits until it is started.
    """
    here, there = _FORK.Pipe()
    process = _FORK.Process(target=_wait, args=(here, there))
    process.start()
    there.close()
    _waiting.append((process, here))
    os.environ[_NAME] = "postarrest-fork"
    try:
        yield
    finally:
        del os.environ[_NAME]
        _waiting.clear()
        here.close()
        process.kill()
        process.join()


def _wait(here: Connection, there: Connection) -> None:
    here.close()
    command, environment = there.recv()
    # Like any other kernel: signals to the step's group are not for it.
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    # After: python -m ipykernel_launcher. The kernel ends with its parent, this step.
    sys.argv = [*command[2:], f"--IPKernelApp.parent_handle={os.getppid()}"]
    from ipykernel import kernelapp

    kernelapp.launch_new_instance()


class ForkedKernel(LocalProvisioner):
    """Start of a kernel, for Jupyter: the process that waits becomes it."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Tell the process that waits to become the kernel."""
        self.process, place = _waiting[0]
        place.send((cmd, kwargs["env"]))
        self.pid = self.process.pid
        return self.connection_info

    async def poll(self) -> int | None:
        """Return the kernel's exit status, None as long as it runs."""
        return self.process.exitcode if self.process else 0

    async def wait(self) -> int | None:
        """Wait for the kernel's end."""
        while (status := await self.poll()) is None:
            await asyncio.sleep(0.01)
        self.process = None
        return status

    async def send_signal(self, signum: int) -> None:
        """Send the kernel a signal."""
        if self.process:
            os.kill(self.process.pid, signum)
