"""Where one_blas_thread() was; files that still import it from here should import featurekit.threads."""

from featurekit.threads import one_blas_thread

__all__ = ["one_blas_thread"]
