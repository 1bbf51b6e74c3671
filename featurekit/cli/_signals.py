"""Stopping on a signal: results so far are kept, and the command prints how to continue."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer


class Stopped(BaseException):
    """The program was stopped by a signal; only code that has to clean up may catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.remark = (
            "run the same command again to continue from here"  # a command that does not says what it kept
        )


@contextmanager
def until_stopped() -> Iterator[None]:
    """Leave the block at the first Ctrl-C or SIGTERM: a command that runs until then has not failed."""
    import signal

    def stop(number: int, frame: object) -> None:
        raise Stopped(number)

    before = {one: signal.signal(one, stop) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except Stopped:
        pass
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextmanager
def told_to_stop() -> Iterator[None]:
    """Raise Stopped at the first Ctrl-C or SIGTERM inside the block; the second ends the program at once."""
    import signal
    import threading

    if threading.current_thread() is not threading.main_thread():  # only the main thread can handle signals
        yield
        return

    def stop(number: int, frame: object) -> None:
        for one in before:
            signal.signal(one, signal.SIG_DFL)
        typer.echo("stopping: saving the results so far. Press Ctrl-C again to stop at once", err=True)
        raise Stopped(number)

    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    for one in before:
        signal.signal(one, stop)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
