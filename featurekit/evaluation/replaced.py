"""Keep the files that a comparison on new folds replaces, until the new comparison is complete.

The replaced files are in reports/<name>/replaced-<UTC time>/ in the same places as in reports/<name>/, with
the fitted models of its runs below models/. The copy is complete before anything is removed: files are linked
in a folder with a temporary name, the folder is renamed, and only then the files are removed from their old
places, the folds last. So nothing is lost if the program is stopped in between.
"""

import os
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from featurekit.errors import WorkspaceError
from featurekit.files import is_running, make_folder, sync_folder, writer_of
from featurekit.project import REPLACED, ComparisonFolder


def set_aside(folder: Path, models: Path | None = None) -> Path | None:
    """Move the files of a comparison to a new folder, and return its path; None if there are no files.

    Args:
        folder: folder of the comparison.
        models: folder with the fitted models of its runs. The models are copied to the new folder, too, and
            also stay in this folder. None to copy no models.

    Raises:
        WorkspaceError: a file cannot be moved; nothing has changed.
    """
    comparison = ComparisonFolder(folder)
    files = comparison.files()
    if not files:
        return None
    for left in comparison.unfinished_replaced():
        writer = writer_of(left)
        if writer is None or not is_running(writer):
            shutil.rmtree(left)
    replaced = comparison.replaced(datetime.now(UTC).strftime("%Y-%m-%dT%H%M%S.%fZ"))
    begun = folder / f".{replaced.name}.{os.getpid()}.tmp"
    try:
        for path in files:
            _link(path, begun / path.relative_to(folder))
        for run in comparison.all_runs() if models else ():
            of_run = models / run.stem if models else Path()
            for path in sorted(of_run.iterdir()) if of_run.is_dir() else ():
                _link(path, ComparisonFolder(begun).models / run.stem / path.name)
        begun.rename(replaced)
        sync_folder(folder)
    except OSError as error:
        shutil.rmtree(begun, ignore_errors=True)
        raise WorkspaceError(
            f"Cannot move the files that are to be replaced in {replaced}: {error.strerror}."
        ) from error
    for path in files:
        path.unlink()
    return replaced


def how_to_have_back(replaced: Path, models: Path) -> str:
    """Return a shell command that restores replaced files, and moves the present files to another folder.

    Args:
        replaced: folder with the replaced files, as from set_aside().
        models: folder with the fitted models of the workspace.
    """
    folder = replaced.parent
    instead = folder.with_name(f"{folder.name}-{replaced.name.replace(REPLACED, 'instead-', 1)}")
    steps = [_shell("mv", folder, instead), _shell("mv", instead / replaced.name, folder)]
    if ComparisonFolder(replaced).models.is_dir():
        theirs = ComparisonFolder(folder).models
        # cp would refuse a file that is linked in both places.
        copy = (_shell("tar", "-C", theirs, "-cf", "-", "."), _shell("tar", "-C", models, "-xf", "-"))
        steps += [" | ".join(copy), _shell("rm", "-r", theirs)]
    return " && ".join(steps)


@contextmanager
def saying_how_to_have_back(folder: Path, models: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Report where the replaced runs are, if a fit inside the with statement fails or is stopped.

    Args:
        folder: folder of the comparison.
        models: folder with the fitted models of the workspace.
        say: called with a message for each folder that still contains replaced runs.
    """
    before = ComparisonFolder(folder).replaced_folders()
    try:
        yield
    except BaseException:
        for replaced in ComparisonFolder(folder).replaced_folders():
            if replaced not in before:
                say(
                    f"The runs that this fit was going to replace are in {replaced}. To restore them:"
                    f" {how_to_have_back(replaced, models)}"
                )
        raise
    for replaced in ComparisonFolder(folder).replaced_folders():
        say(
            f"note: {replaced} still contains the runs that an interrupted fit was going to replace. To"
            f" restore them: {how_to_have_back(replaced, models)}"
        )


def forget(replaced: Iterable[Path]) -> None:
    """Delete what was replaced."""
    for folder in replaced:
        shutil.rmtree(folder)


def _shell(*words: object) -> str:
    return shlex.join(map(str, words))


def _link(path: Path, there: Path) -> None:
    """Link a file under a second name; copy it if the disk has no links."""
    make_folder(there.parent)
    try:
        os.link(path, there, follow_symlinks=False)
    except OSError:
        shutil.copy2(path, there, follow_symlinks=False)
