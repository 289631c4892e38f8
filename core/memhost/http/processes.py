"""Several server processes, ended quietly however early that comes."""

from __future__ import annotations

import signal
from multiprocessing import resource_tracker

from uvicorn.supervisors import Multiprocess

_CAN_BLOCK = hasattr(signal, "pthread_sigmask")


class Processes(Multiprocess):
    """Server processes that are born with SIGINT blocked, until `heed_interrupts`.

    Ctrl-C reaches every process of a terminal. One that only begins to import would print a traceback; this one ends it
    with SIGTERM.
    """

    asked_to_stop = False
    """True if a signal ended the process, not a failure."""

    def init_processes(self) -> None:
        """Start the processes; a Ctrl-C during the start takes effect afterwards."""
        if not _CAN_BLOCK:
            super().init_processes()
            return
        resource_tracker.ensure_running()  # starts with the first process otherwise, and then unblocks SIGINT
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            super().init_processes()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def handle_int(self) -> None:
        """End after a Ctrl-C."""
        self.asked_to_stop = True
        super().handle_int()

    def handle_term(self) -> None:
        """End, since the operator asked for it."""
        self.asked_to_stop = True
        super().handle_term()


def heed_interrupts() -> None:
    """Let SIGINT have its effect in a server process, when the handlers of the server are in place."""
    if _CAN_BLOCK:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
