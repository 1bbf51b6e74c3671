"""The reference of the command line, made from the commands themselves."""

import html
import re
from collections.abc import Iterator
from typing import Any

import typer

from featurekit.cli.app import app

INTRODUCTION = """# Command line

`featurekit COMMAND --help` prints the same texts. From a checkout, `python cli.py` is the same command.

The usual order is `prepare`, `extract`, `fit`, `report`, and then `predict`. Each command works on the
workspace: the folder that holds the manifest, the cache, the models and the reports. It is the current
folder, unless `featurekit --workspace FOLDER COMMAND` or the environment variable `FEATUREKIT_WORKSPACE`
names another one.

A command ends with the exit code 0 if it did its work, with 1 if something was wrong with the data or the
options (one line on the standard error says what), with 2 if the command line could not be read, and with 128
plus the number of the signal if it was stopped. An option that has no effect is an error.

A command that prints a table aligns its columns on a terminal, and prints one line per row, with tabs, into a
pipe. With `--json` the standard output is one JSON document instead: a list with one object per row, whose
keys are the columns; a missing value is `null`. All messages then go to the standard error. If a command
prints several tables, each object begins with the one that it belongs to, such as its target.

Colors are used on a terminal alone, and not if the environment variable `NO_COLOR` is set.
`featurekit --install-completion` makes the shell (bash, zsh, fish or PowerShell) complete commands, options
and the names of backbones, models, data sets and comparisons.
"""


def commands() -> Iterator[tuple[str, Any, Any]]:
    """Yield the name of each command, the command and its context; `featurekit` itself comes first."""
    root = typer.main.get_command(app)
    context = root.context_class(root, info_name="featurekit")
    waiting = [("featurekit", root, context)]
    while waiting:
        name, command, at = waiting.pop(0)
        yield name, command, at
        below = getattr(command, "commands", {})
        waiting[:0] = [
            (f"{name} {word}", one, one.context_class(one, info_name=word, parent=at))
            for word, one in below.items()
        ]


def command_line_page() -> str:
    """Return the page on all commands."""
    return "\n".join([INTRODUCTION, *(_section(*one) for one in commands())])


def _section(name: str, command: Any, context: Any) -> str:
    lines = [f"## {name}", ""] if name != "featurekit" else ["## Options of all commands", ""]
    if getattr(command, "commands", None) and name != "featurekit":
        lines += [f"{command.help}", ""]
    elif name != "featurekit":
        lines += [_described(command.help), "", f"Usage: `{_usage(name, command, context)}`", ""]
    rows = [_row(one, context) for one in command.get_params(context) if one.name != "help"]
    if rows:
        lines += ["| argument or option | meaning |", "| --- | --- |", *rows, ""]
    return "\n".join(lines)


def _usage(name: str, command: Any, context: Any) -> str:
    words = [name]
    for one in command.get_params(context):
        if one.param_type_name == "argument":
            word = one.name.upper() + ("…" if one.nargs == -1 else "")
            words.append(word if one.required else f"[{word}]")
    return " ".join([*words, "[OPTIONS]"])


def _row(one: Any, context: Any) -> str:
    signature, meaning = one.get_help_record(context) or (one.name, "")
    if one.param_type_name == "argument":
        signature = one.name.upper()
    meaning = html.escape(meaning, quote=False).replace("|", "\\|").replace("[", "&#91;")
    return f"| {_code(signature)} | {meaning} |"


def _code(signature: str) -> str:
    return f"`{signature}`".replace("|", "\\|")


def _described(text: str) -> str:
    """Return the help of a command as Markdown, its examples as code."""
    paragraphs = []
    for paragraph in re.split(r"\n\s*\n", text.replace("\b\n", "")):
        title, _, rest = paragraph.partition("\n")
        if re.fullmatch(r"Examples?:", title.strip()):
            lines = "\n".join(line.strip() for line in rest.splitlines())
            paragraphs.append(f"```shell\n{lines}\n```")
        elif paragraph.startswith("Example: "):
            paragraphs.append(f"```shell\n{paragraph.removeprefix('Example: ').strip()}\n```")
        else:
            paragraphs.append(re.sub(r"[<>]", lambda sign: html.escape(sign[0]), paragraph))
    return "\n\n".join(paragraphs)
