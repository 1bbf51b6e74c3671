"""Read the cells of a table: ages, genders, boxes, numbers of folds, and words for a missing value.

A value can be written in many ways, and all of them are understood in every column and every data set. If a
cell cannot be read, a message says what to type instead.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from featurekit.data.targets import AGE_GROUP, GENDER, GENDER3, MAX_AGE
from featurekit.errors import ManifestError

# Words for a gender, in small letters. Numbers are not among them, because 1 means female in one data set and
# male in another. Of other languages, only words with a single meaning are: "w" and "h" may be anything.
_GENDERS = {
    **dict.fromkeys(("f", "f.", "female", "females", "woman", "women", "girl", "girls"), "female"),
    **dict.fromkeys(("m", "m.", "male", "males", "man", "men", "boy", "boys"), "male"),
    **dict.fromkeys(("weiblich", "frau", "frauen", "vrouw", "kvinna", "kvinde", "kobieta"), "female"),
    **dict.fromkeys(("männlich", "mann", "männer", "mężczyzna"), "male"),
    **dict.fromkeys(("femme", "femmes", "féminin", "mujer", "mujeres", "femenino", "femenina"), "female"),
    **dict.fromkeys(("homme", "hommes", "masculin", "hombre", "hombres", "masculino"), "male"),
    **dict.fromkeys(("mulher", "feminino", "feminina", "donna", "donne", "femmina", "femminile"), "female"),
    **dict.fromkeys(("homem", "uomo", "uomini", "maschio", "maschile"), "male"),
}
# Stands for an unknown gender; in another column it may mean something else.
_NO_GENDER = "u"
# Words that mean "not known", in small letters. An empty cell always means it.
MISSING_WORDS = frozenset(
    (
        *("-", "--", "?", "??", ".", "#n/a", "<na>", "n/a", "n.a.", "na", "nan", "nat", "none", "null"),
        # Excel and Google Sheets write these where a formula has failed, or is not ready.
        *("#value!", "#ref!", "#div/0!", "#name?", "#num!", "#null!", "#error!", "#spill!", "#calc!"),
        *("#getting_data", "loading..."),
        *("missing", "not available", "not known", "not sure", "undefined", "unk", "unknown", "unsure"),
        "abstained",
    )
)

# The target of a bad cell that holds a number which is no possible age.
POSSIBLE_AGE = f"age from 0 to {MAX_AGE}"
GENDER_WORDS = f"{' or '.join(GENDER.classes)} (or f, m, woman, man, ...)"
AGE_GROUPS = ", ".join(AGE_GROUP.classes)

# Spreadsheets turn 4-6 into a date, in the language of the user: 4-Jun, 08. Dez, Oct-12.
_MONTH = (
    r"(?:jan|feb|f[eé]v|m[aä]r|mrz|apr|avr|abr|ma[iyjg]|jun|juin|giu|jul|juil|lug|aug|ao[uû]|ago"
    r"|sep|set|o[ckt]t|nov|d[eéi][czs])"
)
_DAY_AND_MONTH = rf"\d{{1,2}}[-./ ]+{_MONTH}[^\W\d]*\.?|{_MONTH}[^\W\d]*[-./ ]+\d{{1,2}}"
_MADE_A_DATE = re.compile(
    rf"{_DAY_AND_MONTH}"
    r"|\d{4}-\d{2}-\d{2}(?:[t ]00:00(?::00)?)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}"
)
_DATE_OF_A_GROUP = (
    "a spreadsheet has turned an age group such as 4-6 or 8-12 into a date. Format the column as text"
    " and write the age group again"
)
_YEARS_OR_PARTS = r"(\d+(?:[.,]\d+)?)(?:\s*-?\s*(?:years?|yrs?|y|(month|mo|week|wk|day)s?)\.?(?:[ -]olds?)?)?"
_PARTS_OF_A_YEAR = {"month": 12, "mo": 12, "week": 52, "wk": 52, "day": 365}
# 25-32, (25, 32) or 25 to 32 years.
_RANGE = r"[(\[]?\s*(\d+)\s*(?:[-–—_,]|\bto\b)\s*(\d+)\s*[)\]]?(?:\s*(?:years|yrs))?"
# What else a text may be that is not a number of years, and what to do then.
_REMEDIES_FOR_YEARS = {
    _DAY_AND_MONTH: f"; {_DATE_OF_A_GROUP}",
    r"(?:\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./](?:\d{4}|\d{2}))\b.*": (
        " but a date; write the age in years on the day the image was taken"
    ),
    rf"{_RANGE}|\d+\s*[+]|(?:over|under|above|below|[<>≤≥]=?)\s*\d+": (
        f", and not one of the age groups {AGE_GROUPS}; write years or one of these groups, or keep such"
        " ranges as labels: --column age= -o labels=COLUMN"
    ),
}


class BadCell(NamedTuple):
    """A cell that cannot be read. It is treated as a missing value.

    Attributes:
        row: number of the row, counted from 0.
        column: name of the column in the data set.
        target: name of the manifest column that needs the value, or POSSIBLE_AGE for an impossible age.
        value: text of the cell.
        problem: end of a sentence that says what is wrong and what to type instead, for example
            "is not a number of years; write 31.5".
    """

    row: int
    column: str
    target: str
    value: str
    problem: str


@dataclass(frozen=True)
class Missing:
    """The words that stand for a missing value in a table; an empty cell always does.

    Attributes:
        words: the words, in the form that folded() returns.
    """

    words: frozenset[str] = MISSING_WORDS

    def __contains__(self, cell: str) -> bool:
        word = folded(cell)
        return not word or word in self.words

    @classmethod
    def of(cls, option: str | Sequence[str]) -> "Missing":
        """Return the words for a missing value that the option "missing" selects.

        Args:
            option: sequence of words, or words separated by commas, that replace the default list. Words
                with + or - in front are added to the default list or removed from it. If there are no
                words, only empty cells are missing values.

        Raises:
            ManifestError: only some of the words have + or - in front, or a word to remove is not in the
                default list.

        >>> sorted(Missing.of("x, Y").words), "x" in Missing.of("+x"), "None" in Missing.of("-none")
        (['x', 'y'], True, False)
        """
        given = [word.strip() for word in (option.split(",") if isinstance(option, str) else option)]
        given = [word for word in given if word]
        signed = [word for word in given if len(word) > 1 and word[0] in "+-" and word != "--"]
        if not signed:
            return cls(frozenset(map(folded, given)))
        if len(signed) < len(given):
            plain = next(word for word in given if word not in signed)
            raise ManifestError(
                f"missing={','.join(given)} mixes words that replace the list of missing words ('{plain}')"
                f" with words that change it ('{signed[0]}'). Write + or - before every word, or before"
                " none."
            )
        added = {folded(word[1:]) for word in signed if word[0] == "+"}
        removed = {folded(word[1:]) for word in signed if word[0] == "-"}
        if strange := sorted(removed - MISSING_WORDS):
            raise ManifestError(
                f"'{strange[0]}' is not in the list of missing words, so missing=-{strange[0]} has no"
                f" effect. The words are: {', '.join(sorted(MISSING_WORDS))}. To add the word"
                f" '-{strange[0]}' to the list, use missing=+-{strange[0]}"
            )
        return cls(MISSING_WORDS - removed | added)

    def option(self, *, add: str = "", remove: str = "") -> str:
        """Return the command line option that adds a word to this list, or removes a word from it.

        >>> Missing().option(remove="none"), Missing(frozenset("x")).option(add="0")
        ('-o missing=-none', '-o missing=0,x')
        """
        words = (self.words | {add}) - {remove, ""}
        changes = [f"+{word}" for word in sorted(words - MISSING_WORDS)]
        changes += [f"-{word}" for word in sorted(MISSING_WORDS - words)]
        said = ",".join(changes if len(changes) <= len(words) else sorted(words))
        return f"-o 'missing={said}'" if set(said) & set(" ?<>#'*&;|()") else f"-o missing={said}"


USUAL = Missing()


def count_missing(
    cells: "pd.Series[str]", column: str, missing: Missing, found: Counter[tuple[str, str]]
) -> None:
    """Count the cells with each word for a missing value, and add the counts to found."""
    for cell, n in cells.value_counts().items():
        if (word := folded(str(cell))) and str(cell) in missing:
            found[column, word] += int(n)


def spelled(text: str) -> str:
    r"""Return a text in the composed form of Unicode (NFC), with single spaces between its words.

    >>> spelled(" dark\n brown "), len(spelled("e\u0301"))
    ('dark brown', 1)
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def folded(text: str) -> str:
    r"""Return a text in a form that is the same whatever its case, spaces and form of Unicode.

    >>> folded(" BROWN\u200b"), folded("STRASSE") == folded("Straße")
    ('brown', True)
    """
    seen = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    return spelled(unicodedata.normalize("NFC", seen).casefold())


# ---------------------------------------------------------------- reading


def read_gender(text: str, missing: Missing = USUAL) -> str | None:
    """Return the gender that a word means, "" for a missing value, or None if the word is not known.

    >>> read_gender("Woman"), read_gender("unknown"), read_gender("2")
    ('female', '', None)
    """
    word = folded(text)
    return _GENDERS.get(word, "" if word == _NO_GENDER or text in missing else None)


def read_gender3(text: str, missing: Missing = USUAL) -> str | None:
    """Return the class of the target gender3 that a word means, or else what read_gender() returns.

    >>> read_gender3("Woman"), read_gender3("u"), read_gender3("unknown"), read_gender3("2")
    ('female', 'undefined', '', None)
    """
    return GENDER3.classes[-1] if folded(text) in (_NO_GENDER, "undefined") else read_gender(text, missing)


def read_age_group(text: str, missing: Missing = USUAL) -> str | None:
    """Return the age group that a text means, "" for a missing value, or None for another text.

    >>> read_age_group("(25, 32)"), read_age_group("over 60"), read_age_group("None"), read_age_group("27-33")
    ('25-32', '60-100', '', None)
    """
    if text in missing:
        return ""
    word = folded(text)
    years = re.fullmatch(_RANGE, word)
    last = re.fullmatch(
        r"60\s*[+-]|(?:over|above|from|>=?|≥)\s*60|60 (?:and|or) (?:over|older|above|more)", word
    )
    written = f"{int(years[1])}-{int(years[2])}" if years else AGE_GROUP.classes[-1] if last else ""
    return written if written in AGE_GROUP.classes else None


def read_years(text: str, missing: Missing = USUAL) -> float | None:
    """Return the number in a text, NaN for a missing value, or None if the text is not a number.

    >>> read_years("31.5"), read_years("n/a"), read_years("thirty"), read_years("1e1")
    (31.5, nan, None, None)
    """
    if text in missing:
        return float("nan")
    # float() would also take "1e3", "infinity" and "1_0".
    return float(text) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", text.strip()) else None


def read_fold(text: str, missing: Missing = USUAL) -> int | None:
    """Return the number of a fold (from 0), -1 for no fold, or None if the text is not a whole number.

    >>> read_fold("2"), read_fold("2.0"), read_fold("nan"), read_fold("test")
    (2, 2, -1, None)
    """
    if text in missing or text.strip() in ("-1", "-1.0"):
        return -1
    return int(found[1]) if (found := re.fullmatch(r"([0-9]+)(\.0*)?", text.strip())) else None


def read_box(text: str, missing: Missing = USUAL, *, sized: bool = False) -> str | None:
    """Return a box in the form of the manifest, "" for a missing value, or None if the text is not a box.

    Args:
        text: four numbers in pixels.
        missing: words for a missing value.
        sized: whether the numbers are x, y, width and height instead of the coordinates of two corners.

    >>> read_box("[5, 5, 20, 30.5]"), read_box("5 5 20 30.5", sized=True), read_box("9 9 4 4"), read_box("-")
    ('5 5 20 30.5', '5 5 25 35.5', None, '')
    """
    if text in missing:
        return ""
    parts = re.split(r"[\s,;]+", text.strip("[]() "))
    numbers = [read_years(part, Missing(frozenset())) for part in parts]
    finite = [number for number in numbers if number is not None and np.isfinite(number)]
    if len(finite) != len(parts) or len(parts) != 4:
        return None
    left, top, *others = finite
    right, bottom = (left + others[0], top + others[1]) if sized else others
    corners = " ".join(f"{corner:.10g}" for corner in (left, top, right, bottom))
    return corners if left < right and top < bottom else None


# ---------------------------------------------------------------- what to type instead


def no_years(text: str) -> str:
    """Return the last part of the error message for a text that is not a number of years.

    >>> no_years("31,5")
    'is not a number of years; write 31.5'
    >>> no_years("18 months")
    'is not a number of years; write 1.5'
    """
    word = folded(text)
    said = "is not a number of years"
    if found := re.fullmatch(_YEARS_OR_PARTS, word):
        number, unit = found[1].replace(",", "."), found[2]
        years = f"{round(float(number) / _PARTS_OF_A_YEAR[unit], 2):g}" if unit else number
        return f"{said}; write {years}"
    remedies = (remedy for pattern, remedy in _REMEDIES_FOR_YEARS.items() if re.fullmatch(pattern, word))
    return said + next(remedies, "; write it in digits, for example 31 or 31.5")


def impossible_years(years: float) -> str:
    """Return the last part of the error message for a number that is not a possible age.

    >>> impossible_years(1984)
    'is not an age from 0 to 116 but a year; write the age in years when the image was taken'
    >>> impossible_years(999)
    'is not an age from 0 to 116; if it means that the age is not known, use -o missing=+999'
    """
    said = f"is not an age from 0 to {MAX_AGE}"
    if 1850 <= years <= 2100:
        return f"{said} but a year; write the age in years when the image was taken"
    if re.fullmatch(r"-\d|-?9{2,}|-?8{2,}", f"{years:.10g}"):  # the usual codes
        return f"{said}; if it means that the age is not known, use -o missing=+{years:.10g}"
    return f"{said}; leave the cell empty if the age is not known"


def no_gender(text: str) -> str:
    """Return the last part of the error message for a text that is not a gender.

    >>> no_gender("2").partition("; ")[2]
    'number codes are not used in the same way everywhere, so write f and m instead'
    """
    said = f"is not {GENDER_WORDS}"
    if re.fullmatch(r"-?\d+(\.0+)?", text.strip()):
        return f"{said}; number codes are not used in the same way everywhere, so write f and m instead"
    return (
        f"{said}; write one of these words, or keep the words of the column as labels: --column gender= -o"
        " labels=COLUMN"
    )


def m_is_a_woman(cells: Collection[str]) -> str:
    """Return the letter that shows that "m" may mean woman in a gender column, "" if there is no such letter.

    >>> m_is_a_woman(["H", "M"]), m_is_a_woman(["F", "M"]), m_is_a_woman(["W", "M"])
    ('H', '', '')
    """
    words = {folded(cell).rstrip("."): cell for cell in cells}
    if "m" not in words or any(_GENDERS.get(word) == "female" for word in words):
        return ""
    # Hombre or varón and mujer, homem and mulher.
    return next((words[letter] for letter in ("h", "v") if letter in words), "")


def no_age_group(text: str) -> str:
    """Return the last part of the error message for a text that is not an age group.

    >>> no_age_group("08. Dec").partition("; ")[2]
    'a spreadsheet has turned an age group such as 4-6 or 8-12 into a date. Format the column as text and \
write the age group again'
    """
    said = f"is not one of {AGE_GROUPS}"
    if _MADE_A_DATE.fullmatch(folded(text)):
        return f"{said}; {_DATE_OF_A_GROUP}"
    if read_years(text) is not None:
        return f"{said}; if the column holds years, use --column age=COLUMN"
    return f"{said}; to keep other groups as labels: -o labels=COLUMN"


def no_box(text: str, *, sized: bool) -> str:
    """Return the last part of the error message for a text that is not a box.

    >>> no_box("100 80 60 60", sized=False)
    'is not x1 y1 x2 y2 in pixels with x1 < x2 and y1 < y2; if the boxes are x, y, width and height, \
use -o box=xywh'
    """
    if sized:
        return "is not x y width height in pixels with a width and a height above 0"
    said = "is not x1 y1 x2 y2 in pixels with x1 < x2 and y1 < y2"
    could_be_sized = read_box(text, Missing(frozenset()), sized=True)
    return f"{said}; if the boxes are x, y, width and height, use -o box=xywh" if could_be_sized else said
