"""The report of some results, and what leaves it: its tables as DataFrames, and the model card."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import pandas as pd

from featurekit.api._of_results import OfResults
from featurekit.api.telling import Shown, shown, warn
from featurekit.cache.store import Store
from featurekit.checked import checked
from featurekit.data.manifest import Manifest
from featurekit.errors import WorkspaceError
from featurekit.evaluation.evidence import target_of
from featurekit.evaluation.results import Run
from featurekit.evaluation.slices import Slice, slices_of
from featurekit.files import refuse_to_replace, write_text
from featurekit.project import ComparisonFolder
from featurekit.report.of_comparison import (
    Weighed,
    card_of,
    check_exports,
    check_page,
    check_profile,
    page_of,
    weigh,
    write,
)
from featurekit.report.select import targets_of
from featurekit.report.tables import frame_of, tables_of
from featurekit.urls import place_of


@checked()
class Exports:
    """The runs of a comparison with their evidence, as far as the report and what leaves it need them.

    Args:
        runs: the runs, each with the results of one model on one feature set for one target.
        folder: folder of the comparison.
        data: the data set; None if it is not available.
    """

    def __init__(self, runs: Sequence[Run], folder: Path, data: Manifest | None) -> None:
        self.runs, self.folder, self.data = tuple(runs), Path(folder), data

    @cached_property
    def _weighed(self) -> Weighed:
        with shown(True, "comparing", "pieces") as told:
            return weigh(
                self.folder, self.runs, self.data, any_margin=True, keep=self._are_all, progress=told
            )

    @property
    def _are_all(self) -> bool:
        """Whether these are all runs of the comparison."""
        all_runs = ComparisonFolder(self.folder).all_runs()
        return {run.name for run in self.runs} == {path.stem for path in all_runs}

    def report(
        self,
        path: str | Path | None = None,
        *,
        faces: str = "none",
        margin_points: float | None = None,
        margin_years: float | None = None,
        xlsx: bool = False,
        pdf: bool = False,
        legal_ages: int | Sequence[int] | None = None,
        profile: str | None = None,
        progress: Shown = True,
    ) -> Path:
        """Write the comparison report: an HTML page that works offline, and a Markdown file beside it.

        Args:
            path: file of the HTML page, such as "report.html" or "s3://bucket/report.html"; None for
                report.html in the folder of the comparison.
            faces: "thumb" to show the faces with the largest errors on the HTML page, or "none".
            margin_points: points of accuracy by which a cheaper model may be worse than the best one and
                still be recommended; None for 1.
            margin_years: years of mean absolute error by which a cheaper model of age may be worse than the
                best one and still be recommended; None for 0.1.
            xlsx: whether to write the tables into an Excel workbook beside the page too.
            pdf: whether to print the page as a PDF beside it too, by Chromium, Chrome or Edge.
            legal_ages: legal ages in years at which the model of age is judged; None for 13, 16, 18, 21 and
                25.
            profile: "age-assurance" to begin with predicted ages, and to list the targets of evaluations of
                age checks with what the best model has achieved; None for any readers.
            progress: whether to show a progress bar.

        Returns:
            Path of the HTML page.

        Raises:
            EngineError: openpyxl is not installed, or there is no browser that can print.
            WorkspaceError: the path is not an .html file, or a file that would be written exists and is not
                of a report; or a page with faces would be printed.
        """
        page = None if path is None else place_of(path)
        if page is not None and page.suffix.lower() not in (".html", ".htm"):
            raise WorkspaceError(f"A report is an .html file. Got '{page.name}' instead.")
        check_exports(xlsx=xlsx, pdf=pdf, faces=faces)
        check_profile(profile, self.runs)
        if page is not None:
            check_page(page, xlsx=xlsx, pdf=pdf)
        before: Weighed | None = self.__dict__.get("_weighed")
        has_choice = any(one is not None for one in (margin_points, margin_years, legal_ages))
        with shown(progress, "comparing", "pieces") as told:
            weighed = weigh(
                self.folder,
                self.runs,
                self.data,
                margin_points=margin_points,
                margin_years=margin_years,
                legal_ages=legal_ages,
                known=before.evidence if before else None,
                keep=page is None or (self._are_all and not has_choice),
                progress=told,
            )
        for text in weighed.warnings():
            warn(text)
        self._weighed = weighed
        store = Store(ComparisonFolder(self.folder).project.cache)
        return write(weighed, store, faces=faces, profile=profile, page=page, xlsx=xlsx, pdf=pdf)

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return all tables of the report, in its order, with the numbers of "Copy as CSV".

        Returns:
            Caption → table. The columns have the headings of the page with their units, so a share is in
            percent here, unlike in `frame()`. The further numbers of a cell, such as the ends of its
            interval, have columns of their own. Missing numbers are NaN.

        Example:
            >>> next(iter(results.tables().values()))    # doctest: +SKIP
        """
        return {table.caption: frame_of(table) for _, table in tables_of(page_of(self._weighed))}

    def model_card(
        self, model: str | None = None, target: str | None = None, *, path: str | Path | None = None
    ) -> str:
        """Return the model card of the best trained model of each target, in the format of Hugging Face.

        Args:
            model: name of a model, such as "svm", or of a run; None for the best one.
            target: the target; None for all targets.
            path: file or URL to write the card to as well; None to write none. `featurekit report
                --model-card` writes model_card.md beside the report.

        Returns:
            The card as Markdown. Its beginning is YAML with a "model-index", the scores for programs.

        Raises:
            WorkspaceError: there is no trained model; or the file exists and is not a model card of
                featurekit, or cannot be written.
        """
        card = None if path is None else place_of(path)
        if card is not None:
            refuse_to_replace(card, b'library_name: "featurekit"', "a model card")
        weighed = self._weighed
        compared = [run for run in weighed.runs if run.name not in weighed.apart]
        cards = _Cards(compared, weighed.evidence, weighed.folder, weighed.apart)
        runs = cards.described(target, model)
        text = card_of(weighed, runs, {run.name: cards.slices(run) for run in runs})
        if card is not None:
            write_text(card, text)
        return text


class _Cards(OfResults):
    """The models of some results that a model card can describe."""

    def described(self, target: str | None, model: str | None) -> list[Run]:
        """Return the run of a model, or without one the best trained run of the target or of each target.

        Raises:
            WorkspaceError: there is no trained model.
        """
        if model is not None:
            return [self._run(model, target)]
        names = targets_of(self._runs) if target is None else [self._target(target)]
        best = [next((run for run in self._ranked(name).runs if not run.is_baseline), None) for name in names]
        found = [run for run in best if run]
        if not found:
            raise WorkspaceError(
                "There is no trained model among these results, so there is nothing to write a model card"
                " of. Next: featurekit fit --model svm"
            )
        return found

    def slices(self, run: Run) -> Sequence[Slice]:
        """Return the scores of a run on the slices of the data, worst first; none without its predictions."""
        known = self._evidence.targets.get(run.target) if self._evidence else None
        if known is None:
            return ()
        if run.name in known.slices_of_runs:
            return known.slices_of_runs[run.name]
        outcomes = self._outcomes(run)
        return slices_of(outcomes, target_of(run), outcomes.tables[run.name], self._seed)
