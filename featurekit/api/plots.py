"""The figures of results, such as `results.plot.accuracy()` and `results.plot.confusion("svm")`."""

from featurekit.api._of_results import OfResults
from featurekit.checked import checked
from featurekit.errors import ModelError
from featurekit.evaluation.ages import CELL
from featurekit.evaluation.data_curve import load_curves
from featurekit.evaluation.results import Run
from featurekit.report.displays import accuracy as accuracies
from featurekit.report.displays import slices as worst_slices
from featurekit.report.displays.accuracy import AccuracyDisplay
from featurekit.report.displays.age_density import AgeDensityDisplay
from featurekit.report.displays.age_error import AgeErrorDisplay
from featurekit.report.displays.calibration import CalibrationDisplay
from featurekit.report.displays.confusion import ConfusionDisplay
from featurekit.report.displays.confusion_difference import ConfusionDifferenceDisplay, check_pair
from featurekit.report.displays.cost import CostDisplay
from featurekit.report.displays.curves import PrecisionRecallDisplay, RocDisplay
from featurekit.report.displays.data_curve import DataCurveDisplay
from featurekit.report.displays.folds import FoldsDisplay
from featurekit.report.displays.learning_curves import LearningCurvesDisplay, Measure
from featurekit.report.displays.risk_coverage import RiskCoverageDisplay
from featurekit.report.displays.slices import SlicesDisplay
from featurekit.report.select import targets_of


@checked()
class Plots(OfResults):
    """The figures of some results.

    Each method returns a display object, which a notebook shows if it is the last line of a cell. Its
    ``.plot(ax=None)`` draws the figure and returns the Matplotlib axes, ``.frame()`` returns the numbers of
    the figure as a DataFrame, and ``.help()`` explains the figure.

    The target can be left out if the results have only one target. A model is named as in the ranking
    ("svm"), or by the name of its run if several models have the same name.
    """

    def accuracy(self, target: str | None = None, *, most: int = accuracies.MOST) -> AccuracyDisplay:
        """Return the score of every model of a target, best first, with 95 % intervals over subjects.

        Args:
            target: the target. For age in years, the score is the mean absolute error.
            most: number of models to draw, best first; the baselines are drawn in addition.

        Raises:
            TargetError: the target is not given, and the results have several targets.
            UnknownNameError: there is no target with this name.

        Example:
            >>> results.plot.accuracy("gender").plot()    # doctest: +SKIP
        """
        return AccuracyDisplay.of(self._ranked(target), most=_at_least_one(most))

    def cost(self, target: str | None = None) -> CostDisplay:
        """Return the score of every trained model against the seconds it takes for 1,000 faces.

        Args:
            target: the target.

        Raises:
            TargetError: the target is not given, and the results have several targets.
            UnknownNameError: there is no target with this name.
            ModelError: no trained model has both a score and a time.
        """
        return CostDisplay.of(self._ranked(target))

    def confusion(self, model: str | None = None, target: str | None = None) -> ConfusionDisplay:
        """Return how often the faces of each true class were predicted to be of each class.

        Args:
            model: name of the model; None for the best trained model.
            target: the target, which must have classes.

        Raises:
            TargetError: the target has no classes, or it is not given and the results have several targets.
            UnknownNameError: there is no target or model with a given name, or several models have the name.

        Example:
            >>> results.plot.confusion("svm", "gender").frame()    # doctest: +SKIP
        """
        return ConfusionDisplay.of(self._run(model, target))

    def confusion_difference(
        self, first: str | None = None, second: str | None = None, target: str | None = None
    ) -> ConfusionDifferenceDisplay:
        """Return how the confusion matrices of two models differ, on the faces that both models predicted.

        Args:
            first: name of a model.
            second: name of the model that is subtracted. None for both compares the models that the report
                compares: the best trained model with the off-the-shelf network, or, without one, with the
                best trained model that is significantly different.
            target: the target, which must have classes.

        Raises:
            TargetError: the target has no classes, the models have different targets, or the target is not
                given and the results have several targets.
            UnknownNameError: there is no target or model with a given name, or several models have the name.
            ModelError: only one model is named, both are the same, or there is no second model.
            WorkspaceError: the predictions of a model are not in the folder of the comparison.

        Example:
            >>> results.plot.confusion_difference("svm", "mlp", "gender").frame()    # doctest: +SKIP
        """
        if first is None and second is None:
            ranked = self._ranked(target)
            known = ConfusionDifferenceDisplay.find(ranked)
            if known is None:
                raise ModelError(
                    f"There are no two models of {ranked.name} whose confusion matrices can be compared."
                )
            return known
        if first is None or second is None:
            raise ModelError("Only one model is named. Name two models, or none.")
        one, other = self._run(first, target), self._run(second, target)
        check_pair(one, other)
        tables = {run.name: self._table(run) for run in (one, other)}
        return ConfusionDifferenceDisplay.of(one, other, tables, self._seed)

    def roc(
        self, model: str | None = None, target: str | None = None, *, positive: str | None = None
    ) -> RocDisplay:
        """Return ROC curves: how many faces of a class are found, by the share of false alarms.

        Args:
            model: name of a model, for a curve of each class and their mean; None for the models that the
                report compares, with one curve each.
            target: the target, which must have classes.
            positive: the class against all others. None for the second of two classes (as in scikit-learn),
                or for the mean over more classes. With a class, only one model is drawn: the best trained
                one if no model is named.

        Raises:
            TargetError: the target has no classes, or it is not given and the results have several targets.
            UnknownNameError: there is no target, model or class with a given name, or several models have the
                name.
            ModelError: the predictions have no probabilities, or too few subjects have the class.
            WorkspaceError: the predictions of the model are not in the folder of the comparison.

        Example:
            >>> results.plot.roc("svm", "gender", positive="female").frame()    # doctest: +SKIP
        """
        run = self._run(model, target)
        is_default = model is None and positive is None
        known = RocDisplay.find(self._ranked(target)) if is_default else None
        return known or RocDisplay.of(run, self._table(run), self._seed, positive=positive)

    def precision_recall(
        self, model: str | None = None, target: str | None = None, *, positive: str | None = None
    ) -> PrecisionRecallDisplay:
        """Return precision–recall curves: how often an alarm is right, by the share of faces that are found.

        Args:
            model: name of a model, for a curve of each class and their mean; None for the models that the
                report compares, with one curve each.
            target: the target, which must have classes.
            positive: the class against all others; see roc().

        Raises:
            TargetError: the target has no classes, or it is not given and the results have several targets.
            UnknownNameError: there is no target, model or class with a given name, or several models have the
                name.
            ModelError: the predictions have no probabilities, or too few subjects have the class.
            WorkspaceError: the predictions of the model are not in the folder of the comparison.

        Example:
            >>> results.plot.precision_recall(target="gender").help()    # doctest: +SKIP
        """
        run = self._run(model, target)
        is_default = model is None and positive is None
        known = PrecisionRecallDisplay.find(self._ranked(target)) if is_default else None
        return known or PrecisionRecallDisplay.of(run, self._table(run), self._seed, positive=positive)

    def folds(self, target: str | None = None, *, most: int = accuracies.MOST) -> FoldsDisplay:
        """Return the score of every model of a target in each fold, best model first.

        Args:
            target: the target. For age in years, the score is the mean absolute error.
            most: number of models to draw, best first; the baselines are drawn in addition.

        Raises:
            TargetError: the target is not given, and the results have several targets.
            UnknownNameError: there is no target with this name.
            ModelError: no model has a score for each fold.

        Example:
            >>> results.plot.folds("gender").frame()    # doctest: +SKIP
        """
        return FoldsDisplay.of(self._ranked(target), most=_at_least_one(most))

    def calibration(self, model: str | None = None, target: str | None = None) -> CalibrationDisplay:
        """Return the accuracy of a model by its confidence (a reliability diagram).

        Args:
            model: name of the model; None for the best trained model.
            target: the target, which must have classes.

        Raises:
            TargetError: the target has no classes, or it is not given and the results have several targets.
            UnknownNameError: there is no target or model with a given name, or several models have the name.
            ModelError: the predictions have no probabilities.
            WorkspaceError: the predictions of the model are not in the folder of the comparison.
        """
        run = self._run(model, target)
        known = CalibrationDisplay.find(self._with_evidence(run))
        return known or CalibrationDisplay.of(run, self._table(run), self._seed)

    def risk_coverage(self, model: str | None = None, target: str | None = None) -> RiskCoverageDisplay:
        """Return the share of wrong predictions if a model abstains on the faces with the lowest confidence.

        Args:
            model: name of the model; None for the best trained model.
            target: the target, which must have classes.

        Raises:
            TargetError: the target has no classes, or it is not given and the results have several targets.
            UnknownNameError: there is no target or model with a given name, or several models have the name.
            ModelError: the predictions have no probabilities.
            WorkspaceError: the predictions of the model are not in the folder of the comparison.
        """
        run = self._run(model, target)
        known = RiskCoverageDisplay.find(self._with_evidence(run))
        return known or RiskCoverageDisplay.of(run, self._table(run))

    def age_error(self, model: str | None = None, target: str | None = None) -> AgeErrorDisplay:
        """Return the mean absolute error of a model for faces of each age.

        Args:
            model: name of the model; None for the best trained model.
            target: the target, which must be a regression target; None for the only regression target.

        Raises:
            TargetError: the target has classes.
            UnknownNameError: there is no target or model with a given name, or several models have the name.
            WorkspaceError: the predictions of the model are not in the folder of the comparison.
        """
        run = self._run_in_years(model, target)
        return AgeErrorDisplay.of(run, None if run.classes else self._table(run), self._seed)

    def age_density(
        self, model: str | None = None, target: str | None = None, *, years: int = CELL
    ) -> AgeDensityDisplay:
        """Return the number of faces by true and by predicted age, as shades of cells.

        Args:
            model: name of the model; None for the best trained model.
            target: the target, which must be a regression target; None for the only regression target.
            years: side of a cell in whole years, from 1 to 20.

        Raises:
            TargetError: the target has classes.
            UnknownNameError: there is no target or model with a given name, or several models have the name.
            ModelError: years is not a whole number from 1 to 20.
            WorkspaceError: the predictions of the model are not in the folder of the comparison.

        Example:
            >>> results.plot.age_density(years=5).frame()    # doctest: +SKIP
        """
        run = self._run_in_years(model, target)
        return AgeDensityDisplay.of(run, None if run.classes else self._table(run), years)

    def learning_curves(
        self, model: str | None = None, target: str | None = None, *, measure: Measure = "score"
    ) -> LearningCurvesDisplay:
        """Return how a network that is trained end to end learned, epoch by epoch and fold by fold.

        The score by the number of training faces (`featurekit fit --learning-curve`) is data_curve().

        Args:
            model: name of the model; None for the best model that has a training history.
            target: the target.
            measure: "score" (accuracy, or mean absolute error) or "loss".

        Raises:
            TargetError: the target is not given, and the results have several targets.
            UnknownNameError: there is no target or model with a given name, or several models have the name.
            ModelError: the model was not trained end to end.
        """
        if model is None:
            model = next((run.name for run in self._ranked(target).runs if run.training), None)
        return LearningCurvesDisplay.of(self._run(model, target), measure=measure)

    def data_curve(self, model: str | None = None, target: str | None = None) -> DataCurveDisplay:
        """Return the score of a model by the number of training faces: would more faces help?

        Scikit-learn calls this a learning curve. The model has to be fitted on parts of the training faces
        first, by ``fk.evaluate(…, learning_curve=True)`` or `featurekit fit --learning-curve`.

        Args:
            model: name of the model; None for the best model that has such a curve.
            target: the target.

        Raises:
            TargetError: the target is not given, and the results have several targets.
            UnknownNameError: there is no target or model with a given name, or several models have the name.
            ModelError: the model was not fitted on parts of the training faces.

        Example:
            >>> results.plot.data_curve("svm", "gender").help()    # doctest: +SKIP
        """
        if model is None:
            model = next(iter(load_curves(self._folder, self._ranked(target).runs)), None)
        return DataCurveDisplay.read(self._run(model, target), self._folder)

    def slices(
        self, model: str | None = None, target: str | None = None, *, most: int = worst_slices.MOST
    ) -> SlicesDisplay:
        """Return the slices of the faces that a model predicts worst, with 95 % intervals over subjects.

        Args:
            model: name of the model; None for the best trained model.
            target: the target.
            most: number of slices to draw, worst first.

        Raises:
            TargetError: the target is not given, and the results have several targets.
            UnknownNameError: there is no target or model with a given name, or several models have the name.
            ModelError: no label of the data set is known for enough subjects.
            WorkspaceError: the predictions of the model are not in the folder of the comparison.
        """
        run, most = self._run(model, target), _at_least_one(most)
        known = SlicesDisplay.find(self._with_evidence(run), most=most)
        return known or SlicesDisplay.of(run, self._outcomes(run), self._seed, most=most)

    def _run_in_years(self, model: str | None, target: str | None) -> Run:
        """Return the run of a model; the only regression target can be left out."""
        in_years = sorted({run.target for run in self._runs if not run.classes})
        if target is None and len(in_years) == 1 and not any(run.name == model for run in self._runs):
            target = in_years[0]
        return self._run(model, target)

    def __repr__(self) -> str:
        names = sorted(name for name in dir(self) if not name.startswith("_"))
        return f"<Plots of {', '.join(targets_of(self._runs))}: {', '.join(f'.{name}()' for name in names)}>"


def _at_least_one(most: int) -> int:
    if most < 1:
        raise ModelError(f"most must be at least 1. Got {most} instead.")
    return most
