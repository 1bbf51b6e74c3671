"""Write a comparison to an MLflow store, with one MLflow run for each run of the comparison.

The MLflow runs are nested in a parent run, which has the report. A run in the store is recognized by a hash
of its content, not by its name. So a second call adds only new runs, also if the first call was killed. Names
and values are shortened to the limits of MLflow. The complete run is stored as the artifact run.json.
"""

import json
import math
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from featurekit.errors import EngineError, StoreError
from featurekit.evaluation.results import Run, some_runs
from featurekit.progress import Progress
from featurekit.project import ComparisonFolder
from featurekit.report.gallery import shows_people
from featurekit.text import markdown, visible

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

# The limits of MLflow: characters of a text, and items of one call. Newer servers accept tags of 8,000.
LONGEST_NAME, LONGEST_VALUE, LONGEST_TAG = 250, 6000, 5000
MOST_METRICS, MOST_PARAMETERS = 1000, 100

CONTENT = "featurekit.sha256"  # the tag with the hash of an MLflow run's content


@dataclass(frozen=True, kw_only=True)
class Logged:
    """The runs and files of a comparison that are in an MLflow store.

    Attributes:
        store: address of the store, without a password.
        experiment: name of the experiment.
        new: names of the runs that were written.
        known: names of the runs that were in the store before.
        files: files of the report that were written because they were new or had changed.
        missing: files of the report that the comparison does not have.
        withheld: files that show images of people, which are never written to a store.
    """

    store: str
    experiment: str
    new: tuple[str, ...]
    known: tuple[str, ...]
    files: tuple[str, ...]
    missing: tuple[str, ...]
    withheld: tuple[str, ...]


class Point(NamedTuple):
    """One value of a metric at a step, which is 0 for a metric with a single value."""

    name: str
    value: float
    step: int


def log_comparison(
    folder: Path, store: str, experiment: str | None = None, *, progress: Progress | None = None
) -> Logged:
    """Write the runs and the report of a comparison to an MLflow store, except those that it already has.

    Args:
        folder: folder of the comparison.
        store: tracking URI of MLflow; if it is the URL of a server, the network is used.
        experiment: name of the experiment, which is created if it does not exist; None for the name of the
            data set.
        progress: function that is called with (runs done, runs to do).

    Raises:
        WorkspaceError: the comparison has no run.
        EngineError: MLflow is not installed.
        StoreError: the store cannot be reached or written.
    """
    runs = some_runs(folder)
    kept = ComparisonFolder(folder)
    texts = [path.read_text() for path in kept.all_runs()]
    pages = (kept.page, kept.markdown, kept.evidence)
    report = [path for path in pages if path.is_file()]
    experiment = experiment or str(runs[0].dataset["name"])
    with _mlflow(store):
        client = _open(store)
        place = _experiment(client, experiment, _database(store))
        parent = _parent(client, place, folder.name, runs)
        there = _nested(client, place, parent)
        new, known = [], []
        for done, (run, text) in enumerate(zip(runs, texts, strict=True), start=1):
            content = sha256(text.encode()).hexdigest()
            found = there.get(content)
            if found and found.info.status == "FINISHED":
                known.append(run.name)
            else:
                # A run that was not finished was interrupted. Its values can be written again.
                made = found or _create(client, place, parent, run, content)
                _write(client, made.info.run_id, run, text)
                new.append(run.name)
            if progress:
                progress(done, len(runs))
        files = [path.name for path in report if not shows_people(path) and _write_file(client, parent, path)]
        client.set_terminated(parent.info.run_id, end_time=max(map(_milliseconds, runs)))
    return Logged(
        store=_without_password(store),
        experiment=experiment,
        new=tuple(new),
        known=tuple(known),
        files=tuple(files),
        missing=tuple(path.name for path in pages if path not in report),
        withheld=tuple(path.name for path in report if shows_people(path)),
    )


def parameters_of(run: Run) -> dict[str, str]:
    """Return the parameters of a run, with names and values that MLflow accepts."""
    got = list(run.hardware["got"].values())
    facts: dict[str, Any] = {
        "target": run.target,
        "features": run.features,
        "classifier": run.classifier,
        "tuned": run.tuned,
        "variation": ", ".join(f"{name}={value}" for name, value in run.variation.items()),
        "seed": run.seed,
        "dataset": run.dataset["name"],
        "folds": run.folds["sha256"],
        "n_folds": run.folds["number"],
        "weights": ", ".join(f"{one['name']} {one['sha256'][:12]}" for one in run.weights),
        **{
            name: ", ".join(dict.fromkeys(str(one[name]) for one in got))
            for name in ("engine", "device", "precision")
        },
        # With a prefix, because a classifier has its own seed and device.
        **{f"parameters.{plain_name(name)}": value for name, value in run.parameters.items()},
    }
    return {name: _cut(str(value), LONGEST_VALUE) for name, value in facts.items() if value != ""}


def points_of(run: Run) -> list[Point]:
    """Return the scores, the learning curves and the costs of a run, without values that are not finite.

    The mean of a score over the folds has the name of the score, the standard deviation has the name
    name_std, and the value of each fold is a step of by_fold/name. Each epoch is a step of training/name,
    with the mean over the folds that were still trained in this epoch.
    """
    points = []
    for group, scores in (("", run.scores), ("all_rows/", run.scores_all_rows)):
        for name, score in scores.items():
            points += [(f"{group}{name}", score["mean"], 0), (f"{group}{name}_std", score["std"], 0)]
            points += [(f"{group}by_fold/{name}", value, fold) for fold, value in enumerate(score["folds"])]
    single = {
        **{
            f"recall/{plain_name(label)}": share for label, share in zip(run.classes, run.recall, strict=True)
        },
        **{f"seconds/{what}": seconds for what, seconds in run.seconds.items()},
        **{name: getattr(run, name) for name in ("n_tested", "n_labelled", "n_subjects")},
        "bytes_on_disk": run.bytes_on_disk or None,
    }
    points += [(name, value, 0) for name, value in single.items()]
    histories = [fold["history"] for fold in run.training]
    for epoch in range(max(map(len, histories), default=0)):
        lines = [history[epoch] for history in histories if epoch < len(history)]
        for name in dict.fromkeys(name for line in lines for name in line):
            values = [line[name] for line in lines if _is_finite(line.get(name))]
            points += [(f"training/{plain_name(name)}", fmean(values), epoch + 1)] if values else []
    return [Point(name, float(value), step) for name, value, step in points if _is_finite(value)]


def plain_name(text: str) -> str:
    """Return a text as a part of a name that MLflow accepts; different texts give different names.

    >>> plain_name("60-100"), plain_name("../5 < 6")
    ('60-100', '.._5 _ 6-f9c85824')
    """
    # MLflow uses names as paths, so a name of dots alone would be a folder.
    plain = re.sub(r"[^\w. -]|^\.*$", "_", text)[: LONGEST_NAME - 50]
    digest = sha256(text.encode(errors="surrogatepass")).hexdigest()
    return plain if plain == text else f"{plain}-{digest[:8]}"


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _cut(text: str, longest: int) -> str:
    """Return the text without characters that a database refuses, shortened to a length."""
    text = visible(text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _milliseconds(run: Run) -> int:
    """Return when a run was made, as MLflow counts time."""
    return int(datetime.fromisoformat(run.created).timestamp() * 1000)


@contextmanager
def _mlflow(store: str) -> Iterator[None]:
    """Prepare the import of MLflow, and turn its errors into one line without a password."""
    if missing := [name for name in ("mlflow", "sqlalchemy", "alembic") if find_spec(name) is None]:
        raise EngineError(
            f"log-mlflow needs {missing[0]}, which is not installed: pip install 'featurekit[mlflow]'."
        )
    # MLflow reads this when it is imported. Without it, MLflow sends data of its usage to its makers.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    # By default, MLflow asks a missing server again for four minutes. With this, it does for 15 seconds.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, CommandError, sqlite3.Error, OSError, ImportError) as error:
        why = _without_password(str(error).strip().partition("\n")[0])
        raise StoreError(f"Cannot write to the MLflow store {_without_password(store)}: {why}") from error


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//***@", text)


def _database(store: str) -> Path | None:
    """Return the file of a SQLite store, or None for a store of another kind."""
    kind, sign, path = store.partition(":///")
    return Path(path.partition("?")[0]) if sign and kind.startswith("sqlite") else None


def _open(store: str) -> "MlflowClient":
    import logging

    from mlflow import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.CRITICAL)  # it also raises the errors that it logs
    if database := _database(store):
        # MLflow would try to open an unreadable file ten times, for two minutes.
        database.parent.mkdir(parents=True, exist_ok=True)
        sqlite3.connect(database).close()
    return MlflowClient(tracking_uri=store)


def _experiment(client: "MlflowClient", name: str, database: Path | None) -> str:
    """Return the id of the experiment, which is created if it does not exist."""
    if found := client.get_experiment_by_name(name):
        return str(found.experiment_id)
    # Beside the database; by default, MLflow uses the current folder.
    files = (database.parent / "mlruns" / plain_name(name)).absolute().as_uri() if database else None
    return client.create_experiment(name, artifact_location=files)


def _parent(client: "MlflowClient", place: str, name: str, runs: Sequence[Run]) -> "MlflowRun":
    """Return the MLflow run of the comparison; with other folds it is another comparison."""
    content = sha256(json.dumps([name, runs[0].folds["sha256"]]).encode()).hexdigest()
    if found := client.search_runs([place], f"tags.`{CONTENT}` = '{content}'", max_results=1):
        return found[0]
    parent = client.create_run(
        place,
        start_time=min(map(_milliseconds, runs)),
        run_name=_cut(name, LONGEST_NAME),
        tags={
            CONTENT: content,
            "featurekit.comparison": _cut(name, LONGEST_TAG),
            "featurekit.synthetic": str(runs[0].dataset["synthetic"]),
            "mlflow.source.name": "featurekit",
            "mlflow.note.content": "A comparison made by featurekit, with its runs nested in it. The"
            " report is an artifact: report.html.",
        },
    )
    shared = parameters_of(runs[0])
    for fact in ("dataset", "folds", "n_folds"):
        client.log_param(parent.info.run_id, fact, shared[fact])
    return parent


def _nested(client: "MlflowClient", place: str, parent: "MlflowRun") -> dict[str, "MlflowRun"]:
    """Return hash of the content → each MLflow run that is nested in the comparison already."""
    found: dict[str, MlflowRun] = {}
    token: str | None = None
    while True:
        page = client.search_runs(
            [place], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'", page_token=token
        )
        found |= {one.data.tags[CONTENT]: one for one in page if CONTENT in one.data.tags}
        token = page.token
        if not token:
            return found


def _create(client: "MlflowClient", place: str, parent: "MlflowRun", run: Run, content: str) -> "MlflowRun":
    tags = {
        "featurekit.version": run.versions["featurekit"],
        "featurekit.command": run.command,
        "featurekit.created": run.created,
        "featurekit.baseline": str(run.is_baseline),
        "featurekit.synthetic": str(run.dataset["synthetic"]),
        "mlflow.source.name": "featurekit",
    }
    return client.create_run(
        place,
        start_time=_milliseconds(run),
        run_name=_cut(run.name, LONGEST_NAME),
        tags={
            CONTENT: content,
            "mlflow.parentRunId": parent.info.run_id,
            "mlflow.note.content": "\n\n".join(map(markdown, run.notes))[:LONGEST_TAG],
            **{name: _cut(value, LONGEST_TAG) for name, value in tags.items()},
        },
    )


def _write(client: "MlflowClient", run_id: str, run: Run, text: str) -> None:
    """Write everything of a run, and finish it last: a run that is not finished is incomplete."""
    from mlflow.entities import Metric, Param

    created = _milliseconds(run)
    parameters = [Param(name, value) for name, value in parameters_of(run).items()]
    metrics = [Metric(point.name, point.value, created, point.step) for point in points_of(run)]
    for start in range(0, len(parameters), MOST_PARAMETERS):
        client.log_batch(run_id, params=parameters[start : start + MOST_PARAMETERS])
    for start in range(0, len(metrics), MOST_METRICS):
        client.log_batch(run_id, metrics=metrics[start : start + MOST_METRICS])
    client.log_text(run_id, text, "run.json")
    # The start is not known, because folds may have run in parallel. seconds/fit has the duration.
    client.set_terminated(run_id, end_time=created)


def _write_file(client: "MlflowClient", parent: "MlflowRun", path: Path) -> bool:
    """Write a file of the report unless the store has the same; return whether it was written."""
    tag, content = f"{CONTENT}.{path.name}", sha256(path.read_bytes()).hexdigest()
    if parent.data.tags.get(tag) == content:
        return False
    client.log_artifact(parent.info.run_id, str(path))
    client.set_tag(parent.info.run_id, tag, content)
    return True
