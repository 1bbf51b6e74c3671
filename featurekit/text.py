"""Make any text safe to show in a page, in a table and on a terminal.

Labels, file names and column names come from other people's data. They may contain markup, formulas, control
characters or marks that change the direction of reading, and must still be shown as they are.
"""

import re
from collections.abc import Sequence

# Letters that no text file can hold, and backslashes that would be read as the start of a written-out one.
_UNWRITABLE = re.compile(r"[\ud800-\udfff]|\\(?=\\|[\ud800-\udfff]|x[89a-f][0-9a-f]|ud[89a-f][0-9a-f]{2})")
_WRITTEN = re.compile(r"\\(\\|x[89a-f][0-9a-f]|ud[89a-f][0-9a-f]{2})")
_MARKDOWN = re.compile(r"[\\`*\[\]<>|~&]|(?<![^\W_])_|_(?![^\W_])")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
# Characters that start a formula in a spreadsheet.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
# Characters that make a text look like another one: marks of direction, invisible ones, other line ends.
_DECEIVING = {
    0x061C,
    0x180E,
    *range(0x200B, 0x200C),
    *range(0x200E, 0x2010),
    *range(0x2028, 0x202F),
    *range(0x2060, 0x2070),
    0xFEFF,
    *range(0xFFF9, 0xFFFC),
    *range(0xE0000, 0xE0080),
}


def visible(text: str) -> str:
    r"""Return the text with every invisible character written out as an escape.

    >>> visible("a\nb\u202ec")
    'a\\nb\\u202ec'
    """
    return "".join(_written_out(letter) if _is_hidden(ord(letter)) else letter for letter in text)


def _is_hidden(code: int) -> bool:
    return (
        code < 0x20
        or 0x7F <= code < 0xA0
        or code in _DECEIVING
        or 0xD800 <= code < 0xE000
        or code & 0xFFFE == 0xFFFE
    )


def _written_out(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # how Python holds a byte of a file name that is not UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape", "backslashreplace").decode("ascii")


def write_out(error: UnicodeError) -> tuple[str, int]:
    """Replace letters that an encoding lacks by escapes; an error handler for codecs.register_error()."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_written_out, error.object[error.start : error.end])), error.end


def readable_name(name: str) -> str:
    r"""Return a file name that any text file, table and terminal can show; different names stay different.

    A byte that is not UTF-8 is written as an escape of a backslash, x and two hexadecimal digits. A backslash
    that could be taken for the start of such an escape is doubled.

    >>> readable_name("caf\udce9.jpg"), readable_name(r"\xe9"), readable_name(r"a\b.jpg")
    ('caf\\xe9.jpg', '\\\\xe9', 'a\\b.jpg')
    """
    return _UNWRITABLE.sub(lambda found: _written_out(found[0]) if found[0] != "\\" else "\\\\", name)


def name_as_it_was(text: str) -> str:
    r"""Undo readable_name() and return the original file name; os.fsencode() gives its bytes.

    >>> name_as_it_was(r"caf\xe9.jpg") == "caf\udce9.jpg", name_as_it_was(r"\\xe9")
    (True, '\\xe9')
    """

    def read(found: re.Match[str]) -> str:
        what = found[1]
        if what == "\\":
            return what
        return chr(0xDC00 + int(what[1:], 16)) if what[0] == "x" else chr(int(what[2:], 16) | 0xD000)

    return _WRITTEN.sub(read, text)


def words_of(name: str) -> list[str]:
    """Return the words in the name of a column, in lower case.

    >>> words_of("perceivedEthnicity"), words_of("user_id2")
    (['perceived', 'ethnicity'], ['user', 'id'])
    """
    return re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())


def markdown(text: str) -> str:
    r"""Escape the text so that Markdown shows it unchanged, also in a table.

    An underscore inside a word has no meaning in Markdown and is not escaped.

    >>> markdown("dlib_age | <b>*x*</b>")
    'dlib_age \\| &lt;b&gt;\\*x\\*&lt;/b&gt;'
    """
    return _MARKDOWN.sub(lambda found: _ENTITIES.get(found[0], "\\" + found[0]), visible(text))


def one_line(text: str) -> str:
    r"""Return the text as one line without control characters for a terminal.

    >>> one_line("a\nb\x1b[2J")
    'a b\\x1b[2J'
    """
    return visible(" ".join(text.splitlines()))


def no_formula(text: str) -> str:
    """Return the text of a cell, with a quote in front if a spreadsheet would take it for a formula.

    >>> no_formula("=1+1"), no_formula("'=1+1"), no_formula("face 1")
    ("'=1+1", "''=1+1", 'face 1')
    """
    return f"'{text}" if text.lstrip("'").startswith(FORMULA) else text


def as_it_was(cell: str) -> str:
    """Undo no_formula() and return the original text.

    >>> as_it_was("'=1+1"), as_it_was("''=1+1"), as_it_was("'tis 1")
    ('=1+1', "'=1+1", "'tis 1")
    """
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(FORMULA) else cell


def counted(n: int, one: str, many: str) -> str:
    """Return a number and a noun, which is in the singular for 1.

    >>> counted(1, "subject", "subjects"), counted(1200, "subject", "subjects")
    ('1 subject', '1,200 subjects')
    """
    return f"{n:,} {one if n == 1 else many}"


def first_few(names: Sequence[str], most: int = 3, *, separator: str = ", ") -> str:
    """Return the first few names, and the number of further names.

    >>> first_few(["a", "b"]), first_few(["a", "b", "c", "d", "e"])
    ('a, b', 'a, b, c and 2 more')
    """
    more = len(names) - most
    return separator.join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def described(error: Exception) -> str:
    """Return the type of an error and the first line of its message, without a full stop.

    >>> described(ValueError("no face.")), described(KeyError())
    ('ValueError: no face', 'KeyError')
    """
    said, kind = first_line(error).rstrip("."), type(error).__name__
    return kind if said == kind else f"{kind}: {said}"


def first_line(error: Exception) -> str:
    """Return the first line of an error's message that is not blank, or else the type of the error."""
    return next(filter(None, map(str.strip, str(error).splitlines())), type(error).__name__)
