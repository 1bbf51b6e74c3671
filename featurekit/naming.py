"""Messages name settings either as options of the command line or as arguments of Python functions.

Messages are written with options, as in "Leave --seed out", and the command line shows them unchanged. In a
Python program, the message is "Leave seed out" instead, because the argument of the function is called seed.
"""

import re

# Options whose argument has another name.
_ARGUMENTS = {
    "backbone": "features",
    "column": "columns",
    "features": "X",
    "image": "images",
    "jobs": "parallel_folds",
    "legal-age": "legal_ages",
    "model": "models",
    "set": "parameters",
    "subject": "subjects",
    "threads": "n_jobs",
    "workspace": "project",
}
_FLAGS = (
    *("--allow-ethnicity", "--join", "--learning-curve", "--mirror", "--new-folds"),
    *("--probabilities", "--replace", "--sets", "--tune"),
)
# Columns that Dataset.from_frame has an argument for; it takes every other column as a label.
_COLUMNS = {"image_path": "images", "subject_id": "subject", "official_fold": "fold", "box": "box"}
# A command that is given in full stays as it is. An option may be followed by its value.
_OPTION = re.compile(
    r"featurekit \w(?:[^.,;`]|[.,](?=\S))*"
    r"|(?<![^\s(])(?P<use>use |with )?(?P<option>-o|--n\b|--[a-z][a-z-]*[a-z])"
    r"(?: (?!(?:and|does|gives|has|instead|is|must|needs|or|out|with|would)\b)"
    r"(?P<value>(?:\w+=)?'[^']*'|[\w+][^\s,;:)]*[^\s,;:.)]|\w))?(?=[\s,;:.)]|$)"
)


class Caller:
    """Whether featurekit is used from the command line or from a Python program.

    Attributes:
        is_command_line: True on the command line, where messages name options and progress is printed as
            lines of text.
    """

    is_command_line = False


def in_users_words(text: str) -> str:
    """Return a message that names options on the command line, and arguments in a Python program."""
    return text if Caller.is_command_line else as_arguments(text)


def as_arguments(text: str, *, of_frame: bool = False) -> str:
    """Return a message in which arguments of a function replace the options of the command line.

    Args:
        text: the message.
        of_frame: whether to use the arguments of Dataset.from_frame, where arguments for columns have other
            names.

    >>> as_arguments("--abstain-above has no effect: leave it out, or use --sets.")
    'abstain_above has no effect: leave it out, or use sets=True.'
    >>> as_arguments("Use fewer folds, or --rare leave-out.")
    "Use fewer folds, or rare='leave-out'."
    >>> as_arguments("If it holds years, use --column age=COLUMN.")
    "If it holds years, use columns={'age': 'COLUMN'}."
    >>> as_arguments("If it holds years, use --column age=COLUMN.", of_frame=True)
    "If it holds years, use labels={'age': 'COLUMN'}."
    >>> as_arguments("Leave --seed out, or give a separator: -o separator=';'")
    "Leave seed out, or give a separator: separator=';'"
    >>> as_arguments("It has not been extracted. Next: featurekit extract --backbone vgg16")
    'It has not been extracted. Next: featurekit extract --backbone vgg16'
    """
    if of_frame:  # where a label is no longer read as an age or a gender once it has another name
        text = re.sub(r"--column \w+= (?=-o labels=)", "", text)
    text = _OPTION.sub(lambda found: _argument(found, of_frame=of_frame), text)
    text = re.sub(r"models=('[^']*')((?: models='[^']*')+)", r"models=[\1\2]", text)
    return re.sub(r"\} (columns|labels)=\{", ", ", text.replace("' models='", "', '")).replace("} l", "}, l")


def _argument(found: re.Match[str], *, of_frame: bool) -> str:
    """Return an option that _OPTION has found, with its value, as an argument."""
    use, option, value = found["use"] or "", found["option"], found["value"]
    if option is None:
        return found[0]
    name = option.removeprefix("--").removeprefix("no-")
    name = _ARGUMENTS.get(name, name.replace("-", "_"))
    key, _, given = re.sub("^'(.*)'$", r"\1", value or "").partition("=")
    if of_frame and given + key and option in ("-o", "--column"):
        return use + _argument_of_frame(key, given)
    if option == "-o":
        return f"{use}{key}={_literal(given)}"
    if value and option in ("--column", "--set"):
        return f"{use}{name}={{'{key}': {_literal(given)}}}"
    if value:
        return f"{use}{name}={_literal(value)}"
    if option.startswith("--no-"):
        return f"{use}{name}=False"
    return f"{use}{name}=True" if use and option in _FLAGS else use + name


def _argument_of_frame(key: str, column: str) -> str:
    """Return an option of a table, e.g. age=COLUMN or missing=WORD, as an argument of Dataset.from_frame."""
    if (key, column) == ("box", "xywh"):
        return "corners, as x1, y1, x2, y2"
    if key in ("missing", *_COLUMNS):
        return f"{_COLUMNS.get(key, key)}={_literal(column)}"
    if not column:
        return f"labels without {key}"
    return f"labels={{'{'NAME' if key == 'labels' else key}': '{column}'}}"


def _literal(text: str) -> str:
    """Return a value as Python writes it.

    >>> _literal("0.1"), _literal("leave-out"), _literal("'my photos'")
    ('0.1', "'leave-out'", "'my photos'")
    """
    return text if re.fullmatch(r"'.*'|-?\d+(\.\d*)?(e-?\d+)?", text) else f"'{text}'"
