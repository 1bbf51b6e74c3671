"""The documentation says what is so: its commands can be typed, its code runs, and its numbers are stored."""

import ast
import inspect
import json
import re
import shlex
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import typer
import yaml
from PIL import Image

import featurekit as fk
from featurekit.cli.app import app
from tests.modules import BENCHMARKS, module_in

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in DOCS.rglob("*.md"))]
# Pages of the site that no file of docs/ has.
MADE = {"tutorial.md", "reference/cli.md", "results/speed.md", "changelog.md"}
# What the variables of the examples are.
KINDS = {
    "data": fk.Dataset,
    "X": fk.Embeddings,
    "results": fk.Results,
    "model": fk.Model,
}


@pytest.fixture(scope="module")
def pages():
    """The modules that make pages, as MkDocs imports them."""
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install 'featurekit[docs]'")
    names = ("command_line", "site_links", "tutorial_page", "requests_elsewhere", "kept_reports")
    return {name: module_in(DOCS / "_pages", name) for name in names}


@pytest.fixture(scope="module")
def pictures():
    return module_in(BENCHMARKS, "pictures")


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


# ---------------------------------------------------------------- README


def test_the_readme_is_short_and_begins_with_the_two_commands():
    lines = text_of("README.md").splitlines()
    assert len(lines) <= 120
    first_screen = "\n".join(lines[:30])
    assert "make demo" in first_screen
    assert "make test" in first_screen
    assert "(docs/pictures/report.png)" in first_screen


def test_the_picture_shows_the_first_screen_of_the_report_that_is_kept(pictures):
    path = DOCS / "pictures" / "report.png"
    with Image.open(path) as picture:
        assert picture.size == pictures.SCREEN
        stored = picture.info["summary"]
    assert stored == pictures.summary_hash(), "Next: python benchmarks/pictures.py report"
    assert path.stat().st_size <= 150_000


# ---------------------------------------------------------------- commands


def commands(text):
    """Return each command of a text: in blocks, in indented lines, and in backticks."""
    text = text.replace("\\\n", " ")
    blocks = re.findall(r"^```(?:shell|bash)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall(r"^    (.*)$", text, re.MULTILINE)
    found = [re.sub(r"^(?:[A-Z_]+=\S+ )+", "", line.strip()) for line in lines]
    found += re.findall(r"`((?:featurekit) [^`]*)`", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M))
    return [line for line in found if line.startswith("featurekit ")]


def unknown_words(command, root):
    """Return the subcommand or the options of a command that do not exist."""
    words = shlex.split(command, comments=True)[1:]
    at, options = root, {"--help", "-h"}
    while True:
        options |= {name for one in at.params for name in (*one.opts, *one.secondary_opts)}
        while words and words[0].startswith("-"):  # options of featurekit itself, each with a value
            if words[0] not in options:
                return [words[0]]
            words = words[1:] if words[0] in ("--version", "--help", "-h") else words[2:]
        below = getattr(at, "commands", {})
        if not below or not words or words[0].isupper():
            break
        if words[0] not in below:
            return [words[0]]
        at, options = below[words[0]], {"--help", "-h"}
        words = words[1:]
        options |= {name for one in at.params for name in (*one.opts, *one.secondary_opts)}
        if not getattr(at, "commands", {}):
            break
    return [
        word for word in words if re.match(r"--?[a-zA-Z]", word) and word.partition("=")[0] not in options
    ]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_can_be_typed(page):
    root = typer.main.get_command(app)
    wrong = {command: unknown_words(command, root) for command in commands(text_of(page))}
    assert {command: words for command, words in wrong.items() if words} == {}


def test_commands_that_do_not_exist_are_found():
    root = typer.main.get_command(app)
    assert unknown_words("featurekit extract --mirror  # yes --no", root) == []
    assert unknown_words("featurekit --workspace W cache purge --subject s", root) == []
    assert unknown_words("featurekit extract --mirrors", root) == ["--mirrors"]
    assert unknown_words("featurekit cache purges", root) == ["purges"]
    assert unknown_words("featurekit --cash s3://b extract", root) == ["--cash"]
    text = "`featurekit a` b\n\n```shell\nX=1 featurekit c\n```\n\n    featurekit d \\\n  e\n"
    assert commands(text) == ["featurekit c", "featurekit d    e", "featurekit a"]


# ---------------------------------------------------------------- Python


def python_blocks(text):
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def meant(node):
    """Return the object that fk.name, results.name and so on are, None if it is none of these, or "gone"."""
    if not isinstance(node, ast.Attribute):
        return None
    if isinstance(node.value, ast.Name):
        owner = fk if node.value.id == "fk" else KINDS.get(node.value.id)
    else:
        owner = meant(node.value)
        if isinstance(owner, property):
            owner = inspect.signature(owner.fget, eval_str=True).return_annotation
    if owner is None or owner == "gone":
        return owner
    if not inspect.isclass(owner) and owner is not fk:
        return None
    return getattr(owner, node.attr, None) or ("gone" if not _is_field(owner, node.attr) else None)


def _is_field(owner, name):
    return any(name in getattr(kind, "__annotations__", {}) for kind in getattr(owner, "__mro__", ())) or (
        inspect.isclass(owner) and f"self.{name} =" in inspect.getsource(owner)
    )


def wrong_calls(source):
    """Return the names and keyword arguments of a block that featurekit does not have."""
    wrong = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and meant(node) == "gone":
            wrong.append(ast.unparse(node))
        if isinstance(node, ast.Call) and callable(function := meant(node.func)):
            known = inspect.signature(function).parameters
            takes_all = any(one.kind is one.VAR_KEYWORD for one in known.values())
            wrong += [
                f"{ast.unparse(node.func)}({word.arg}=)"
                for word in node.keywords
                if word.arg and word.arg not in known and not takes_all
            ]
    return wrong


@pytest.mark.parametrize("page", [page for page in PAGES if python_blocks(text_of(page))])
def test_code_of_a_page_calls_what_is_there(page):
    assert [wrong for block in python_blocks(text_of(page)) for wrong in wrong_calls(block)] == []


@pytest.mark.parametrize("page", PAGES)
def test_names_of_python_in_a_sentence_are_there(page):
    inline = re.findall(r"`((?:fk|results|model)\.[\w.]+)(?:\(\))?`", text_of(page))
    assert [name for name in inline if meant(ast.parse(name, mode="eval").body) == "gone"] == []


def test_calls_of_what_is_not_there_are_found():
    source = "fk.embed(data, mirrored=True)\nresults.plot.accurate()\nresults.frames()\nresults.plot.folds()"
    assert sorted(wrong_calls(source)) == ["fk.embed(mirrored=)", "results.frames", "results.plot.accurate"]


def test_the_backbone_of_the_page_on_plug_ins_computes():
    [block] = [one for one in python_blocks(text_of("docs/how_to/plugins.md")) if "brightness" in one]
    tree, names = ast.parse(block), {}
    tree.body.pop()  # which embeds a data set
    exec(compile(tree, "plugins.md", "exec"), names)
    vectors = names["brightness"](np.full((2, 32, 32, 3), 255, np.uint8))
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors, np.ones((2, 32)))
    assert "brightness" in set(fk.list_backbones()["name"])


# ---------------------------------------------------------------- pages that are made


def pages_in(nav):
    for one in nav:
        for value in one.values() if isinstance(one, dict) else [one]:
            yield from pages_in(value) if isinstance(value, list) else [value]


def test_the_navigation_has_every_page_once():
    nav = list(pages_in(yaml.safe_load(text_of("docs/mkdocs.yml"))["nav"]))
    written = {page.removeprefix("docs/") for page in PAGES if page.startswith("docs/")}
    assert sorted(nav) == sorted(written | MADE)


def test_the_reference_has_every_command_and_option(pages):
    page = pages["command_line"].command_line_page()
    n_options = 0
    for name, command, context in pages["command_line"].commands():
        section = page.split(f"\n## {name}\n")[1].split("\n## ")[0] if name != "featurekit" else page
        for one in command.get_params(context):
            word = one.opts[-1] if one.param_type_name == "option" else one.name.upper()
            assert word in section or one.name == "help", (name, word)
            n_options += 1
    assert n_options > 100
    assert unescaped_pipes(page) == []


def unescaped_pipes(page):
    """Return the rows of tables of two columns that have more."""
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    return [row for row in rows if len(re.findall(r"(?<!\\)\|", row)) != 3]


def test_the_reference_has_every_name_of_the_package():
    text = "\n".join(text_of(page) for page in PAGES if page.startswith("docs/reference/python/"))
    named = re.findall(r"^::: featurekit\.(\w+)$", text, re.MULTILINE)
    assert sorted(named) == sorted(set(fk.__all__) - {"__version__"})


def test_the_tutorial_is_shown_with_the_outputs_of_its_cells(pages, pictures):
    notebook = json.loads(text_of("docs/tutorial.ipynb"))
    stored = json.loads(text_of("docs/tutorial_outputs.json"))
    again = "Next: python benchmarks/pictures.py tutorial"
    code = {cell["id"]: cell for cell in notebook["cells"] if cell["cell_type"] == "code"}
    assert set(stored) == set(code), again
    for name, cell in code.items():
        assert stored[name]["source"] == sha256("".join(cell["source"]).encode()).hexdigest(), again
        assert stored[name]["shown"] == pictures.hash_of_outputs(stored[name]["outputs"]), again
    shown = [one for cell in stored.values() for one in cell["outputs"]]
    assert {one["value"] for one in shown if one["kind"] == "picture"} == {
        path.name for path in (DOCS / "pictures" / "tutorial").iterdir()
    }
    page = pages["tutorial_page"].notebook_page(DOCS / "tutorial.ipynb", DOCS / "tutorial_outputs.json")
    assert page.count("```python\n") == len(code)
    assert not re.search(r"/tmp/|/home/|/root/|/work/", page)


def test_links_of_the_repository_lead_to_pages_of_the_site(pages):
    text = (
        "[a](../tutorial.ipynb) [b](../../CHANGELOG.md#x) ![c](../../benchmarks/results/d.svg) [e](f.md)"
        " [g](../../reports/utkface-builtin/report.md) [tests/h](../../tests/h) [i](https://j.k/l.md) [m](#n)"
        " `[o](p.md)`\n```\n[q](r.md)\n```\n"
    )
    assert pages["site_links"].for_site(text, at="docs/how_to/page.md", page="how_to/page.md") == (
        "[a](../tutorial.md) [b](../changelog.md#x) ![c](../results/speed/d.svg) [e](f.md)"
        " [g](../reports/utkface-builtin/report.html) `tests/h` [i](https://j.k/l.md) [m](#n)"
        " `[o](p.md)`\n```\n[q](r.md)\n```\n"
    )


def test_the_page_on_results_lists_every_kept_comparison(pages):
    page = pages["kept_reports"].with_kept_reports(text_of("docs/results/index.md"), ROOT / "reports")
    kept = sorted(path.parent.name for path in ROOT.glob("reports/*/evidence.json"))
    assert len(kept) >= 2
    assert [name for name in kept if f"\n## {name}\n" in page] == kept
    assert page.count("| age_group |") == len(kept)


@pytest.mark.parametrize(
    "loads",
    [
        '<script src="https://a.b/c.js"></script>',
        "<img alt=x src=//a.b/c.png>",
        '<link rel="stylesheet" href="https://a.b/c.css">',
        "<style>@import 'https://a.b/c.css';</style>",
        "<style>i{background:url(https://a.b/c.png)}</style>",
    ],
)
def test_a_page_that_loads_anything_from_elsewhere_is_refused(pages, tmp_path, loads):
    page = tmp_path / "page.html"
    page.write_text('<a href="https://a.b">a link</a><script src="c.js"></script>')
    pages["requests_elsewhere"].requests_elsewhere(tmp_path)
    page.write_text(loads)
    with pytest.raises(Exception, match=r"page\.html loads (?:https:)?//a\.b/c"):
        pages["requests_elsewhere"].requests_elsewhere(tmp_path)


# ---------------------------------------------------------------- numbers


def constants():
    """Return pages, and what they say of constants of the code."""
    from featurekit.averages.cells import FEWEST_SUBJECTS
    from featurekit.estimators._networks.schedule import FROZEN_VIEWS
    from featurekit.estimators.fitted_features.eigenfaces import COMPONENTS
    from featurekit.evaluation.evidence import MARGIN_POINTS, MARGIN_YEARS
    from featurekit.networks.backbones.pixels import SIDE
    from featurekit.uncertainty.conformal import MISSED
    from featurekit.uncertainty.resampling import FEWEST, LEVEL
    from tests.faces.test_hostile_pictures import (
        bombs,
        made_up,
        test_every_damaged_picture_gives_pixels_or_a_status,
    )

    words = {3: "three", 6: "six", 9: "nine", 10: "ten"}
    nine = words[round(10 * (1 - MISSED))]
    [tried] = test_every_damaged_picture_gives_pixels_or_a_status.pytestmark
    damaged = max(getattr(one, "values", one)[1] for one in tried.args[1])
    kb = SIDE * SIDE * 3 / 1024
    return [
        ("docs/concepts/statistics.md", f"Slices of fewer than {FEWEST} subjects"),
        ("docs/concepts/statistics.md", f"A {LEVEL:.0%} confidence interval".replace("%", " %")),
        ("docs/concepts/statistics.md", f"{MARGIN_POINTS:g} point of accuracy, or {MARGIN_YEARS:g} years"),
        ("docs/how_to/report.md", f"{MARGIN_POINTS:g} point of accuracy, or {MARGIN_YEARS:g} years"),
        ("docs/concepts/prediction_sets.md", f"the true age of {nine} in ten people of each age"),
        ("docs/concepts/prediction_sets.md", f"significantly below {1 - MISSED:.0%}".replace("%", " %")),
        ("docs/how_to/predict.md", f"the true value for {nine} in ten people"),
        ("docs/how_to/estimators.md", f"the first {COMPONENTS} principal components"),
        ("docs/how_to/explain.md", f"A cell needs {words[FEWEST_SUBJECTS]} subjects"),
        ("docs/how_to/fine_tuning.md", f"{SIDE} × {SIDE} pixels, {kb:.0f} KB each"),
        ("docs/how_to/fine_tuning.md", f"{kb:.0f} KB per face, {kb * 20_000 / 1e6:.1f} GB for 20,000 faces"),
        ("docs/how_to/fine_tuning.md", f"each of {words[FROZEN_VIEWS]} augmented views"),
        ("docs/security.md", f"{damaged:,} damaged images of {len(made_up.pictures())} kinds"),
        ("docs/security.md", f"and {len(bombs())} decompression bombs"),
    ]


def test_numbers_in_sentences_are_those_of_the_code():
    for page, said in constants():
        assert said in " ".join(text_of(page).split()), (page, said)
