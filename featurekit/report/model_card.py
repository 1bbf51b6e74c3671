"""The model card of models of a comparison, in the format of Hugging Face.

A card is a Markdown file. It begins with facts for programs as YAML: the library, the licence,
and the scores as a "model-index" (https://huggingface.co/docs/hub/model-cards). Its sections
are those of Mitchell et al. 2019, "Model Cards for Model Reporting": details, uses, data,
metrics overall and by slice, and limitations. All numbers and licences are those of the report.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from featurekit.checks.audit import Audit
from featurekit.evaluation.results import Run
from featurekit.evaluation.scores import score_kind
from featurekit.evaluation.slices import Slice
from featurekit.report.cells import (
    ABSENT,
    SHARE,
    count_cell,
    interval_cell,
    listed,
    score_title,
    sentences,
    size_cell,
    value_cell,
)
from featurekit.report.markdown import lines_of
from featurekit.report.model import (
    SYNTHETIC,
    Block,
    Blocks,
    Cell,
    Code,
    Column,
    Points,
    Table,
    Text,
    section_of,
)
from featurekit.report.page import numbered
from featurekit.report.sections import caveats
from featurekit.report.sections.dropped import terms_of
from featurekit.report.sections.made_by import introduction, made_by, report_command
from featurekit.report.sections.provenance import weights_of, weights_table
from featurekit.report.sections.slices import slices_table
from featurekit.report.select import Ranked, headline, in_order, mean_of, means_outside, target_title
from featurekit.text import counted, markdown, visible
from featurekit.version import __version__

LIBRARY = "featurekit"
# The licence of a model follows from those of its weights and of its training data.
_LICENCE, _LICENCE_NAME = "other", "licences-of-the-weights-and-the-data"
# Score → the metric of Hugging Face with its arguments; other scores keep their names.
_METRICS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "macro_f1": ("f1", {"average": "macro"}),
    "mae_years": ("mae", {}),
    "mae_groups": ("mae", {}),
}


def render_model_card(
    title: str,
    models: Sequence[Ranked],
    known: Sequence[Run],
    slices: Mapping[str, Sequence[Slice]],
    audit: Audit | None = None,
) -> str:
    """Return the model card of some models as Markdown. The same models always give the same text.

    Args:
        title: name of the comparison.
        models: the models, at most one for each target: a Ranked with one run and the target's evidence.
        known: all runs of the comparison, including the members of ensembles.
        slices: name of each run → its scores on the slices of the data, worst first.
        audit: findings on the data set; None if there is no audit.
    """
    runs = [of.runs[0] for of in models]
    is_synthetic = any(bool(run.dataset.get("synthetic")) for run in runs)
    synthetic = f"All images are {SYNTHETIC}. The numbers say nothing about real faces."
    sections = [
        section_of("Model details", _details(models, runs)),
        section_of("Intended use", [Points(_INTENDED)]),
        section_of("Out-of-scope use", [Points(_OUT_OF_SCOPE)]),
        section_of("Data", _data(models, runs)),
        section_of("Metrics", _metrics(models, slices)),
        section_of("Limitations", caveats.blocks(models, is_synthetic=is_synthetic)),
        section_of("How to reproduce the results", _reproduced(models, known, title, audit)),
    ]
    what = counted(len(runs), "model", "models")
    lines = [
        "---",
        *_yaml(_front_matter(models)),
        "---",
        "",
        f"# {markdown(title)}{f' ({SYNTHETIC})' if is_synthetic else ''}",
        "",
        f"{what} of the comparison {markdown(title)}, made by featurekit.",
        "",
        *([f"**Caution:** {markdown(synthetic)}", ""] if is_synthetic else []),
    ]
    for section in numbered(sections, is_synthetic):
        lines += lines_of(section)
    return "\n".join(lines).rstrip("\n") + "\n"


_INTENDED = (
    ("Comparing methods.", "The scores say how well this way of predicting a label does on this data set."),
    (
        "Describing sets of images.",
        "Predictions can be summed up over many faces from the same source, with the error rates below.",
    ),
    (
        "Research and development",
        "within the terms of the weight files and of the data set, which are listed on this card.",
    ),
)
_OUT_OF_SCOPE = (
    ("Surveillance and identification.", "The models are not made to recognize a person or to watch people."),
    (
        "Decisions about a person,",
        "such as access, hiring, policing or insurance. An age check needs an evaluation of its own, on the"
        " people, the camera and the light where it is used.",
    ),
    (
        "Statements about identity.",
        "A model predicts how old a face looks, or which label it is given. It cannot know the age, the"
        " gender or the ethnicity of a person.",
    ),
    (
        "Other sources of images.",
        "The scores do not apply to images that were made or selected in another way.",
    ),
)


def _details(models: Sequence[Ranked], runs: Sequence[Run]) -> Blocks:
    columns = (
        Column("Target"),
        Column("Model", is_code=True),
        Column("Features", is_code=True),
        Column("Vector length", is_number=True),
        Column("Parameters", is_code=True),
        Column("Device and precision"),
        Column("Size", is_number=True, copied_unit="bytes"),
        Column("Run", is_code=True),
    )
    rows = tuple(
        (
            Cell(of.title),
            Cell(run.classifier_name),
            Cell(run.features),
            count_cell(run.dim) if run.dim else Cell(ABSENT),
            Cell(listed(run.parameters) or ABSENT),
            Cell(_used(run)),
            size_cell(run.bytes_on_disk),
            Cell(run.name),
        )
        for of, run in zip(models, runs, strict=True)
    )
    answers = [
        f"{of.title} ({', '.join(run.classes) if run.classes else 'a number'})"
        for of, run in zip(models, runs, strict=True)
    ]
    versions = sorted({str(run.versions.get("featurekit", "")) for run in runs} - {""})
    weights = weights_of(runs)
    return [
        Text(
            "A face is found and aligned, and each model predicts its label from the features in the table."
            f"{' The weight files of the networks that are used are listed below.' if weights else ''}"
            f" Targets: {'; '.join(answers)}."
        ),
        Text(f"Fitted with featurekit {', '.join(versions)}; this card was written by {__version__}.")
        if versions
        else None,
        Table("Models", columns, rows),
        weights_table(weights, "Weight files and their licences") if weights else None,
    ]


def _used(run: Run) -> str:
    """Return engine, device and precision that the networks of a run used, e.g. "openvino, cpu, fp32"."""
    got = run.hardware.get("got")
    used = [one for one in got.values() if isinstance(one, Mapping)] if isinstance(got, Mapping) else []
    found = [
        ", ".join(str(one[key]) for key in ("engine", "device", "precision") if key in one) for one in used
    ]
    return "; ".join(dict.fromkeys(found)) or ABSENT


def _data(models: Sequence[Ranked], runs: Sequence[Run]) -> Blocks:
    columns = (
        Column("Target"),
        Column("Data set"),
        Column("Terms of the data set"),
        Column("Rows", is_number=True),
        Column("Labelled rows", is_number=True),
        Column("Faces scored", is_number=True),
        Column("Subjects", is_number=True),
        Column("Folds", is_number=True),
    )
    rows = tuple(
        (
            Cell(of.title),
            Cell(str(run.dataset.get("name") or ABSENT)),
            Cell(terms_of(run.dataset) or ABSENT),
            count_cell(run.dataset.get("n_rows") or 0),
            count_cell(run.n_labelled),
            count_cell(run.n_tested),
            count_cell(run.n_subjects),
            count_cell(run.folds.get("number") or 0),
        )
        for of, run in zip(models, runs, strict=True)
    )
    return [
        Text(
            "The same data are used for training and for testing, by cross-validation: each face is predicted"
            " by a model that was fitted without any face of its subject."
        ),
        Table("Data", columns, rows),
    ]


def _metrics(models: Sequence[Ranked], slices: Mapping[str, Sequence[Slice]]) -> Blocks:
    blocks: list[Block | None] = []
    for of in models:
        run = of.runs[0]
        blocks += [
            _scores_table(of, run, f"{of.title}: scores of {run.classifier_name}"),
            _slices_table(run, slices.get(run.name, ()), f"{of.title}: scores on slices, worst first"),
        ]
    return blocks


def _scores_table(of: Ranked, run: Run, caption: str) -> Table:
    estimates = of.evidence.estimates.get(run.name, {}) if of.evidence else {}
    columns = (
        Column("Score"),
        Column("Value", others=("low", "high"), is_number=True),
        Column("Standard deviation over the folds", is_number=True),
        Column("On all labelled rows", is_number=True),
    )

    def cells(name: str) -> tuple[Cell, ...]:
        kind, mean, known = score_kind(name), mean_of(run, name), estimates.get(name)
        unit = f", {kind.unit}" if kind.unit else ""
        return (
            Cell(score_title(kind) + unit),
            interval_cell(kind, mean, known.low, known.high)
            if known and mean is not None
            else value_cell(kind, mean),
            value_cell(kind, run.scores[name].get("std")),
            value_cell(kind, run.scores_all_rows.get(name, {}).get("mean")),
        )

    note = sentences(
        "Values are means over the folds, on the faces that were found. In parentheses: 95 % confidence"
        " interval over subjects, for the pooled predictions of all folds. On all labelled rows, an"
        " image without a face counts as wrong.",
        means_outside([run], of.evidence, map(score_kind, run.scores)),
    )
    return Table(caption, columns, tuple(cells(name) for name in in_order(run.scores)), note)


def _slices_table(run: Run, slices: Sequence[Slice], caption: str) -> Table | None:
    note = (
        "A slice is the set of faces with one label, or with two labels. In parentheses: 95 % confidence"
        " interval over subjects, and the p-value of the gap, adjusted for all slices. Bold: the model is"
        " significantly worse on the slice."
    )
    return slices_table(slices, headline([run]), caption, note) if slices else None


def _reproduced(models: Sequence[Ranked], known: Sequence[Run], title: str, audit: Audit | None) -> Blocks:
    evidence = [of.evidence for of in models if of.evidence]
    command = report_command(title, known, evidence, has_card=True)
    commands = made_by([of.runs[0] for of in models], known, title, audit, command)
    return [Text(introduction(commands)), Code(commands)]


# ---------------------------------------------------------------- the facts for programs


def _front_matter(models: Sequence[Ranked]) -> dict[str, Any]:
    """Return what Hugging Face reads of a card."""
    runs = [of.runs[0] for of in models]
    classes = all(run.classes for run in runs)
    types = [_METRICS.get(name, (name, {}))[0] for run in runs for name in in_order(run.scores)]
    return {
        "library_name": LIBRARY,
        "license": _LICENCE,
        "license_name": _LICENCE_NAME,
        **({"pipeline_tag": "image-classification"} if classes else {}),
        "tags": list(dict.fromkeys((LIBRARY, "faces", *(run.target for run in runs)))),
        "metrics": list(dict.fromkeys(types)),
        "model-index": [{"name": run.name, "results": [_result(run)]} for run in runs],
    }


def _result(run: Run) -> dict[str, Any]:
    """Return the scores of a run as one entry of a model index."""
    name = str(run.dataset.get("name") or "data set without a name")
    is_synthetic = bool(run.dataset.get("synthetic"))
    return {
        "task": {
            "type": "image-classification" if run.classes else "other",
            "name": target_title(run.target) + ("" if run.classes else " (regression)"),
        },
        "dataset": {
            "type": name,
            "name": f"{name} ({SYNTHETIC})" if is_synthetic else name,
            "split": f"cross-validation, {run.folds.get('number', '?')} folds",
        },
        "metrics": [
            _metric(score, mean)
            for score in in_order(run.scores)
            if (mean := mean_of(run, score)) is not None
        ],
    }


def _metric(score: str, mean: float) -> dict[str, Any]:
    kind = score_kind(score)
    of, arguments = _METRICS.get(score, (score, {}))
    # A share is between 0 and 1, as in Results.frame().
    unit = f", {kind.unit}" if kind.unit not in ("", SHARE.unit) else ""
    return {
        "type": of,
        "name": score_title(kind) + unit,
        "value": mean,
        **({"args": dict(arguments)} if arguments else {}),
        "verified": False,
    }


def _yaml(value: Mapping[str, Any], indent: str = "") -> list[str]:
    """Return a mapping as lines of YAML; all texts are quoted, so no text is read as something else."""
    lines = []
    for key, one in value.items():
        if isinstance(one, Mapping):
            lines += [f"{indent}{key}:", *_yaml(one, f"{indent}  ")]
        elif isinstance(one, list):
            lines.append(f"{indent}{key}:")
            for item in one:
                inner = _yaml(item, "") if isinstance(item, Mapping) else [_scalar(item)]
                lines += [f"{indent}{'  ' if number else '- '}{line}" for number, line in enumerate(inner)]
        else:
            lines.append(f"{indent}{key}: {_scalar(one)}")
    return lines


def _scalar(value: object) -> str:
    """Return a text, a number or a truth value as YAML writes it.

    >>> _scalar("yes"), _scalar(0.5), _scalar(1e-7), _scalar(False)
    ('"yes"', '0.5', '0.0', 'false')
    """
    if isinstance(value, float):
        digits = f"{value:.6f}".rstrip("0")
        return f"{digits}0" if digits.endswith(".") else digits
    # Quotes and backslashes are escaped alike in JSON and in YAML; hidden characters are written out before.
    return json.dumps(visible(value) if isinstance(value, str) else value, ensure_ascii=False)
