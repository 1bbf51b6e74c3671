"""The command line, which reads options, calls the library and prints the result.

No other package prints or exits. main() prints an error of featurekit as one line, and any other error with
its traceback.
"""

import codecs
import errno
import inspect
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from featurekit.cli import (
    audit,
    embeddings,
    explain,
    explore,
    extract,
    fit,
    installation,
    predict,
    prepare,
    report,
    weights,
)
from featurekit.cli import (
    cache as cache_commands,
)
from featurekit.cli._output import one_document, print_message, printed_log
from featurekit.cli._signals import Stopped, told_to_stop
from featurekit.cli._workspace import Commands
from featurekit.errors import FeaturekitError
from featurekit.text import write_out
from featurekit.version import __version__

app = typer.Typer(
    name="featurekit",
    cls=Commands,
    help="Compare ways of predicting age, gender or any label from face images.\n\n"
    "The usual order is prepare, extract, fit, report, and then predict. Each command works on the"
    " workspace: the folder that holds the manifest, the cache, the models and the reports.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
weights_app = typer.Typer(no_args_is_help=True, help="List, download, add and check weight files.")
embeddings_app = typer.Typer(no_args_is_help=True, help="Describe and map the extracted vectors.")
cache_app = typer.Typer(no_args_is_help=True, help="List, check, clean, merge and export the cache.")
app.add_typer(weights_app, name="weights")
app.add_typer(embeddings_app, name="embeddings")
app.add_typer(cache_app, name="cache")

# As `featurekit --help` lists them: in the order in which they are used.
for _group, _name, _command in (
    (app, "prepare", prepare.prepare),
    (app, "extract", extract.extract),
    (app, "fit", fit.fit),
    (app, "ensemble", fit.ensemble),
    (app, "report", report.report),
    (app, "audit", audit.audit),
    (app, "explore", explore.explore),
    (app, "verify-run", audit.verify_run),
    (app, "log-mlflow", report.log_mlflow),
    (app, "predict", predict.predict),
    (app, "explain", explain.explain),
    (app, "export", explain.export),
    (app, "list", installation.list_members),
    (app, "doctor", installation.doctor),
    (weights_app, "list", weights.weights_list),
    (weights_app, "fetch", weights.weights_fetch),
    (weights_app, "add", weights.weights_add),
    (weights_app, "verify", weights.weights_verify),
    (embeddings_app, "describe", embeddings.embeddings_describe),
    (embeddings_app, "map", embeddings.embeddings_map),
    (cache_app, "ls", cache_commands.cache_ls),
    (cache_app, "verify", cache_commands.cache_verify),
    (cache_app, "gc", cache_commands.cache_gc),
    (cache_app, "merge", cache_commands.cache_merge),
    (cache_app, "purge", cache_commands.cache_purge),
    (cache_app, "export", cache_commands.cache_export),
):
    _group.command(_name)(_command)


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    workspace: Annotated[
        Path,
        typer.Option(
            *("--workspace", "-w"), envvar="FEATUREKIT_WORKSPACE", help="Folder that holds the workspace."
        ),
    ] = Path(),
    cache: Annotated[
        str | None,
        typer.Option(
            help="Another place for the faces and vectors of the workspace: a folder, or a URL such as"
            " s3://bucket/folder (also gs://, az://). It is recorded in the workspace, so that later commands"
            " need not be told. Credentials are taken from the environment."
        ),
    ] = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"featurekit {__version__}")
        raise typer.Exit


def _keep_lines_of_examples(of: typer.Typer) -> None:
    """Keep the line breaks of examples, which click would join into paragraphs."""
    for command in of.registered_commands:
        command.help = (inspect.getdoc(command.callback) or "").replace("\nExamples:\n", "\n\b\nExamples:\n")
    for group in of.registered_groups:
        if group.typer_instance:
            _keep_lines_of_examples(group.typer_instance)


# Errors of a disk, a network drive or its permissions: they are printed without a traceback.
_TROUBLES = {
    getattr(errno, name)
    for name in (
        *("EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "EIO"),
        *("ESTALE", "ENODEV", "ENXIO", "ENOTCONN", "ETIMEDOUT", "EHOSTDOWN", "EREMOTEIO"),
    )
    if hasattr(errno, name)
}


def main() -> None:
    """Run the command line; errors of featurekit are printed in one line, others with a traceback."""
    # OpenCV and OpenMP libraries would each start a thread a core beside ours.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    # torch creates this folder for compiled networks when it is imported: name one that exists.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", os.sep)
    _keep_lines_of_examples(app)
    # A description that typer broke would be a word of its own for the shell that completes.
    if "_FEATUREKIT_COMPLETE" in os.environ:
        os.environ["TERMINAL_WIDTH"] = "10000"
    # A letter that the terminal's encoding lacks is written out, so that it does not end the command.
    if isinstance(sys.stdout, TextIOWrapper):
        codecs.register_error("featurekit", write_out)
        sys.stdout.reconfigure(errors="featurekit")
    with printed_log():
        try:
            with told_to_stop(), one_document():
                app()
        except Stopped as stopped:
            print_message(f"stopped: {stopped.remark}")
            sys.stdout.flush()
            # sys.exit() would wait for a thread that trains a network; its last checkpoint is on the disk.
            os._exit(128 + stopped.number)
        except FeaturekitError as error:
            print_message(" ".join([f"error: {error}", *getattr(error, "__notes__", ())]))
            sys.exit(1)
        except OSError as error:
            if error.errno not in _TROUBLES:
                raise
            what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
            print_message(f"error: Cannot continue: {what}.")
            sys.exit(1)
