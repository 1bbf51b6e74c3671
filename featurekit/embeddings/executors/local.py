"""Extract on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from numpy import intp
from numpy.typing import NDArray

from featurekit.embeddings.extractor import Work, run_here
from featurekit.embeddings.job import Job
from featurekit.networks import engines
from featurekit.progress import Progress


@dataclass(frozen=True)
class LocalExecutor:
    """Extracts with threads and helper processes of this machine.

    Args:
        threads: number of threads, which does not change the vectors; 0 for one thread for each core.
    """

    threads: int = 0

    @contextmanager
    def opened(self) -> "Iterator[LocalExecutor]":
        """Return a block in which workers are there; they are started when there is work."""
        yield self

    def resolve(self, device: str, precision: str) -> tuple[str, str]:
        """Return the device and the precision of this machine, with "auto" replaced."""
        return engines.resolve(device, precision)

    def run(self, job: Job, todo: NDArray[intp], progress: Progress | None = None) -> Work:
        """Process the images in some rows of a job, and store their faces and vectors."""
        return run_here(job, todo, progress, threads=self.threads)
