"""Published results on Adience, and whether they can be compared with the results of the report.

Every number was copied from the source that is named next to it. ± is the standard deviation over the
five official folds, as the source gives it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from featurekit.evaluation.results import Run
from featurekit.report.cells import ABSENT, SHARE, finite, value_cell
from featurekit.report.model import Cell, Column, Section, Table
from featurekit.report.select import Ranked

YES = "yes"
FACES = {"age_group": 17_424, "gender": 17_603}  # number of faces in the published protocol
NEARLY_ALL = 0.95  # share of these faces that must be scored; no face may be found in some images
_LAPUSCHKIN = "the authors' README (understanding-age-gender-deep-learning-models)"
_CVXTZ = "README of CVxTz/face_age_gender"


class Anchor(NamedTuple):
    """One published result.

    Attributes:
        method: name of the method, and the publication.
        age, within_one_group, gender: accuracies in percent, as printed in the source; "" if not given.
        same_test: "yes", or "no" with the reason why the result cannot be compared.
        source: page from which the numbers were copied.
    """

    method: str
    age: str
    within_one_group: str
    gender: str
    same_test: str
    source: str


ADIENCE = (
    Anchor("LBP + FPLBP + dropout SVM (Eidinger et al. 2014)", "45.1 ± 2.6", "", "76.1 ± 0.9", YES, _CVXTZ),
    Anchor(
        "Three convolutions, one crop (Levi & Hassner 2015)", "49.5", "84.6", "85.9", YES, "paperswithcode"
    ),
    Anchor(
        "Three convolutions, over-sampled (Levi & Hassner 2015)",
        "50.7 ± 5.1",
        "84.7",
        "86.8 ± 1.4",
        YES,
        f"paperswithcode; {_CVXTZ}",
    ),
    Anchor("CaffeNet, ImageNet (Lapuschkin et al. 2017)", "51.7", "87.6", "90.0", YES, _LAPUSCHKIN),
    Anchor("VGG-16, ImageNet (Lapuschkin et al. 2017)", "53.8", "88.2", "92.0", YES, _LAPUSCHKIN),
    Anchor("Three ResNet-50, ImageNet, bagged", "57.1 ± 5.3", "", "89.4 ± 1.4", YES, _CVXTZ),
    Anchor(
        "GoogleNet, ImageNet, mixed alignment (Lapuschkin et al. 2017)",
        "58.8",
        "92.7",
        "92.0",
        YES,
        _LAPUSCHKIN,
    ),
    Anchor("DAGER 2017, private data", "61.3 ± 3.7", "", "91.0", YES, f"{_CVXTZ}; the vendor's page"),
    Anchor(
        "VGG-16, IMDB-WIKI, mixed alignment (Lapuschkin et al. 2017)",
        "63.0",
        "96.0",
        "92.3",
        YES,
        _LAPUSCHKIN,
    ),
    Anchor("RoR-34, IMDB-WIKI (2017)", "66.7", "", "", YES, "beta.hyper.ai, arXiv 1710.02985"),
    Anchor(
        "MiVOLO-D1 (2023)", "68.69", "", "96.51", "no: 18,622 faces, lenient labels", "the authors' README"
    ),
    Anchor("MiVOLOv2-D1-384 (2024)", "69.43", "", "97.39", "no: other faces", "the authors' README"),
    Anchor(
        "ViT-hSeq (2024)",
        "84.91",
        "",
        "96.56",
        "no: its split is not known to be subject-exclusive",
        "beta.hyper.ai, arXiv 2403.12483",
    ),
)


def sections(ranked: Sequence[Ranked], runs: Sequence[Run]) -> list[Section]:
    """Return published results next to the best models here; nothing for other folds than Adience's."""
    if {(run.dataset.get("name"), run.folds.get("kind")) for run in runs} != {("adience", "official")}:
        return []
    trained = {of.name: [run for run in of.runs if not run.is_baseline] for of in ranked}
    best = {target: trained[target][0] for target in FACES if trained.get(target)}

    def own(target: str, score: str) -> Cell:
        stored = best[target].scores.get(score, {}) if target in best else {}
        std = finite(stored.get("std"))
        around = "" if std is None else f"± {SHARE.format(std)}"
        return value_cell(SHARE, finite(stored.get("mean")), around=around, is_strong=True)

    def published(text: str) -> Cell:
        mean, _, std = text.partition(" ± ")
        return Cell(mean, float(mean), around=f"± {std}" if std else "") if text else Cell(ABSENT)

    columns = (
        Column("Method"),
        Column("Age group, accuracy", "%", is_number=True),
        Column("Age group, within one group", "%", is_number=True),
        Column("Gender, accuracy", "%", is_number=True),
        Column("Comparable?"),
        Column("Source"),
    )
    ours = (
        Cell("the best models of this comparison"),
        own("age_group", "accuracy"),
        own("age_group", "within_one_group"),
        own("gender", "accuracy"),
        Cell(_same_test(best)),
        Cell("this report"),
    )
    rows = [
        (
            Cell(one.method),
            published(one.age),
            published(one.within_one_group),
            published(one.gender),
            Cell(one.same_test),
            Cell(one.source),
        )
        for one in ADIENCE
    ]
    note = (
        "A published result is comparable if it was evaluated on Adience's official folds and on (nearly) the"
        " same faces. ± is the standard deviation over the folds."
    )
    table = Table("Adience: published results", columns, (ours, *rows), note, is_sortable=True)
    return [Section("Published results", (table,))]


def _same_test(best: Mapping[str, Run]) -> str:
    """Return "yes", or the number of faces that the models were scored on if there are too few."""
    few = (name for name, run in best.items() if run.n_tested < NEARLY_ALL * FACES[name])
    return next((f"no: {best[name].n_tested:,} of {FACES[name]:,} faces" for name in few), YES)
