"""A helper process, which works for this process and exchanges messages with it over a pipe.

Threads share one Python interpreter, and decoding and cropping an image consists of many short calls, for
which threads wait for each other; processes do not wait. If a decoder crashes or hangs on an image, only its
helper process ends: that image has no result, and the extraction continues.

A helper process is a new Python interpreter that gets the name of a function to call. So it never runs the
user's script a second time, as multiprocessing would. Messages are JSON and safetensors; nothing is pickled.
A helper process also ends when the process that started it has ended in any way.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from featurekit import errors

# One message: a JSON value and arrays by name.
Message = tuple[Any, Mapping[str, NDArray[Any]]]

_COMMAND = "import sys; from featurekit.embeddings.helper import serve; serve(sys.argv[1])"
_LENGTHS = np.dtype("<u8")


class HelperDiedError(Exception):
    """A helper process ended, or took too long and was killed, before it had sent its result."""


class Helper:
    """A new process that processes one request at a time.

    Args:
        function: name of a function of featurekit, as "module:function". The new process calls it with the
            job. It returns a report for ready(), and a function that turns each request into its result.
        job: argument of the function, as plain JSON values.
    """

    def __init__(self, function: str, job: Any) -> None:
        package = str(Path(__file__).resolve().parents[2])
        own = os.environ.get("PYTHONPATH")
        self._process = subprocess.Popen(  # nosec B603  # this Python, with fixed arguments
            # -P: a file in the current folder must not replace a module of the same name.
            [sys.executable, "-P", "-c", _COMMAND, function],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([package, own] if own else [package]),
                "OPENBLAS_NUM_THREADS": "1",  # matrix products are not its work
            },
        )
        self._say((job, {}))

    def ready(self) -> Any:
        """Wait until the helper process is ready, and return the report of its function.

        Raises:
            FeaturekitError: the function has raised this error in the helper process.
            HelperDiedError: the helper process ended, or took longer than ten minutes.
        """
        return self._answer(600)[0]

    def ask(self, question: Any, *, seconds: float) -> Message:
        """Send a request and return its result.

        Args:
            question: the request, as plain JSON values.
            seconds: time limit for the result.

        Raises:
            HelperDiedError: the helper process ended, or took longer than the limit and was killed.
        """
        self._say((question, {}))
        return self._answer(seconds)

    def close(self) -> None:
        """End the helper process."""
        # The block closes the pipes and waits. Closing fails if a question was cut off in the middle.
        with suppress(OSError), self._process:
            self._process.kill()

    def _say(self, message: Message) -> None:
        try:
            _write(self._process.stdin, message)
        except OSError as error:
            raise HelperDiedError(self._how_it_ended()) from error

    def _answer(self, seconds: float) -> Message:
        assert self._process.stdout is not None
        message = _read(self._process.stdout, time.monotonic() + seconds)
        if message is None:
            raise HelperDiedError(self._how_it_ended())
        value, arrays = message
        if isinstance(value, dict) and "error" in value:
            kind, text = value["error"]
            raise getattr(errors, kind)(text)
        return value, arrays

    def _how_it_ended(self) -> str:
        """Return how the process ended; a process that still runs is killed."""
        try:
            code = self._process.wait(timeout=1)  # the pipe can close a moment before the process has ended
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return "took too long"
        if code >= 0:
            return f"ended with {code}"
        with suppress(ValueError):
            return f"ended by {signal.Signals(-code).name}"
        return f"ended by signal {-code}"


def serve(function: str) -> None:
    """Run as a helper process: process requests from standard input until it is closed.

    Args:
        function: name of the function to call first, as "module:function".
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the asking process's to handle
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # the output of a library must not mix with the answers
    questions = os.fdopen(os.dup(0), "rb", buffering=0)
    first = _read(questions)
    if first is None:
        return
    module, _, name = function.partition(":")
    try:
        ready, answer = _resolve(module, name)(first[0])
    except errors.FeaturekitError as error:
        _write(answers, ({"error": [type(error).__name__, error.args[0]]}, {}))
        return
    _write(answers, (ready, {}))
    while (question := _read(questions)) is not None:
        try:
            _write(answers, answer(question[0]))
        except BrokenPipeError:
            return  # the asking process has ended


def _resolve(module: str, name: str) -> Callable[[Any], tuple[Any, Callable[[Any], Message]]]:
    if module.partition(".")[0] != "featurekit":
        raise ValueError(f"A helper runs functions of featurekit. Got {module}:{name} instead.")
    found: Callable[[Any], tuple[Any, Callable[[Any], Message]]] = getattr(import_module(module), name)
    return found


def _write(pipe: Any, message: Message) -> None:
    """Write a message: the lengths of its two parts, then the parts."""
    from safetensors.numpy import save

    value, arrays = message
    text = json.dumps(value).encode()
    data = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}) if arrays else b""
    rest = memoryview(np.array([len(text), len(data)], _LENGTHS).tobytes() + text + data)
    while rest:
        rest = rest[pipe.write(rest) :]


def _read(pipe: IO[bytes], deadline: float | None = None) -> Message | None:
    """Read a message; None if the pipe closes, or the deadline passes, before its end."""
    from safetensors.numpy import load

    head = _read_exactly(pipe, 2 * _LENGTHS.itemsize, deadline)
    if head is None:
        return None
    n_text, n_data = map(int, np.frombuffer(head, _LENGTHS))
    body = _read_exactly(pipe, n_text + n_data, deadline)
    if body is None:
        return None
    return json.loads(body[:n_text]), load(bytes(body[n_text:])) if n_data else {}


def _read_exactly(pipe: IO[bytes], n_bytes: int, deadline: float | None) -> bytearray | None:
    found = bytearray()
    with selectors.DefaultSelector() as ready:
        ready.register(pipe, selectors.EVENT_READ)
        while len(found) < n_bytes:
            if deadline is not None and not ready.select(max(deadline - time.monotonic(), 0)):
                return None
            part = os.read(pipe.fileno(), n_bytes - len(found))
            if not part:
                return None
            found += part
    return found
