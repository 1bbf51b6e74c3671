"""Records are read back only as what they can be, and what is wrong with a file is said in a line."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pytest

from featurekit.checks.audit import Audit
from featurekit.errors import WorkspaceError
from featurekit.evaluation.evidence import Evidence
from featurekit.evaluation.results import Run
from featurekit.findings import Finding
from featurekit.project import ComparisonFolder
from featurekit.records import Hash, Line, Word, read_facts, read_record, record, write_facts


@dataclass(frozen=True)
class Part:
    """A record inside another."""

    share: float
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A record of every kind of field."""

    name: Word
    parts: tuple[Part, ...]
    pairs: Mapping[str, tuple[int, float]]
    facts: Mapping[str, Any]
    digest: Hash = ""
    about: Line = ""
    beside: Part | None = None


WHOLE = Whole(
    name="a", parts=(Part(0.1, "x"), Part(1.0)), pairs={"p": (1, 2.5)}, facts={"n": [1, {"k": None}]}
)
CONTENT = json.loads(json.dumps(asdict(WHOLE)))


def test_what_was_written_is_read_as_it_was():
    assert record(Whole, CONTENT) == WHOLE
    assert type(record(Whole, CONTENT).parts[1]) is Part


def test_a_field_that_an_older_version_did_not_write_has_its_default():
    older = {name: value for name, value in CONTENT.items() if name not in ("digest", "about", "beside")}
    assert record(Whole, older) == WHOLE


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"hook": "os.system"}, r"^hook: Unexpected field. Got \"os.system\" instead.$"),
        ({"parts": [{"share": 0.5, "__class__": "x"}]}, r"^parts\.0\.__class__: Unexpected field"),
        ({"parts": [{"label": "x"}]}, r"^parts\.0\.share: .*required"),
        ({"parts": [{"share": "0.5"}]}, r"^parts\.0\.share: .*valid number. Got \"0.5\" instead"),
        ({"parts": {"0": 1}}, "^parts: .*valid"),
        ({"pairs": {"p": [1.0, 2]}}, r"^pairs\.p\.0: .*valid integer"),
        ({"pairs": {"p": [True, 2]}}, r"^pairs\.p\.0: .*valid integer"),
        ({"pairs": {"p": [1, 2, 3]}}, r"^pairs\.p: .*at most 2 items"),
        ({"name": "../evil"}, "^name: must be a name of at most 200"),
        ({"about": "two\nlines"}, "^about: must be one line"),
        ({"digest": "abc"}, "^digest: must be a sha256"),
        ({"beside": []}, "^beside"),
        ({"facts": {"n": float("nan")}}, "not finite: nan"),
        ({"facts": {"n": json.loads("1e999")}}, "not finite: inf"),
        ({"facts": {"n": json.loads("[" * 50 + "]" * 50)}}, "nested too deeply"),
        ({"name": "x" * 10**6}, r"^name: must be a name of .* Got \"x{39}… instead.$"),
    ],
)
def test_what_a_record_cannot_be_is_refused_with_its_place(change, says):
    with pytest.raises(ValueError, match=says) as refused:
        record(Whole, {**CONTENT, **change})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [None, [], "x", 3])
def test_what_is_no_object_is_no_record(content):
    with pytest.raises(ValueError, match=r"^the whole: "):
        record(Whole, content)


def test_a_byte_of_a_file_name_that_is_no_letter_stays_what_it_is():
    """Two labels that differ in such a byte must not become one."""
    facts = {"command": "fit --name \udcff", "\ud800": ["\ud801", {"a": "\ud802b"}]}
    assert record(Whole, {**CONTENT, "facts": facts}).facts == facts


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[" * 100_000, b'{"a": "\xff"}', b"9" * 10_000, b"null", b"[]", b"{}"],
    ids=["empty", "half", "deep", "bytes", "digits", "null", "list", "object"],
)
def test_a_hostile_file_is_one_clear_error_for_whoever_reads_it(tmp_path, data):
    folder = ComparisonFolder(tmp_path)
    for path in (folder.evidence, folder.audit, folder.run("one")):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    with pytest.raises(ValueError, match=r".+"):
        read_record(folder.audit, Whole)
    for read in (lambda: Evidence.load(tmp_path), lambda: Audit.load(tmp_path)):
        with pytest.raises(WorkspaceError, match="is damaged, or was not written by featurekit"):
            read()
    with pytest.raises(WorkspaceError, match=r"one\.json is not a run that this version"):
        Run.load(folder.run("one"))


@pytest.mark.parametrize(
    "data", [b"", b'{"target": "age", ', b'{"a": "\xff"}'], ids=["empty", "half", "bytes"]
)
def test_a_run_that_is_cut_off_is_said_to_be_so_without_the_words_of_json(tmp_path, data):
    path = ComparisonFolder(tmp_path).run("one")
    path.parent.mkdir()
    path.write_bytes(data)
    with pytest.raises(WorkspaceError, match=r"\(it is cut off or damaged\)\. Delete it, and fit it again"):
        Run.load(path)


def test_a_pipe_in_the_place_of_a_record_is_not_waited_for(tmp_path):
    import os

    os.mkfifo(tmp_path / "audit.json")
    with pytest.raises(WorkspaceError, match="not a plain file"):
        Audit.load(tmp_path)


def test_facts_of_another_version_are_none_and_a_strange_one_is_refused(tmp_path):
    path = tmp_path / "facts.json"
    assert read_facts(path, 1, Part) is None
    write_facts(path, 1, {"share": 0.123456789, "label": "ä"})
    assert read_facts(path, 1, Part) == Part(0.123457, "ä")
    assert read_facts(path, 2, Part) is None
    write_facts(path, 1, {"share": 0.5, "more": 1})
    with pytest.raises(WorkspaceError, match=r"more: Unexpected field. Got 1 instead.\). Delete it"):
        read_facts(path, 1, Part)


def test_a_severity_that_is_none_is_refused():
    finding = {"name": "n", "severity": "note", "count": 1, "of": 2, "what": "w", "details": {"a": {"n": 3}}}
    assert repr(record(Finding, finding).details["a"]["n"]) == "3"  # a count stays one
    with pytest.raises(ValueError, match=r"severity: Input should be 'ok', 'note', 'warning' or 'error'"):
        record(Finding, {**finding, "severity": "grave"})
