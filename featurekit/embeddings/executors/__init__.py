"""Where an extraction is done: on this machine, or by the workers of a Ray cluster."""

from contextlib import AbstractContextManager
from typing import Protocol

from numpy import intp
from numpy.typing import NDArray

from featurekit.embeddings.extractor import Work
from featurekit.embeddings.job import Job
from featurekit.progress import Progress


class Workers(Protocol):
    """Protocol of what works on an extraction."""

    def resolve(self, device: str, precision: str) -> tuple[str, str]:
        """Return the device and the precision of every worker, with "auto" replaced.

        Raises:
            EngineError: no worker has the device or the precision.
        """

    def run(self, job: Job, todo: NDArray[intp], progress: Progress | None = None) -> Work:
        """Process the images in some rows of a job, at least one, and store their faces and vectors.

        Args:
            job: what to extract.
            todo: numbers of the rows, from Job.todo().
            progress: called with (images done, images to do).

        Raises:
            EngineError: the workers cannot compute what is asked for.
            WorkspaceError: the cache cannot be written.
        """


class Executor(Protocol):
    """Protocol of an executor: featurekit.embeddings.executors.local and .ray have one each."""

    def opened(self) -> AbstractContextManager[Workers]:
        """Return a block in which workers are there.

        Raises:
            EngineError: there are none.
        """
