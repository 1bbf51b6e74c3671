"""The command line: options → library → text.

The only module that prints or exits. Each command reads its options, calls the
library and says what happened; main() turns featurekit's own errors into one
line and leaves the others their traceback.
"""

import codecs
import errno
import inspect
import json
import math
import os
import sys
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featurekit import __version__
from featurekit.errors import FeaturekitError, ManifestError, WorkspaceError
from featurekit.project import ComparisonFolder, Project
from featurekit.text import first_few, one_line, readable_name, write_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from pandas import DataFrame

    from featurekit.data.datasets import Dataset
    from featurekit.data.manifest import Manifest
    from featurekit.embeddings.extractor import Extraction, Ledger
    from featurekit.estimators import ClassifierKind
    from featurekit.evaluation.results import Run
    from featurekit.inference.model import TrainedModel
    from featurekit.inference.predict import Asked, Collected
    from featurekit.ops.purge import Purged
    from featurekit.ops.verify import Checked

app = typer.Typer(
    name="featurekit",
    help="Compare ways of reading age group and gender from face photographs.\n\n"
    "prepare → extract → fit → report, each on the workspace in the current folder; then predict.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
weights_app = typer.Typer(no_args_is_help=True, help="Fetch, add and check weight files.")
cache_app = typer.Typer(no_args_is_help=True, help="Look at, check, clean and export the cache.")
app.add_typer(weights_app, name="weights")
app.add_typer(cache_app, name="cache")

# What every extraction uses when nothing is asked for: the networks that need no account.
BUILTIN_BACKBONES = ("dlib_age", "dlib_gender", "mobilenet_v2")

# Rows, or photographs, that a message is printed about; of the others their number.
SHOWN = 10

Device = Annotated[str, typer.Option(help="auto, cpu or cuda; cuda without a usable GPU is an error.")]
Precision = Annotated[str, typer.Option(help="auto, fp32 or bf16.")]
Threads = Annotated[
    int, typer.Option(help="How many threads; 0 for one a core. Results do not depend on it.", min=0)
]
LARGEST_SEED = 2**32 - 1  # that scikit-learn takes


def _name_of_comparison(name: str | None) -> str | None:
    """Refuse a name that no comparison can have, also an empty one, which would mean the default."""
    return name if name is None else Project(Path()).report(name).name


ComparisonName = Annotated[
    str | None,
    typer.Option(help="Name of the comparison. Default: the data set's.", callback=_name_of_comparison),
]


@dataclass
class _State:
    """What the options before the command say."""

    workspace: Project


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    workspace: Annotated[
        Path,
        typer.Option("--workspace", "-w", envvar="FEATUREKIT_WORKSPACE", help="Folder to work in."),
    ] = Path(),
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"featurekit {__version__}")
        raise typer.Exit
    context.obj = _State(Project(workspace))


# ---------------------------------------------------------------- weights


@weights_app.command("list")
def weights_list() -> None:
    """List every weight file: where it comes from, whether it is here, and its licences.

    Example: featurekit weights list
    """
    from featurekit.networks import weights

    rows = [
        [
            entry.name,
            "here" if weights.present(entry.name) else "-",
            entry.about,
            f"code: {entry.licences.code}\nweights: {entry.licences.weights}"
            f"\ntraining data: {entry.licences.training_data}",
            f"{entry.file_name}\n{entry.source}",
        ]
        for entry in weights.WEIGHTS.values()
    ]
    _table(["name", "", "what it is", "licences", "file and source"], rows)
    typer.echo(f"Weight files are kept in {weights.home() / 'weights'}")


@weights_app.command("fetch")
def weights_fetch(
    names: Annotated[list[str], typer.Argument(help="builtin, or names of `featurekit weights list`.")],
) -> None:
    """Download weight files and check their hashes. This command uses the network.

    Example: featurekit weights fetch builtin
    """
    from featurekit.networks import weights

    for name in names:
        with _progress(f"fetching {name}", unit="bytes") as progress:
            fetched = weights.fetch(name, progress)
        got = ", ".join(entry.name for entry in fetched) or "already here"
        typer.echo(f"{name}: {got}; every hash is right")


@weights_app.command("add")
def weights_add(
    file: Annotated[Path, typer.Argument(help="A weight file you have.")],
    name: Annotated[str | None, typer.Option(help="Which entry of the table it is.")] = None,
) -> None:
    """Register a weight file you already have; nothing is downloaded.

    Example: featurekit weights add ~/Downloads/resnet50-0676ba61.pth
    """
    from featurekit.networks import weights

    for entry in weights.add(file, name):
        typer.echo(f"{entry.name}: added {entry.file_name}")


@weights_app.command("verify")
def weights_verify() -> None:
    """Hash every weight file again; exit code 1 if one is not what it should be.

    Example: featurekit weights verify
    """
    from featurekit.networks import weights

    findings = [(name, status) for name, status in weights.verify() if status != "missing"]
    for name, status in findings:
        typer.echo(f"{name}: {status}")
    if not findings:
        typer.echo("No weight files here. Get some: featurekit weights fetch builtin")
    if any(status != "ok" for _, status in findings):
        raise typer.Exit(1)


# ---------------------------------------------------------------- prepare


@app.command()
def prepare(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="adience, utkface, image_folder, table, synthetic.")],
    path: Annotated[Path, typer.Argument(help="Where the data set lies.")],
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            "-o",
            help="name=value, an option of the data set. All have missing=WORD,WORD: what means 'not known'"
            " in any column, instead of nan, N/A, unknown, none, ?, - and the like; missing=+WORD adds one to"
            " those, missing=-WORD takes one from them, missing= leaves only empty cells missing.",
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="For table: manifest column=column of the table, e.g. age=years; age= for none. It wins over"
            " a column that is called so."
        ),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="For table: folder that its paths are relative to.")
    ] = None,
) -> None:
    """Read a data set into manifest.csv and say what is wrong with it.

    A cell that cannot be read is missing, with a warning that names it; its row keeps its other labels.
    Labels that differ only by case, spaces or Unicode form are one label. A label column whose name no
    file or no table of featurekit can have gets another, which is printed and kept in manifest.json:
    signs other than letters, digits, spaces and _ . - become _, a name of more than 60 bytes is cut,
    _label follows the name of a column of featurekit's own (reason, face, photograph, ...).

    Examples:
      featurekit prepare utkface ~/data/UTKFace
      featurekit prepare adience ~/data/adience -o protocol=repaired
      featurekit prepare table people.csv --column image_path=file --column age=years --root photos
      featurekit prepare table people.csv -o labels=beard,hair -o missing=-none -o box=xywh
    """
    from featurekit.cache.store import FileIndex
    from featurekit.data.datasets import DATASETS
    from featurekit.data.datasets import prepare as prepare_dataset

    workspace = _workspace(context)
    options: dict[str, Any] = _pairs(option, "--option")
    for given, name, flag in ((column, "columns", "--column"), (root, "root", "--root")):
        if given and name not in DATASETS[dataset].options:
            raise ManifestError(
                f"{flag} has no effect on {dataset}: it is for tables. Leave it out, or read a table:"
                " featurekit prepare table FILE --column image_path=COLUMN --root FOLDER."
            )
    if column:
        options["columns"] = _pairs(column, "--column")
    if root:
        options["root"] = root
    index = FileIndex(workspace.file_index)
    with index as files, _progress("reading") as progress:
        manifest = prepare_dataset(dataset, path, content_of=files.content_of, progress=progress, **options)
    manifest.save(workspace.manifest)
    _print_tally(manifest)
    for note in manifest.info.get("notes", ()):
        typer.echo(one_line(f"warning: {note}"), err=True)
    _print_bad_cells(manifest)
    _print_unused(manifest)
    typer.echo(f"Wrote {workspace.manifest} and, with the tally, {workspace.manifest.with_suffix('.json')}")


def _print_tally(manifest: "Manifest") -> None:
    from featurekit.data.manifest import REASONS

    tally = manifest.info.get("tally", {})
    rows = [
        [what.replace("_", " ") if what in REASONS else one_line(str(what)), f"{n:,}"]
        for what, n in tally.items()
    ]
    _table(["what", "rows"], rows)


def _print_bad_cells(manifest: "Manifest") -> None:
    """Say which cells could not be read, and what to type instead; some of each column in turn."""
    found = manifest.info.get("bad_cells", [])
    seen: Counter[tuple[str, str]] = Counter()
    turns = []
    for cell in found:
        seen[cell["column"], cell["target"]] += 1
        turns.append((seen[cell["column"], cell["target"]], cell["row"], cell))
    for _, row, cell in sorted(turns, key=lambda turn: turn[:2])[:SHOWN]:
        said = f"warning: row {row}, {cell['column']}: '{cell['value']}' {cell['problem']}"
        typer.echo(one_line(said), err=True)
    if more := manifest.info.get("n_bad_cells", 0) - min(len(found), SHOWN):
        typer.echo(f"warning: … and {more:,} more cells that cannot be read; see manifest.json", err=True)


def _print_unused(manifest: "Manifest") -> None:
    """Say of the rows that cannot be used which they are and why, the strangest reasons first."""
    from featurekit.data.manifest import REASONS

    reasons, paths = manifest.table["reason"].tolist(), manifest.table["image_path"].tolist()
    order = list(REASONS)
    bad = sorted((order.index(reason), row) for row, reason in enumerate(reasons) if reason)
    for number, row in bad[:SHOWN]:
        typer.echo(one_line(f"warning: row {row + 1}, '{paths[row]}': {REASONS[order[number]]}"), err=True)
    if len(bad) > SHOWN:
        typer.echo(f"warning: … and {len(bad) - SHOWN} more; each with its reason in manifest.csv", err=True)


# ---------------------------------------------------------------- extract


@app.command()
def extract(
    context: typer.Context,
    backbone: Annotated[
        list[str] | None,
        typer.Option(help="Network, or network:layer; several at once. Default: the builtin ones."),
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Another layer of every backbone named.")] = None,
    detector: Annotated[str, typer.Option(help="How faces are found.")] = "centerface",
    detector_weights: Annotated[
        str | None,
        typer.Option(help="Another file for the detector, e.g. scrfd_10g, an SCRFD file or its pack (zip)."),
    ] = None,
    choose: Annotated[
        str, typer.Option(help="Which of several faces: center, largest, box, or only (several: none).")
    ] = "center",
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = 0,
    mirror: Annotated[
        bool,
        typer.Option("--mirror", help="Read each face's mirror image too and keep the mean: better, slower."),
    ] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Print where the time went, and how busy the threads were.")
    ] = False,
) -> None:
    """Find every face and remember its vectors. Goes on where it was stopped.

    Examples:
      featurekit extract --backbone dlib_age --backbone mobilenet_v2
      featurekit extract --mirror
      featurekit extract --detector insightface_scrfd --detector-weights scrfd_10g.onnx
    """
    from featurekit.cache.store import Store
    from featurekit.embeddings import extractor as library
    from featurekit.evaluation.unused_options import unused_of_extract
    from featurekit.faces.find import default_settings

    workspace = _workspace(context)
    manifest = _manifest(workspace)
    settings = default_settings(detector, choose, detector_weights)
    names = [f"{name}:{layer}" if layer else name for name in backbone or BUILTIN_BACKBONES]
    if layer and any(":" in name for name in backbone or ()):
        raise WorkspaceError(
            f"--layer {layer} and a layer behind a network's name cannot both hold. Leave one of them out."
        )
    for note in unused_of_extract(
        names, detector, choose=choose, device=device, precision=precision, mirrored=mirror
    ):
        typer.echo(f"note: {note}", err=True)
    recipes = library.make_recipes(names, settings, device=device, precision=precision, mirrored=mirror)
    with _progress("extracting", unit="pictures") as progress:
        extraction = library.extract(
            manifest, recipes, settings, Store(workspace.cache), threads=threads, progress=progress
        )
    ledger_path = workspace.extracted
    asked = {"device": device, "precision": precision}
    ledger = library.enter(library.Ledger.load(ledger_path), extraction, settings, asked)
    ledger.save(ledger_path)

    from featurekit.faces.find import STATUS_MEANINGS

    _table(
        ["status", "rows", "meaning"],
        [[status, f"{n:,}", STATUS_MEANINGS[status]] for status, n in extraction.statuses.items()],
    )
    for name, got in extraction.achieved.items():
        typer.echo(f"{name}: {got['engine']} on {got['device']} in {got['precision']}")
    rate = f", {extraction.n_read / extraction.seconds:.0f}/s" if extraction.n_read else ""
    typer.echo(f"Read {extraction.n_read:,} pictures in {extraction.seconds:.1f} s{rate}.")
    if profile:
        _print_profile(extraction)
    for path, status in extraction.broken[:SHOWN]:
        typer.echo(one_line(f"warning: '{path}' is {status}: {STATUS_MEANINGS[status]}"), err=True)
    if len(extraction.broken) > SHOWN:
        typer.echo(f"warning: … and {len(extraction.broken) - SHOWN} more", err=True)
    for face_id, why in extraction.unread[:SHOWN]:
        typer.echo(one_line(f"warning: {face_id} was not read: {why}"), err=True)
    if len(extraction.unread) > SHOWN:
        typer.echo(f"warning: … and {len(extraction.unread) - SHOWN} more", err=True)
    if extraction.unread:
        raise WorkspaceError(
            f"{len(extraction.unread)} pictures were not read, for the reasons above; what was extracted is"
            " kept. After changes to the photographs run `featurekit prepare` again, then this."
        )


def _print_profile(extraction: "Extraction") -> None:
    """Print what each part of an extraction took of the threads' time, and how much of it they worked."""
    if not extraction.n_read:
        typer.echo("Nothing had to be read: everything was remembered.")
        return
    whole, busy = extraction.threads * extraction.seconds, sum(extraction.parts.values())
    rows = [
        [part, f"{seconds:.1f}", f"{1000 * seconds / extraction.n_read:.2f}", f"{seconds / whole:.0%}"]
        for part, seconds in extraction.parts.items()
    ]
    rows.append(["waiting, starting", f"{whole - busy:.1f}", "", f"{1 - busy / whole:.0%}"])
    _table(["part", "thread-seconds", "ms a picture", "of the threads' time"], rows)
    # Without waiting, starting and writing, the same threads would have read this many.
    limit = extraction.threads * extraction.n_read / (busy - extraction.parts.get("write", 0.0))
    share = extraction.n_read / extraction.seconds / limit
    typer.echo(
        f"{share:.0%} of the {limit:,.0f}/s that {extraction.threads} threads without a pause would reach."
    )


# ---------------------------------------------------------------- fit and report


@app.command()
def fit(
    context: typer.Context,
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="Classifier; several at once. Default: svm.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(help="gender, age_group, age, gender3 or a label column. Default: those with labels."),
    ] = None,
    features: Annotated[
        list[str] | None,
        typer.Option(
            help="network[:layer], joined by +; several at once. Default: each one, and all joined."
        ),
    ] = None,
    join: Annotated[bool, typer.Option("--join", help="Only the features joined, not each alone.")] = False,
    folds: Annotated[
        int | None,
        typer.Option(
            help="How many folds, where the data set has none of its own. Default: as many as the comparison"
            " has, else 5."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help="What chance comes from. Default: the comparison's seed, else 0.", min=0, max=LARGEST_SEED
        ),
    ] = None,
    name: ComparisonName = None,
    new_folds: Annotated[
        bool,
        typer.Option(
            "--new-folds",
            help="Make new folds and replace the comparison's runs, which are kept until this fit ends well.",
        ),
    ] = False,
    rare: Annotated[
        str,
        typer.Option(
            help="What is done with a class that too few subjects have for every training part: leave-out,"
            " of its target; or refuse."
        ),
    ] = "leave-out",
    save_models: Annotated[
        bool, typer.Option("--save-models/--no-models", help="Also fit on all faces, into models/.")
    ] = True,
    tune: Annotated[
        bool,
        typer.Option(
            "--tune",
            help="Search for parameters on folds inside every training part; the run is called (tuned).",
        ),
    ] = False,
    jobs: Annotated[
        int,
        typer.Option(
            help="Folds at once; 0 for as many as threads and memory allow. Results do not depend on it.",
            min=0,
        ),
    ] = 0,
    epochs: Annotated[
        str | None, typer.Option(help="For networks trained end to end: 20, or 20,40 to compare them.")
    ] = None,
    batch_size: Annotated[str | None, typer.Option(help="The same for the faces a step learns from.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="name=value[,value], another parameter of the classifiers; several."),
    ] = None,
    allow_ethnicity: Annotated[
        bool,
        typer.Option("--allow-ethnicity", help="Let a label column of ethnicities be a target; see README."),
    ] = False,
    device: Device = "auto",
    threads: Threads = 0,
) -> None:
    """Fit and score classifiers on folds that never share a person; fitted models go to models/.

    Networks that are trained end to end (multitask_cnn, levi_hassner, …) read the faces that
    `featurekit extract --backbone pixels` keeps, and go on where they were when they are killed.

    Examples:
      featurekit fit --model svm --model xgboost --target gender --target age_group
      featurekit fit --model multitask_cnn --features mobilenet_v2 --epochs 6,12
    """
    from featurekit.cache.store import Store
    from featurekit.evaluation.comparison import Comparison
    from featurekit.evaluation.planning import plan
    from featurekit.evaluation.readiness import RARE
    from featurekit.evaluation.unused_options import unused_options
    from featurekit.registry import unknown

    workspace = _workspace(context)
    if rare not in RARE:
        raise WorkspaceError(unknown("way to treat rare classes", rare, list(RARE)))
    manifest = _manifest(workspace)
    ledger = _ledger(workspace)
    comparison = Comparison.open(
        workspace.report(name or manifest.name), manifest, n_folds=folds, seed=seed, new_folds=new_folds
    )
    variations = _variations(epochs, batch_size, set_)
    plans = plan(
        manifest,
        ledger,
        models=model or ["svm"],
        targets=target,
        features=features,
        join=join,
        variations=variations,
        ethnicity=allow_ethnicity,
    )
    for note in unused_options(
        plans,
        features=features,
        join=join,
        tune=tune,
        device=device,
        variations=variations,
        ethnicity=allow_ethnicity,
    ):
        typer.echo(f"note: {note}", err=True)
    with (
        _kept_if_it_fails(comparison.folder, workspace.models),
        _progress("fitting", unit="fits") as progress,
    ):
        runs = comparison.run(
            plans,
            ledger,
            Store(workspace.cache),
            models_folder=workspace.models if save_models else None,
            threads=threads,
            tune=tune,
            jobs=jobs,
            device=None if device == "auto" else device,
            checkpoints=workspace.checkpoints,
            command=_command_line(),
            rare=rare,
            skip=target is None,
            progress=progress,
            say=lambda text: typer.echo(f"note: {text}", err=True),
            watch=progress.tell,
        )
    _print_runs(runs)
    typer.echo(f"Runs are in {ComparisonFolder(comparison.folder).runs}. Now: featurekit report")


@contextmanager
def _kept_if_it_fails(folder: Path, models: Path) -> Iterator[None]:
    """Say, where a fit fails or is stopped, where the runs are that it has replaced."""
    from featurekit.evaluation.replaced import how_to_have_back
    from featurekit.project import ComparisonFolder

    before = ComparisonFolder(folder).replaced_folders()
    try:
        yield
    except BaseException:
        for replaced in ComparisonFolder(folder).replaced_folders():
            if replaced not in before:
                typer.echo(
                    f"What this fit was to replace is in {replaced}. To have it back:"
                    f" {how_to_have_back(replaced, models)}",
                    err=True,
                )
        raise
    for replaced in ComparisonFolder(folder).replaced_folders():
        typer.echo(
            f"note: {replaced} still holds what was replaced by a fit that did not end. To have it back:"
            f" {how_to_have_back(replaced, models)}",
            err=True,
        )


def _variations(epochs: str | None, batch_size: str | None, others: list[str] | None) -> list[dict[str, Any]]:
    """Return every combination of the values that parameters were given."""
    from featurekit.estimators import candidates

    given = _pairs(others, "--set")
    given |= {
        name: text for name, text in (("epochs", epochs), ("batch_size", batch_size)) if text is not None
    }
    return candidates({name: [_value(one) for one in text.split(",")] for name, text in given.items()})


def _value(text: str) -> Any:
    """Return a number, true, false, or else the word itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


@app.command()
def ensemble(
    context: typer.Context,
    member: Annotated[
        list[str],
        typer.Argument(help="Name of a run below reports/<name>/runs, * for any letters; at least two."),
    ],
    name: ComparisonName = None,
    weighted: Annotated[
        bool,
        typer.Option(
            "--weighted", help="Better members count for more; learned on the other folds' answers."
        ),
    ] = False,
) -> None:
    """Average what runs of a comparison said of each face, and score the mean beside them.

    Each name has to mean one run of a target; the targets of which all do are combined.

    Example: featurekit ensemble "*--svm" "*--multitask_cnn"
    """
    from fnmatch import fnmatchcase

    from featurekit.evaluation.comparison import Comparison
    from featurekit.evaluation.ensemble import combine
    from featurekit.evaluation.results import load_runs

    workspace = _workspace(context)
    manifest = _manifest(workspace)
    folder = workspace.report(name or manifest.name)
    runs = load_runs(folder)
    wanted = []
    for target in dict.fromkeys(run.target for run in runs):
        meant = [
            [run for run in runs if run.target == target and fnmatchcase(run.name, one)] for one in member
        ]
        for one, found in zip(member, meant, strict=True):
            if len(found) > 1:
                names = ", ".join(run.name for run in found)
                raise WorkspaceError(f"'{one}' means several runs of {target}: {names}. Name one of them.")
        if all(meant):
            wanted.append([found[0] for found in meant])
    if not wanted:
        known = ", ".join(run.name for run in runs) or "none"
        raise WorkspaceError(f"There is no target with a run for each of {', '.join(member)}. Runs: {known}.")
    comparison = Comparison.open(folder, manifest)
    made = [combine(comparison, members, weighted=weighted, command=_command_line()) for members in wanted]
    _print_runs(made)
    typer.echo(f"Runs are in {ComparisonFolder(folder).runs}. Now: featurekit report")


@app.command()
def report(
    context: typer.Context,
    name: ComparisonName = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            help="Names of an earlier and a later comparison: what changed, and whether it matters."
        ),
    ] = None,
    faces: Annotated[
        str,
        typer.Option(
            help="none; or thumb: the HTML page also shows, by subject, the faces that the best model of each"
            " target reads worst."
        ),
    ] = "none",
    margin_points: Annotated[
        float | None,
        typer.Option(
            help="Points of accuracy that a cheaper model may lose against the best one and still be"
            " recommended. Default: 1.",
        ),
    ] = None,
    margin_years: Annotated[
        float | None,
        typer.Option(help="Years of mean absolute error that it may lose. Default: 0.1."),
    ] = None,
) -> None:
    """Write the comparison report: one HTML file that works offline, and Markdown.

    Examples:
      featurekit report
      featurekit report --faces thumb
      featurekit report --margin-points 0.5
      featurekit report --compare utkface-june utkface-july
    """
    from featurekit.cache.store import Store
    from featurekit.checks.audit import Audit
    from featurekit.evaluation.comparable import set_apart
    from featurekit.evaluation.evidence import MARGIN_POINTS, MARGIN_YEARS, gather
    from featurekit.evaluation.results import some_runs
    from featurekit.registry import unknown
    from featurekit.report import write_report
    from featurekit.report.apart import apart_from
    from featurekit.report.gallery import FACES, find_errors

    workspace = _workspace(context)
    # A comparison that came with its outcomes, but without its split, is not of this workspace's manifest.
    kept = workspace.report(name) if name else None
    files = ComparisonFolder(kept) if kept else None
    is_kept = files is not None and files.outcomes.is_dir() and not files.folds.is_file()
    manifest = None if is_kept else _manifest(workspace)
    if faces not in FACES:
        raise WorkspaceError(unknown("way to show faces", faces, list(FACES)))
    if compare:
        if name is not None:
            raise WorkspaceError(
                "--compare names both comparisons: --name would have no effect. Leave it out."
            )
        if faces != "none":
            raise WorkspaceError("A report on what changed shows no faces. Leave out --faces.")
        for option, margin in (("--margin-points", margin_points), ("--margin-years", margin_years)):
            if margin is not None:
                raise WorkspaceError(f"A report on what changed recommends no model. Leave out {option}.")
        if compare[0] == compare[1]:
            raise WorkspaceError(
                f"--compare names {compare[0]} twice, and nothing has changed since itself."
                " Name an earlier and a later one: --compare EARLIER LATER."
            )
        _report_changes(workspace, _manifest(workspace), compare)
        return
    name = name or _manifest(workspace).name
    folder = workspace.report(name)
    runs = some_runs(folder)
    apart = set_apart(runs, manifest)
    compared = [run for run in runs if run.name not in apart]
    with _progress("comparing", "pieces") as progress:
        evidence = gather(
            folder,
            compared,
            manifest,
            margin_points=MARGIN_POINTS if margin_points is None else margin_points,
            margin_years=MARGIN_YEARS if margin_years is None else margin_years,
            progress=progress,
        )
    apart = apart_from(runs, evidence, apart)
    for run, why in apart.items():
        typer.echo(f"warning: {run} is set apart: {why}. {_again(run, runs)}", err=True)
    if len(apart) == len(runs):
        typer.echo(
            "warning: the report ranks nothing: every run is set apart. All runs are kept.",
            err=True,
        )
    errors = None
    if faces == "thumb":
        if manifest is None:
            raise WorkspaceError("The photographs are not here: --faces thumb needs the manifest.")
        errors = find_errors(folder, compared, evidence, manifest, Store(workspace.cache))
    page = write_report(folder, runs, name, evidence, Audit.load(folder), errors=errors, apart=apart)
    _print_runs([run for run in runs if run.name not in apart])
    typer.echo(f"Wrote {page} and {page.with_suffix('.md')}")
    if errors and any(one.subjects for one in errors.values()):
        typer.echo("The page shows photographs of people: pass it on only as their owner allows.")


@app.command("audit")
def audit_data(
    context: typer.Context,
    name: ComparisonName = None,
    features: Annotated[
        str | None,
        typer.Option(
            help="network[:layer], joined by +, to find close faces in. Default: a face-recognition network"
            " that has been extracted, else the first network."
        ),
    ] = None,
    pictures: Annotated[
        bool, typer.Option("--pictures/--no-pictures", help="Read the pictures, to find near duplicates.")
    ] = True,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 if a finding is an error.")] = False,
    seed: Annotated[
        int | None, typer.Option(help="What chance comes from. Default: 0.", min=0, max=LARGEST_SEED)
    ] = None,
    threads: Threads = 0,
) -> None:
    """Look for what makes scores better or worse than they are: leaks between folds, and wrong labels.

    Persons, photographs and (nearly) identical pictures on both sides of a fold, faces too close to a
    training face, contradicting and suspect labels, classes dealt unevenly, and what a random split would
    have scored. Can be run at any time; a check that lacks something says what to run first.

    Examples:
      featurekit audit
      featurekit audit --features dlib_age+mobilenet_v2 --no-pictures --strict
    """
    from featurekit.cache.store import Store
    from featurekit.checks import audit as library
    from featurekit.data.splits import make_fold_set
    from featurekit.embeddings.extractor import Ledger
    from featurekit.errors import FoldError
    from featurekit.evaluation.comparable import set_apart
    from featurekit.evaluation.comparison import Comparison
    from featurekit.evaluation.outcomes import read_predictions
    from featurekit.evaluation.results import load_runs

    workspace = _workspace(context)
    manifest = _manifest(workspace)
    name = name or manifest.name
    folder = workspace.report(name)
    kept = ComparisonFolder(folder)
    try:
        if kept.folds.is_file():
            folds = Comparison.open(folder, manifest).folds
        else:
            folds = make_fold_set(name, manifest)
            typer.echo("No folds are saved yet: looking at those that featurekit fit would deal.", err=True)
    except FoldError as error:
        typer.echo(f"warning: no folds to look at: {error}", err=True)
        folds = None
    if threads and not pictures:
        raise WorkspaceError(
            "--threads has no effect with --no-pictures: only pictures are read by several threads. Leave it"
            " out."
        )
    embeddings = library.vectors_for(
        manifest, Ledger.load(workspace.extracted), Store(workspace.cache), features
    )
    if seed is not None and embeddings is None:
        raise WorkspaceError(
            "--seed has no effect: chance has a part only in checks that need vectors, and there are none."
            " Next: featurekit extract; or leave it out."
        )
    runs = load_runs(folder)
    apart = set_apart(runs, manifest)
    for run, why in apart.items():
        typer.echo(f"warning: {run} is left out: {why}. {_again(run, runs)}", err=True)
    paths = {run.name: kept.prediction(run.name) for run in runs if run.name not in apart}
    predictions = {run: read_predictions(path) for run, path in paths.items() if path.is_file()}
    with _progress("auditing", unit="pieces") as progress:
        audit = library.audit(
            manifest,
            folds,
            embeddings,
            predictions,
            pictures=pictures,
            seed=seed or 0,
            threads=threads,
            progress=progress,
        )
    audit.save(folder)
    signs = {"ok": "ok", "note": "note", "warning": "warning", "error": "ERROR"}
    _table(
        ["", "finding", "count", "what", "what to do"],
        [
            [signs[one.severity], one.name.replace("_", " "), f"{one.count:,}", one.what, one.advice]
            for one in audit.findings
        ],
    )
    typer.echo(f"Wrote {kept.audit} and, with the faces concerned, {kept.audit_rows}")
    if strict and any(one.severity == "error" for one in audit.findings):
        raise typer.Exit(1)


@app.command("verify-run")
def verify_run(
    context: typer.Context,
    name: ComparisonName = None,
    n: Annotated[int, typer.Option("--n", help="How many faces are looked at.")] = 16,
    seed: Annotated[
        int | None, typer.Option(help="Which faces they are. Default: 0.", min=0, max=LARGEST_SEED)
    ] = None,
) -> None:
    """Compute some vectors of an old comparison again: are they the same to the last bit?

    Reads the photographs of a few faces with the recipes that the runs keep, with the weights, precision and
    engine of today, and says which vectors, photographs, parts of a recipe, versions or hardware differ.
    Writes nothing into the cache. Exit code 1 if anything differs.

    Examples:
      featurekit verify-run
      featurekit verify-run --name utkface-june --n 64 --seed 1
    """
    from featurekit.ops import verify as library

    workspace = _workspace(context)
    manifest = _manifest(workspace)
    folder = workspace.report(name or manifest.name)
    with _progress("verifying", unit="pictures") as progress:
        found = library.verify_run(folder, manifest, workspace.cache, n=n, seed=seed, progress=progress)
    for face_id, why in found.photographs:
        typer.echo(f"photograph of {face_id}: {why}")
    for one in found.checked:
        _print_checked(one)
    for line in found.surroundings:
        typer.echo(f"since the run: {line}")
    if not found.is_equal:
        raise typer.Exit(1)
    typer.echo("Photographs, recipes, weights, versions and hardware are those of the runs.")


def _again(name: str, runs: "Sequence[Run]") -> str:
    """Return what to type to have a run again that is set apart."""
    run = next(run for run in runs if run.name == name)
    members = run.parameters.get("members")
    return f"{'Average its members' if members else 'Fit it'} again: {run.command or 'featurekit fit'}"


def _print_checked(one: "Checked") -> None:
    if one.why:
        typer.echo(f"{one.feature} could not be computed again: {one.why}")
    elif one.n_faces:
        n_same = one.n_faces - len(one.differing)
        typer.echo(f"{n_same} of {one.n_faces} faces of {one.feature} give the same bits.")
    for differing in one.differing:
        if not differing.why:
            apart = f"{differing.largest:.3g}, {100 * differing.share:.2g} % of the vector's length"
            typer.echo(f"{one.feature} of {differing.face_id}: differs by up to {apart}")
    for why in dict.fromkeys(differing.why for differing in one.differing if differing.why):
        theirs = [differing.face_id for differing in one.differing if differing.why == why]
        typer.echo(f"{one.feature} of {first_few(theirs)}: {why}")
    for line in one.changes:
        typer.echo(f"{one.feature}, recipe: {line}")
    for line in one.damaged:
        typer.echo(f"{one.feature}, cache: {line}")


def _report_changes(workspace: Project, manifest: "Manifest", names: tuple[str, str]) -> None:
    """Write what changed between two comparisons of a workspace."""
    from featurekit.evaluation.changes import compare_runs, relabelled
    from featurekit.evaluation.results import some_runs
    from featurekit.report import write_changes

    before, after = (workspace.report(name) for name in names)
    earlier, later = some_runs(before), some_runs(after)
    both = {run.name for run in earlier} & {run.name for run in later}
    shared = {run.name: run.seen(manifest).target(run.target) for run in later if run.name in both}
    differences = compare_runs(before, after, shared)
    folder = workspace.report(f"{names[1]}-against-{names[0]}")
    apart = relabelled(before, after, list(shared))
    for name, why in apart.items():
        typer.echo(f"warning: {name} is set apart: {why}. Fit it again: featurekit fit", err=True)
    page = write_changes(folder, earlier, later, names, differences, apart)
    for name, found in differences.items():
        what = "differs beyond chance" if found.is_shown else "no evidence of a difference"
        typer.echo(f"{name}: {what}")
    typer.echo(f"Wrote {page} and {page.with_suffix('.md')}")


@app.command("log-mlflow")
def log_mlflow(
    context: typer.Context,
    name: ComparisonName = None,
    to: Annotated[
        str | None,
        typer.Option(
            envvar="MLFLOW_TRACKING_URI",
            help="sqlite:///FILE, or the address of a server. Default: mlflow.db in the workspace.",
        ),
    ] = None,
    experiment: Annotated[
        str | None,
        typer.Option(
            envvar="MLFLOW_EXPERIMENT_NAME", help="Name of the experiment. Default: the data set's."
        ),
    ] = None,
) -> None:
    """Write a comparison to an MLflow store: parameters, scores, learning curves and the report.

    Each run is an MLflow run of its own, nested in one for the comparison, which has the report. What is in
    the store already is left as it is, so that this can be repeated after every fit or report. A report that
    shows faces is not written. Needs `pip install 'featurekit[mlflow]'`; to look at the store, `mlflow ui` is
    part of the whole mlflow package.

    A server that --to or MLFLOW_TRACKING_URI names is reached over the network, else nothing is. MLflow's
    own reports to its makers are switched off.

    Examples:
      featurekit log-mlflow
      featurekit log-mlflow --name utkface --to sqlite:///mlflow.db --experiment faces
    """
    from featurekit.ops.mlflow import log_comparison

    workspace = _workspace(context)
    folder = workspace.report(name or _manifest(workspace).name)
    store = to or f"sqlite:///{workspace.mlflow}"
    with _progress("logging", unit="runs") as progress:
        logged = log_comparison(folder, store, experiment, progress=progress)
    typer.echo(
        f"{len(logged.new)} runs of {folder.name} are new in {logged.store}, experiment"
        f" {logged.experiment}; {len(logged.known)} were there already."
    )
    if logged.files:
        typer.echo(f"Also wrote {', '.join(logged.files)}.")
    if logged.withheld:
        typer.echo(
            f"{', '.join(logged.withheld)} shows photographs of people and was not written. One that shows"
            " nobody: featurekit report, then this again.",
            err=True,
        )
    if logged.missing:
        typer.echo(
            f"Not here yet: {', '.join(logged.missing)}. Next: featurekit report, then this again.", err=True
        )


def _print_runs(runs: Sequence[Any]) -> None:
    """Print one line a run, best first within a target."""
    from featurekit.report.tables import best_first, score_kind

    for target in dict.fromkeys(run.target for run in runs):
        ranked = best_first([run for run in runs if run.target == target])
        kinds = [score_kind(name) for name in dict.fromkeys(name for run in ranked for name in run.scores)]
        rows = [
            [run.features, run.classifier_name, *(_score(kind, run.scores.get(kind.name)) for kind in kinds)]
            for run in ranked
        ]
        made_up = " (SYNTHETIC: made-up portraits)" if ranked[0].dataset.get("synthetic") else ""
        _table(
            ["features", "classifier", *(", ".join(filter(None, (kind.title, kind.unit))) for kind in kinds)],
            rows,
            title=target + made_up,
        )


def _score(kind: Any, score: Any) -> str:
    if not score or score["mean"] is None:
        return "-"
    return f"{kind.format(score['mean'])} ± {kind.format(score['spread'])}"


# ---------------------------------------------------------------- predict


@app.command()
def predict(
    context: typer.Context,
    inputs: Annotated[
        list[Path] | None, typer.Argument(help="Photographs, and folders of photographs.")
    ] = None,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            "--model",
            "-m",
            help="Folder below models/; several at once, as --model A --model B or as A B among the"
            " photographs. Default: off the shelf.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Also write a .csv, .tsv, .json, .jsonl or .parquet file."),
    ] = None,
    draw: Annotated[Path | None, typer.Option(help="Folder for copies with boxes and answers drawn.")] = None,
    sample_portrait: Annotated[
        bool, typer.Option("--sample-portrait", help="Read the public-domain portrait of scikit-image.")
    ] = False,
    faces: Annotated[str, typer.Option(help="Which faces of a photograph: all, center, largest.")] = "all",
    abstain_above: Annotated[
        float | None,
        typer.Option(
            help="Share of wrong answers, e.g. 0.05: faces that a model is not sure enough of get 'unsure'.",
            min=0.0,
            max=1.0,
        ),
    ] = None,
    sets: Annotated[
        bool,
        typer.Option(
            "--sets",
            help="Also the classes, or years, that hold the truth for nine in ten faces like its own.",
        ),
    ] = False,
    probabilities: Annotated[
        bool,
        typer.Option("--probabilities", help="Also the probability of every class, in a column each."),
    ] = False,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = 0,
) -> None:
    r"""Read new photographs with fitted models; every face on a photograph gets a line.

    Where one model reads a target its columns are called after the target: gender, gender_probability. Where
    several do, each has columns of its own, called after its folder, and a line says which are whose.

    A file name that is not UTF-8 is written with its bytes as \xff, and a backslash before such digits
    doubled; featurekit.text.name_as_it_was gives the name back. A photograph that is named twice is read
    once. Where reading ends early, what was read until then is in OUTPUT.partial.

    Examples:
      featurekit predict photo.jpg holiday/ --model models/gender--dlib_age--svm --output out.csv
      featurekit predict photo.jpg --model models/age_group--dlib_age--svm --sets --abstain-above 0.1
      featurekit predict photos/ models/gender--* --probabilities --output out.parquet
    """
    from featurekit.evaluation.unused_options import unused_of_predict
    from featurekit.inference import model as trained_model
    from featurekit.inference import predict as library

    _workspace(context)
    if output:
        library.check_output(output)
    asked = _asked(inputs or [])
    paths = [*asked.photographs, *([_sample_portrait()] if sample_portrait else [])]
    if not paths:
        raise WorkspaceError("No photographs given. Example: featurekit predict photo.jpg FOLDER/")
    if draw:
        library.check_drawings(draw, paths, "--draw")
    models = _models([*(model or []), *asked.models]) or trained_model.off_the_shelf_models()
    for note in unused_of_predict(
        models, sets=sets, abstain_above=abstain_above, probabilities=probabilities
    ):
        typer.echo(f"note: {note}", err=True)
    collected = library.Collected(models, len(paths), output, room=sets, probabilities=probabilities)
    with _kept_in_part(collected):
        with _progress("reading", unit="photographs") as progress:
            for readings in trained_model.read_each(
                paths,
                models,
                choose=faces,
                device=device,
                precision=precision,
                threads=threads,
                risk=abstain_above,
                progress=progress,
            ):
                collected.add(readings)
        table = collected.table()
        if output:
            collected.write(table)
    _print_readings(table)
    for column, meaning in library.legend(models, probabilities=probabilities):
        typer.echo(one_line(f"column {column}: {meaning}"))
    if output:
        typer.echo(one_line(f"Wrote {output}"))
    if draw:
        for picture in library.draw_readings(collected.readings, models, draw):
            typer.echo(one_line(f"Drew {picture}"))
    _end_with([(one.path, one.message) for one in collected.readings if one.face.status != "ok"])


def _asked(inputs: Sequence[Path], *, asks_one: bool = False) -> "Asked":
    """Return what was named as photographs, and say what became of a name that is none or stands twice.

    Args:
        inputs: what was named.
        asks_one: whether there is a model already, and no other can be asked.
    """
    from featurekit.inference.predict import look_up

    asked = look_up(inputs)
    for note in asked.left_out:
        typer.echo(one_line(f"warning: {note}"), err=True)
    for folder in asked.models:
        if asks_one:
            raise WorkspaceError(
                f"{folder} is a second model, and one is explained at a time. Name it by itself:"
                f" featurekit explain {folder} PHOTOGRAPH"
            )
        typer.echo(one_line(f"{folder} is a model: it is asked too, as with --model {folder}"), err=True)
    if asked.repeated:
        n, first = len(asked.repeated), asked.repeated[0]
        what = f"'{first}' is named twice" if n == 1 else f"{n:,} photographs are named twice ('{first}', …)"
        typer.echo(one_line(f"warning: {what}; each photograph is read once"), err=True)
    return asked


def _models(folders: Sequence[Path]) -> "list[TrainedModel]":
    """Load models, or say what to type for a folder that holds several."""
    from featurekit.inference.model import TrainedModel
    from featurekit.inference.predict import as_options, models_in

    for folder in folders:
        if inside := models_in(folder):
            raise WorkspaceError(
                f"{folder} is not a model but a folder of {len(inside)}. Name those that are meant:"
                f" {as_options(inside)}"
            )
    return [TrainedModel.load(folder) for folder in folders]


def _one_model(folder: Path, command: str) -> "TrainedModel":
    """Load a model, or say what to type for a folder that holds several; command: with {} for the model."""
    from featurekit.inference.model import TrainedModel
    from featurekit.inference.predict import models_in

    if inside := models_in(folder):
        names = ", ".join(one.name for one in inside)
        raise WorkspaceError(
            f"{folder} is not a model but a folder of {len(inside)} ({names}). Name one of them:"
            f" {command.format(inside[0])}"
        )
    return TrainedModel.load(folder)


@contextmanager
def _kept_in_part(collected: "Collected") -> Iterator[None]:
    """Where reading ends early, write what was read, or print it, and say how much of all it is."""
    try:
        yield
    except BaseException as end:
        said = f"{collected.how_many} were read"
        try:
            kept = collected.keep()
        except FeaturekitError as error:
            said, kept = f"{said}. {error} They are printed here instead", None
        if kept:
            said += f", and are in {kept}"
        elif collected.n_read:
            _print_readings(collected.table())
        if isinstance(end, _Stopped):
            end.remark = f"{said}; the same command reads all photographs again"
        elif collected.n_read or not isinstance(end, FeaturekitError):
            typer.echo(one_line(said), err=True)
        raise


def _print_readings(table: "DataFrame") -> None:
    _table(list(table.columns), [[_cell(value) for value in row] for row in table.to_numpy().tolist()])


def _end_with(bad: Sequence[tuple[Path, str]]) -> None:
    """Say which photographs were not read and why; exit code 1 if there are any."""
    for path, message in bad[:SHOWN]:
        name = readable_name(str(path))
        named = message if str(path) in message else f"{name}: {message}"
        typer.echo(one_line(f"error: {named}"), err=True)
    if len(bad) > SHOWN:
        typer.echo(f"error: … and {len(bad) - SHOWN} more", err=True)
    if bad:
        raise typer.Exit(1)


@app.command()
def explain(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(help="Folder below models/.")],
    inputs: Annotated[
        list[Path] | None, typer.Argument(help="Photographs, and folders of photographs.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the maps.")] = Path("explained"),
    how: Annotated[
        str,
        typer.Option(help="gradcam, attention, occlusion (any model); auto: the first of these it can."),
    ] = "auto",
    average: Annotated[
        bool,
        typer.Option(
            "--average", help="Only the mean map of each answer over its mean face, which may be shown."
        ),
    ] = False,
    faces: Annotated[str, typer.Option(help="Which faces of a photograph: all, center, largest.")] = "all",
    seed: Annotated[
        int,
        typer.Option(help="What the random tenths of the check come from.", min=0, max=LARGEST_SEED),
    ] = 0,
    device: Device = "auto",
    threads: Threads = 0,
) -> None:
    """Draw where a model looked: a map over each face of what its answer depends on.

    A map over a single face shows a person: it is for your own eyes. For a report there is --average,
    which refuses answers that fewer than ten faces have.

    Examples:
      featurekit explain models/gender--finetuned_cnn photo.jpg --output maps
      featurekit explain models/gender--dlib_age--svm photos/ --average --output maps
    """
    from featurekit.inference import explain as library
    from featurekit.inference.predict import check_drawings

    _workspace(context)
    fitted = _one_model(model, "featurekit explain {} PHOTOGRAPH")
    asked = _asked(inputs or [], asks_one=True)
    paths = asked.photographs
    if not paths:
        raise WorkspaceError("No photographs given. Example: featurekit explain MODEL photo.jpg FOLDER/")
    check_drawings(output, paths, "--output")
    rows, losses, bad = [], [], []
    means = library.MeanMaps()
    done = 0

    def explained(n: float, total: int) -> None:
        nonlocal done
        done = round(n)
        progress(n, total)

    try:
        with _progress("explaining", unit="photographs") as progress:
            for one in library.explain_photographs(
                paths,
                fitted,
                how=how,
                choose=faces,
                device=device,
                threads=threads,
                seed=seed,
                progress=explained,
            ):
                if isinstance(one, library.Unexplained):
                    bad.append((one.path, one.message))
                    continue
                losses.append(one.loss)
                if average:
                    means.add(one)
                else:
                    drawn = library.draw_explanation(one, output)
                    name = readable_name(str(one.path))
                    rows.append(
                        [name, str(one.number), one.said, library.WAYS[one.how], readable_name(str(drawn))]
                    )
    except _Stopped as stopped:
        stopped.remark = f"{done:,} of {len(paths):,} photographs were explained"
        raise
    finally:
        # Also where an error or somebody ended it: the maps until then are drawn.
        if rows:
            _table(["photograph", "face", "answer", "how", "file"], rows)
    if losses and average:
        maps = means.maps()
        *files, sheet = library.draw_mean_maps(maps, output)
        rows = [
            [each.group, f"{each.n_faces:,}", library.WAYS[each.how], str(file)]
            for each, file in zip(maps, files, strict=True)
        ]
        _table(["answer", "faces", "how", "file"], rows)
        typer.echo(f"All side by side: {sheet}")
        if means.refusal():
            typer.echo(f"warning: {means.refusal()}", err=True)
    if losses:
        unit = "years" if fitted.target.is_regression else "of its probability"
        loss = library.median_loss(losses)
        typer.echo(
            "Blurring the tenth of a face that its map calls most important costs an answer"
            f" {loss.important:.2f} {unit}, a random tenth {loss.random:.2f} (medians of {len(losses):,})."
        )
    _end_with(bad)


@app.command()
def export(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(help="Folder below models/, of a network trained end to end.")],
    file: Annotated[Path, typer.Argument(help="The .onnx file to write.")],
) -> None:
    """Write a network trained end to end as an ONNX file, and check it with ONNX Runtime.

    Example: featurekit export models/gender--finetuned_cnn gender.onnx
    """
    from featurekit.inference.export import N_PICTURES, export_onnx

    _workspace(context)
    if file.suffix.lower() != ".onnx":
        raise WorkspaceError(f"FILE must end in .onnx. Got '{file.name}' instead.")
    done = export_onnx(_one_model(model, f"featurekit export {{}} {file}"), file)
    typer.echo(f"Wrote {done.path}, {done.n_bytes / 1e6:,.1f} MB.")
    typer.echo(f"It takes pixels, uint8 (n, {done.side}, {done.side}, 3), RGB, and gives {done.gives}.")
    typer.echo("Where the face must lie in the pixels is said in the file's metadata: landmarks.")
    typer.echo(
        f"ONNX Runtime answers as the network does, to within {done.difference:.1g}, and as"
        f" featurekit predict does, to within {done.from_predict:.1g} ({N_PICTURES} made-up pictures)."
    )


def _sample_portrait() -> Path:
    import skimage.data

    return Path(skimage.data.__file__).parent / "astronaut.png"


# ---------------------------------------------------------------- list, doctor, cache


@app.command("list")
def list_members(
    what: Annotated[
        str | None, typer.Argument(help="backbones, models, detectors, datasets; all without.")
    ] = None,
) -> None:
    """List what can be chosen.

    Example: featurekit list backbones
    """
    from featurekit.data.datasets import DATASETS
    from featurekit.estimators import CLASSIFIERS
    from featurekit.faces.detectors import DETECTORS
    from featurekit.networks.backbones import BACKBONES
    from featurekit.registry import unknown

    kinds: dict[str, Any] = {
        "backbones": BACKBONES,
        "models": CLASSIFIERS,
        "detectors": DETECTORS,
        "datasets": DATASETS,
    }
    if what and what not in kinds:
        raise WorkspaceError(unknown("list", what, list(kinds)))
    for kind in [what] if what else kinds:
        head, rows = ["name", "what it is"], [[member.name, member.about] for member in kinds[kind]]
        title, say = _MORE.get(kind, ("weights", _here))
        head.append(title)
        rows = [[*row, say(member)] for row, member in zip(rows, kinds[kind], strict=True)]
        _table(head, rows, title=kind)


def _here(member: Any) -> str:
    from featurekit.networks import weights

    name = getattr(member, "weights", None)
    if not name:
        return "none needed"
    return "here" if weights.present(name) else f"missing: featurekit weights fetch {name}"


def _terms(dataset: "Dataset") -> str:
    return dataset.licence


def _needs(kind: "ClassifierKind") -> str:
    from importlib.util import find_spec

    if kind.needs is None:
        return "nothing more"
    is_here = find_spec(kind.needs) is not None
    return kind.needs if is_here else f"{kind.needs}, missing: pip install 'featurekit[{kind.needs}]'"


# What else is said of a member of each kind; of the others, where its weights are.
_MORE: "dict[str, tuple[str, Callable[[Any], str]]]" = {
    "models": ("needs", _needs),
    "datasets": ("terms", _terms),
}


@app.command()
def doctor() -> None:
    """Look at this machine: versions, GPU, onnxruntime, weights, disk; each problem with its repair.

    Example: featurekit doctor
    """
    from featurekit.ops.doctor import diagnose

    findings = diagnose()
    signs = {"ok": "ok", "warning": "warning", "problem": "PROBLEM"}
    _table(["topic", "", "finding"], [[f.topic, signs[f.status], f.message] for f in findings])
    for finding in findings:
        if finding.repair and finding.status != "ok":
            typer.echo(f"{finding.topic}: {finding.repair}")
    if any(finding.status == "problem" for finding in findings):
        raise typer.Exit(1)


@cache_app.command("ls")
def cache_ls(context: typer.Context) -> None:
    """List what is remembered, recipe by recipe.

    Example: featurekit cache ls
    """
    from featurekit.cache.store import Store

    shelves = Store(_workspace(context).cache).shelves()
    rows = []
    for shelf in shelves:
        recipe = shelf.recipe
        what = recipe.get("detector") or f"{recipe.get('backbone')}:{recipe.get('layer')}"
        size = f"{shelf.bytes / 1e6:,.1f} MB"
        rows.append([shelf.kind, str(what), shelf.key, f"{shelf.rows:,}", size, str(shelf.damaged or "")])
    _table(["kind", "what", "key", "rows", "size", "damaged"], rows)


@cache_app.command("verify")
def cache_verify(context: typer.Context) -> None:
    """Hash every shard again; damaged ones are put aside and computed again by the next extract.

    Example: featurekit cache verify
    """
    from featurekit.cache.store import Store

    verified = Store(_workspace(context).cache).verify()
    typer.echo(f"{verified.shards} shards, {verified.bytes / 1e6:,.1f} MB, are what they say.")
    for damage in verified.damaged:
        typer.echo(f"error: {damage.path.name}: {damage.why}; put aside. Next: featurekit extract", err=True)
    if verified.damaged:
        raise typer.Exit(1)


@cache_app.command("gc")
def cache_gc(
    context: typer.Context,
    drop: Annotated[list[str] | None, typer.Option(help="Also remove this key of `cache ls`.")] = None,
) -> None:
    """Remove leftovers of killed runs, damaged shards and rows that stand twice.

    Example: featurekit cache gc --drop 0123456789abcdef
    """
    from featurekit.cache.store import Store

    freed = Store(_workspace(context).cache).gc(drop=drop or [])
    typer.echo(f"Removed {len(freed.files)} files, {freed.bytes / 1e6:,.1f} MB.")


@cache_app.command("purge")
def cache_purge(
    context: typer.Context,
    subject: Annotated[
        list[str] | None, typer.Option(help="A person, as the manifest calls them; several at once.")
    ] = None,
    image: Annotated[
        list[str] | None, typer.Option(help="A photograph, by its path; several at once.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would go.")] = False,
) -> None:
    """Remove a person from the whole workspace, and check that nothing is left.

    Takes their rows from the manifest, the cache (faces, vectors, crops, hashes), the folds, the predictions
    and the audit, and deletes report pages that show faces and outcomes, which featurekit report makes again
    from the predictions that are left. The photographs are not touched. What has
    learned from the faces cannot forget them, and is named. Nothing else may run in the workspace meanwhile;
    a purge that was killed is run again.

    Examples:
      featurekit cache purge --subject s0 --dry-run
      featurekit cache purge --subject s0 --subject s1
      featurekit cache purge --image photos/s0_1.png
    """
    from featurekit.ops import purge as library

    workspace = _workspace(context)
    _manifest(workspace)
    if not subject and not image:
        raise WorkspaceError("Nobody was named. Name a person with --subject, or a photograph with --image.")
    traces = library.find_traces(workspace, subject or [], image or [])
    purged = (library.look if dry_run else library.purge)(workspace, traces)
    what = "would be removed" if dry_run else "removed"
    _table(["where", what, "of"], [[place, f"{n:,}", unit] for place, n, unit in purged.places])
    _print_what_stays(purged, dry_run=dry_run)
    if not dry_run:
        typer.echo(
            f"Nothing of {purged.who} is left in the cache, the manifest, the folds, the predictions and the"
            " audit's rows."
        )


def _print_what_stays(purged: "Purged", *, dry_run: bool) -> None:
    if dry_run:
        for file in purged.files:
            typer.echo(f"photograph: {file}")
    if purged.joined:
        typer.echo(
            "featurekit prepare took subjects who share an identical file for one person: look which"
            " photographs these are (--dry-run), and name others' apart with --image."
        )
    if purged.shared:
        typer.echo(
            f"What is remembered of {first_few(purged.shared)} stays: another row of the manifest has the"
            " same file and needs it."
        )
    if purged.learned:
        there = ", ".join(f"{name} ({n:,})" for name, n in purged.learned.items())
        typer.echo(
            f"What may have learned from these faces cannot forget them: {there}; an SVM even keeps vectors."
            " Delete of models/, cache/training/ and reports/ what they took part in, and fit again."
        )
    if purged.strangers:
        typer.echo(
            f"The cache holds {purged.strangers:,} faces that no row of the manifest explains, so that nobody"
            " can tell whose they are: featurekit cache gc --drop KEY removes a shelf, featurekit extract"
            " makes it again."
        )
    typer.echo(
        "The photographs themselves are not touched; while they lie there, featurekit prepare finds them"
        " again. Nor is anything outside the workspace: exported vectors, predictions, maps, MLflow."
    )


@cache_app.command("export")
def cache_export(
    context: typer.Context,
    features: Annotated[str, typer.Argument(help="network[:layer] that has been extracted.")],
    path: Annotated[Path, typer.Argument(help="A .parquet or .npy file.")],
) -> None:
    """Write the vectors of a manifest for other programs: one row a face found, in the manifest's order.

    Example: featurekit cache export dlib_age vectors.parquet
    """
    from featurekit.cache.store import Store
    from featurekit.embeddings.extractor import check_export, export_embeddings, load_embeddings
    from featurekit.networks.backbones import split_feature

    check_export(path)
    workspace = _workspace(context)
    manifest, ledger = _manifest(workspace), _ledger(workspace)
    backbone, layer = split_feature(features)
    recipe = ledger.recipes.get(f"{backbone.name}:{layer}")
    if recipe is None:
        raise WorkspaceError(
            f"{features} has not been extracted. Next: featurekit extract --backbone {features}"
        )
    embeddings = load_embeddings(manifest, [recipe], ledger.settings, Store(workspace.cache))
    for written in export_embeddings(embeddings, path):
        size = f"{len(embeddings.rows):,} faces × {embeddings.vectors.shape[1]} numbers"
        typer.echo(one_line(f"Wrote {written}: {size}"))


# ---------------------------------------------------------------- what the commands share


def _workspace(context: typer.Context) -> Project:
    state: _State = context.obj
    return state.workspace


def _manifest(workspace: Project) -> "Manifest":
    from featurekit.data.manifest import Manifest

    if not workspace.manifest.is_file():
        raise ManifestError(
            f"There is no {workspace.manifest} yet. First: featurekit prepare DATASET PATH"
            " (see featurekit list datasets)."
        )
    return Manifest.load(workspace.manifest)


def _ledger(workspace: Project) -> "Ledger":
    from featurekit.embeddings.extractor import Ledger

    ledger = Ledger.load(workspace.extracted)
    if ledger is None:
        raise WorkspaceError(f"Nothing has been extracted in {workspace.root} yet. Next: featurekit extract")
    return ledger


def _pairs(texts: Sequence[str] | None, option: str) -> dict[str, Any]:
    """Turn name=value texts into a dictionary."""
    pairs: dict[str, Any] = {}
    for text in texts or []:
        name, sign, value = text.partition("=")
        if not sign:
            raise ManifestError(f"{option} wants name=value. Got '{text}' instead.")
        if name in pairs:
            raise ManifestError(
                f"{option} {name}= is given twice: '{pairs[name]}' and '{value}'. Give it once."
            )
        pairs[name] = value
    return pairs


def _command_line() -> str:
    """Return the command as typed, but for the workspace: a record names no folder of this machine."""
    import shlex

    words = iter(sys.argv[1:])
    kept = []
    for word in words:
        if word in ("-w", "--workspace"):
            next(words, None)
        elif not word.startswith("--workspace="):
            kept.append(word)
    return shlex.join(["featurekit", *kept])


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.2f}"
    return one_line(str(value))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None) -> None:
    """Print a table: drawn on a screen, plain tab-separated lines in a pipe."""
    if not sys.stdout.isatty():
        if title:
            typer.echo(title)
        for row in [head, *rows]:
            typer.echo("\t".join(" / ".join(str(cell).splitlines()) for cell in row).rstrip())
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for name in head:
        table.add_column(name, overflow="fold")  # an address that is cut short is of no use
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    Console().print(table)


class _Progress:
    """How far something is: told by whoever does it, shown by whoever opened it.

    Args:
        show: (done, total, rate in words, seconds left, what is being done).
        unit: what is counted.
    """

    def __init__(self, show: "Callable[[float, int, str, float, str], None]", unit: str) -> None:
        import time

        self._show, self._unit, self._now = show, unit, time.monotonic
        self._started, self._last = 0.0, 0.0
        # Time and count of what was told lately, about a second apart.
        self._told: deque[tuple[float, float]] = deque()
        self._doing = ""

    def __call__(self, done: float, total: int) -> None:
        """Say that so many of so many are done."""
        now = self._now()
        # Counted from the first piece: loading networks is no rate. Fewer done than before: a new stage.
        if not self._told or done < self._last:
            self._started, self._told = now, deque([(now, done if done < 1 else 0.0)])
        elif now - self._told[-1][0] >= 1:
            self._told.append((now, done))
        self._last = done
        # The later half tells what is to come: fifteen floors are fitted in a second, a network in an hour.
        while len(self._told) > 1 and now - self._told[1][0] >= (now - self._started) / 2:
            self._told.popleft()
        since, before = self._told[0]
        speed = (done - before) / max(now - since, 0.1)
        left = (total - done) / max(speed, 1e-9) if speed else float("nan")
        slow = speed < 0.1
        rate = f"{1 / speed:,.0f} s each" if slow and speed else f"{speed:,.1f} {self._unit}/s"
        self._show(done, total, rate if speed else "", left, self._doing)

    def tell(self, text: str) -> None:
        """Say what is being done just now; shown with the next count."""
        self._doing = text


@contextmanager
def _progress(what: str, unit: str = "files") -> Iterator[_Progress]:
    """Show a bar with rate and time left on a screen, a plain line now and then in a pipe."""
    import time

    if not sys.stderr.isatty():
        opened = shown = time.monotonic()

        def line(done: float, total: int, rate: str, left: float, doing: str) -> None:
            nonlocal shown
            now = time.monotonic()
            if now - shown < 10 and not (done == total and now - opened > 10):
                return
            shown = now
            facts = [f"{done:,.2f}" if done % 1 else f"{done:,.0f}", f"of {total:,} {unit}"]
            more = [doing, rate, "" if math.isnan(left) else f"{left:,.0f} s left"]
            typer.echo(", ".join([f"{what}: {' '.join(facts)}", *filter(None, more)]), err=True)

        yield _Progress(line, unit)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[doing]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, rate="", count="", doing="")

        def update(done: float, total: int, rate: str, left: float, doing: str) -> None:
            count = f"{done:,.1f}/{total:,}" if done % 1 else f"{done:,.0f}/{total:,}"
            bar.update(task, completed=done, total=total, rate=rate, count=count, doing=doing)

        yield _Progress(update, unit)


def _keep_lines_of_examples(of: typer.Typer) -> None:
    """Tell click, which fills paragraphs, that examples are lines to be copied."""
    for command in of.registered_commands:
        text = inspect.getdoc(command.callback) or ""
        command.help = text.replace("\nExamples:\n", "\n\b\nExamples:\n")
    for group in of.registered_groups:
        if group.typer_instance:
            _keep_lines_of_examples(group.typer_instance)


# What a disk, a drive far away or their owner refuses: no mistake of ours, wherever it is met.
_TROUBLES = {
    getattr(errno, name)
    for name in (
        *("EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "EIO"),
        *("ESTALE", "ENODEV", "ENXIO", "ENOTCONN", "ETIMEDOUT", "EHOSTDOWN", "EREMOTEIO"),
    )
    if hasattr(errno, name)
}


class _Stopped(BaseException):
    """Somebody stopped the program; nothing but what must be tidied up may catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.remark = "the same command goes on from here"  # a command that does not says what it kept


@contextmanager
def _told_to_stop() -> Iterator[None]:
    """Raise _Stopped here at the first Ctrl-C or SIGTERM; the second ends the program at once."""
    import signal
    import threading

    if threading.current_thread() is not threading.main_thread():  # the only one that may be told
        yield
        return

    def stop(number: int, frame: object) -> None:
        for one in before:
            signal.signal(one, signal.SIG_DFL)
        typer.echo("stopping: what was computed is being kept; once more stops at once", err=True)
        raise _Stopped(number)

    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    for one in before:
        signal.signal(one, stop)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def main() -> None:
    """Run the command line; the user's mistakes get a message, ours a traceback."""
    # OpenCV and OpenMP libraries would each start a thread a core beside ours.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    # torch makes this folder, for networks that it compiles, as it is imported: name one that is there.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", os.sep)
    _keep_lines_of_examples(app)
    # A name or label that the terminal's encoding lacks is written out; it must not end a command.
    if isinstance(sys.stdout, TextIOWrapper):
        codecs.register_error("featurekit", write_out)
        sys.stdout.reconfigure(errors="featurekit")
    try:
        with _told_to_stop():
            app()
    except _Stopped as stopped:
        typer.echo(one_line(f"stopped: {stopped.remark}"), err=True)
        sys.stdout.flush()
        # A thread that trains a network would be waited for; what it has learned is in its last checkpoint.
        os._exit(128 + stopped.number)
    except FeaturekitError as error:
        typer.echo(one_line(f"error: {error}"), err=True)
        sys.exit(1)
    except OSError as error:
        if error.errno not in _TROUBLES:
            raise
        what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        typer.echo(one_line(f"error: Cannot go on: {what}."), err=True)
        sys.exit(1)
