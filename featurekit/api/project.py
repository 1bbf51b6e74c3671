"""The folder that contains the table of a data set, its cache, its models and its comparisons."""

import os
from pathlib import Path

from featurekit.checked import checked
from featurekit.errors import WorkspaceError
from featurekit.project import ProjectFolder
from featurekit.urls import UrlPath, place_of

# The environment variable that names the project for the command line, and for functions without one.
VARIABLE = "FEATUREKIT_WORKSPACE"


@checked()
class Project:
    """The folder in which an analysis stores its files.

    It contains the table of the data set (manifest.csv), the cache of faces and embeddings, fitted models and
    comparisons. The command line reads and writes the same files. A function without a project uses the
    current folder, or the folder that the environment variable FEATUREKIT_WORKSPACE names.

    Args:
        folder: path of the folder, which is created when a file is first written into it.
        cache: another place for the faces and embeddings: a folder, or the URL of a folder in a bucket, such
            as "s3://bucket/cache" (also gs:// and az://). It is written to the file cache.json of the
            project, so that it has to be named only once. The credentials are taken from the environment, and
            are neither stored nor shown. Several projects and machines may use the same place.

    Raises:
        WorkspaceError: the URL cannot be used, the project already has its cache in another place, or folder
            is a URL.

    Attributes:
        folder: the paths of the project.

    Example:
        >>> import featurekit as fk
        >>> fk.Project("faces-2026")
        Project('faces-2026')
    """

    def __init__(self, folder: str | Path = ".", *, cache: str | Path | None = None) -> None:
        if isinstance(place := place_of(folder), UrlPath):
            raise WorkspaceError(
                f"A project must be a folder of this machine, not {place}. Its cache can be in a bucket:"
                " fk.Project(FOLDER, cache=URL), or featurekit --cache URL."
            )
        self.folder = ProjectFolder(place)
        if cache is not None:
            self.folder.keep_cache_in(cache)

    def __repr__(self) -> str:
        return f"Project({str(self.folder.root)!r})"

    @property
    def models(self) -> list[str]:
        """Names of the models that are saved in the folder models/."""
        found = self.folder.models
        return sorted(path.name for path in found.iterdir() if path.is_dir()) if found.is_dir() else []

    @property
    def comparisons(self) -> list[str]:
        """Names of the comparisons in the folder reports/."""
        return [path.name for path in self.folder.comparisons()]


def project_of(place: Project | str | Path | None) -> Project:
    """Return the project for an argument; None means the project of the current folder."""
    if isinstance(place, Project):
        return place
    return Project(os.environ.get(VARIABLE, ".") if place is None else place)
