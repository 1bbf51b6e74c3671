"""The glossary: the terms of the report, README and help texts, with one line for each term.

docs/glossary.md is generated from this module (python benchmarks/kept_figures.py), and a report ends
with the terms that it uses.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """One term of the glossary.

    Attributes:
        name: the term.
        meaning: meaning of the term, in one or two sentences.
        pattern: regular expression that finds the term in a text, ignoring case; "" for the name itself in
            the singular or plural.
    """

    name: str
    meaning: str
    pattern: str = ""

    def is_in(self, text: str) -> bool:
        """Whether a text uses the term."""
        pattern = self.pattern or rf"{re.escape(self.name)}s?"
        return re.search(rf"(?<![\w-])(?:{pattern})(?![\w-])", text, re.IGNORECASE) is not None


# In alphabetical order.
TERMS = (
    Term(
        "abstain",
        "To make no prediction for a face because the confidence of the model is too low for it.",
        "abstain(s|ed|ing)?|abstention",
    ),
    Term("accuracy", "The share of faces whose class is predicted correctly."),
    Term(
        "accuracy within one group",
        "The share of faces whose predicted class is the true class or a neighbouring one; only for ordered"
        " classes such as age groups.",
        "(accuracy )?within one group",
    ),
    Term(
        "age assurance",
        "To make sure of somebody's age or that it is above a limit, e.g. by predicting it from an image.",
    ),
    Term(
        "audit",
        "Checks of a data set and its folds, e.g. for duplicates, label errors and subjects in several folds"
        " (`featurekit audit`).",
    ),
    Term(
        "average precision",
        "The mean precision of a class over all recalls, a summary of the precision–recall curve. 1 is"
        " perfect; guessing gives the share of the class among the faces.",
    ),
    Term(
        "backbone",
        "A pretrained network without its output layer, whose activations are used as an embedding of a"
        " face.",
    ),
    Term(
        "balanced accuracy",
        "The mean of the recalls of all classes. Every class has the same weight, however many faces it has.",
    ),
    Term(
        "baseline",
        "The model `majority`, which makes the same prediction for every face: the most frequent class of the"
        " training part, or its median age. A useful model has to be better.",
    ),
    Term(
        "cache",
        "The folder in which extracted faces and embeddings are stored, so that they are computed only once.",
    ),
    Term(
        "calibration error",
        "The mean distance between confidence and accuracy over bins of faces with similar confidence, also"
        " called expected calibration error. It is corrected for the bias due to chance.",
        "(expected |\\(expected\\) )?calibration errors?",
    ),
    Term(
        "Challenge 25",
        "A check of the legal age 18 that people pass who are predicted to be 25 or older; the others are"
        " asked for a document.",
    ),
    Term(
        "confidence",
        "The predicted probability of the predicted class.",
        r"confidence(?! intervals?)",
    ),
    Term(
        "confidence interval",
        "A range that would contain the true score in 95 % of samples. It is computed by drawing subjects,"
        " with all their faces, again and again (bootstrap).",
        "confidence intervals?|intervals? over subjects",
    ),
    Term(
        "conformal prediction",
        "A method that chooses prediction sets or prediction intervals, from the errors on other faces, so"
        " that they reach a given coverage.",
    ),
    Term(
        "confusion matrix",
        "A table that counts the faces of each true class (rows) by their predicted class (columns).",
        "confusion matri(x|ces)",
    ),
    Term(
        "coverage",
        "Of prediction sets or intervals: the share that contains the true class or age. Of a model that may"
        " abstain: the share of faces for which it makes a prediction.",
    ),
    Term(
        "default parameters",
        "The parameters that a model has if none are given; parameters with another value are non-default.",
        "(non-)?default parameters?",
    ),
    Term(
        "demographic parity",
        "Said of a model that predicts a class equally often in all groups of faces, whatever their true"
        " classes.",
    ),
    Term(
        "disparity",
        "How much the scores of a model differ between groups of faces: the largest minus the smallest"
        " (difference), or the smallest divided by the largest (ratio).",
        "disparit(y|ies)",
    ),
    Term(
        "effective rank",
        "The number of directions that the vectors of a feature set really use: the exponential of the"
        " entropy of the normalized singular values of the centred vectors (Roy and Vetterli 2007). At most"
        " the length of a vector.",
    ),
    Term(
        "embedding",
        "A vector of numbers that a backbone computes from the image of a face. It is the input of a"
        " classifier; also called a feature vector.",
        "embeddings?|feature vectors?",
    ),
    Term(
        "ensemble",
        "A model that averages the predictions of other models, its members, with equal or learned weights.",
    ),
    Term(
        "equalized odds",
        "Said of a model that predicts a class equally often in all groups of faces, among the faces of each"
        " true class.",
    ),
    Term(
        "false negative rate",
        "Of a check of a legal age: the share of the faces of people of this age or older that do not pass.",
    ),
    Term(
        "false positive rate",
        "Of a check of a legal age: the share of the faces of people under this age that pass.",
    ),
    Term(
        "feature set",
        "The embeddings that a model uses, joined by a plus sign, e.g. `dlib_age+dlib_face`. A layer"
        " follows a colon, e.g. `dlib_age:middle`.",
        "feature sets?|features",
    ),
    Term(
        "fitted per fold",
        "Said of a feature that is learned in the training part of each fold, such as `eigenfaces` (principal"
        " components of the pixels), instead of computed by a pretrained network.",
        "fitted per fold|eigenfaces",
    ),
    Term(
        "fold",
        "One of the disjoint parts into which the subjects are divided for cross-validation. The faces of"
        " each fold are predicted by a model that is fitted on the other folds.",
    ),
    Term(
        "hand-crafted feature",
        "An embedding that is computed by a fixed rule, without training, e.g. a histogram of the directions"
        " of the gradients of an image (`hog`).",
        "hand-crafted( features?)?",
    ),
    Term(
        "learning curve",
        "The score of a model by the number of its training faces, which shows whether more faces would help;"
        " of a network that is trained end to end also its score or loss by the number of epochs.",
    ),
    Term(
        "legal age",
        "The age in years from which something is allowed. A check of it lets people pass whose predicted age"
        " is a threshold or more.",
    ),
    Term(
        "log loss",
        "The mean negative logarithm of the probability of the true class, in nats. Lower is better, 0 is"
        " best.",
    ),
    Term(
        "macro-F1",
        "The mean of the F1 scores of all classes; F1 is the harmonic mean of precision and recall.",
    ),
    Term(
        "manifest",
        "The table of a prepared data set: a row for each face with its image, labels, subject and fold, and"
        " the reason if it is not used.",
    ),
    Term(
        "margin",
        "The largest loss, in points of accuracy or years, that a faster model may have against the best"
        " model to count as nearly as good.",
        "margins?|nearly as good|within [0-9.]+ (points?|years)",
    ),
    Term(
        "mean absolute error (MAE)",
        "The mean distance between the predicted and the true value, in years or in groups. Lower is better.",
        "mean absolute errors?|MAE",
    ),
    Term(
        "mean error",
        "The mean of the predicted minus the true age, also called bias. Above 0 people are predicted to be"
        " older than they are.",
    ),
    Term(
        "mean face",
        "The mean of the aligned images of many faces, such as all faces of one class that are predicted as"
        " another; each of at least ten subjects counts once.",
    ),
    Term(
        "model card",
        "A file that describes a model: its features, data, scores, licences and limitations. Each saved"
        " model has one, and `featurekit report --model-card` writes one in Hugging Face's format.",
    ),
    Term(
        "near duplicate",
        "The same image in another encoding, size or colour.",
        "near[ _]duplicates?",
    ),
    Term(
        "non-inferiority test",
        "A test that shows that a model is worse than another by less than a margin. A difference that is not"
        " significant does not show this.",
        "non-inferiority( tests?)?",
    ),
    Term(
        "occlusion map",
        "A map of how much a prediction changes if a part of the face is covered by a grey square: the"
        " probability that a class loses, or years.",
    ),
    Term(
        "off-the-shelf network",
        "A pretrained network that predicts the target with its own output layer, without any training here"
        " (the model `off_the_shelf`).",
        "off-the-shelf( networks?)?",
    ),
    Term(
        "p-value",
        "The probability of a difference at least as large as the observed one if there were none. It is"
        " adjusted for all comparisons of a table, and never smaller than the limit of its test, shown as"
        " “<”.",
        r"p-values?|p (<|≤|&lt;)? ?[01]\.\d+",
    ),
    Term(
        "Pareto front",
        "The models for which no other model is both faster and better.",
    ),
    Term(
        "permutation test",
        "A test that compares the observed difference with the differences after random exchanges that would"
        " change nothing if there were no difference.",
    ),
    Term(
        "pooled predictions",
        "The out-of-fold predictions of all folds, taken together as if they came from one model.",
        "pooled predictions?",
    ),
    Term(
        "precision–recall curve",
        "The precision of a class (the share of the faces that count as the class which are of it) by its"
        " recall, for every threshold of the probability of the class.",
        "precision–recall curves?",
    ),
    Term(
        "prediction interval",
        "A range of years that contains the true age with a given coverage.",
    ),
    Term(
        "prediction set",
        "A set of classes that contains the true class with a given coverage.",
    ),
    Term(
        "principal components",
        "The directions in which the vectors of all faces vary most, the first one most of all. A map of the"
        " faces shows the first two (PCA).",
        "principal components?|PCA",
    ),
    Term(
        "quadratic kappa",
        "Cohen's kappa with quadratic weights: the agreement beyond chance between ordered classes, where"
        " larger errors weigh more. 1 is perfect, 0 is chance.",
    ),
    Term(
        "recall",
        "The share of the faces of a class that are predicted as this class.",
    ),
    Term(
        "recipe",
        "All settings that determine an embedding: face detection, backbone, layer, weights and precision."
        " Its hash is the key in the cache.",
    ),
    Term(
        "regression target",
        "A target that is a number, such as the age in years, instead of a class.",
    ),
    Term(
        "reliability diagram",
        "A plot of accuracy against confidence. A perfectly calibrated model is on the diagonal.",
    ),
    Term(
        "risk",
        "The share of wrong predictions among the faces for which a model that may abstain makes a"
        " prediction.",
    ),
    Term(
        "ROC curve",
        "The share of the faces of a class that count as the class (true positive rate) by the share of all"
        " other faces that do (false positive rate), for every threshold of the probability of the class.",
        "ROC( and precision–recall)? curves?",
    ),
    Term(
        "ROC-AUC",
        "The area under the ROC curve: the probability that a face of a class gets a higher score for it"
        " than a face of another class. 0.5 is chance, 1 is perfect.",
    ),
    Term(
        "root mean square error (RMSE)",
        "The square root of the mean of the squared errors, in years. Large errors weigh more than in the"
        " mean absolute error.",
        "root mean square errors?|RMSE",
    ),
    Term(
        "RPS",
        "Ranked probability score: the mean squared error of the cumulative probabilities of ordered classes."
        " Lower is better, 0 is best.",
        "RPS|ranked probability scores?",
    ),
    Term(
        "seed",
        "The number that initializes the random number generator (`random_state` in scikit-learn). The same"
        " seed gives the same folds and results.",
        "seeds?|random_state",
    ),
    Term(
        "set apart",
        "Said of a run that is not in the ranking because it cannot be compared with the other runs, e.g."
        " because the labels have changed since.",
    ),
    Term(
        "sharpness",
        "How strong the edges between the eyes and the mouth of a face are: the variance of the Laplacian of"
        " the grey crop (`featurekit extract --backbone sharpness`), which is low for a blurred face. It also"
        " depends on contrast and noise, and has no unit, so its slices are thirds of the faces of the"
        " comparison.",
    ),
    Term(
        "slice",
        "The faces that share one label or two labels, e.g. all faces of one gender and age group.",
    ),
    Term(
        "split",
        "A division of the faces into a training part and a test part; each fold gives one split.",
        "splits?(?! to)",
    ),
    Term(
        "standard deviation",
        "The square root of the variance, written ±. Over the folds it describes how much a score varies"
        " between folds; it is not a confidence interval.",
        "standard deviations?|std",
    ),
    Term("subject", "A person in the data set. One subject can have several faces."),
    Term(
        "subject-exclusive",
        "Said of folds in which no subject is in both the training part and the test part.",
    ),
    Term(
        "target",
        "The label that is predicted: age, age group, gender, or any other column of the data set.",
    ),
    Term(
        "temperature scaling",
        "A correction of predicted probabilities by one number, the temperature, that does not change the"
        " predicted class. A temperature above 1 makes a model less confident.",
        "temperature( scaling)?",
    ),
    Term(
        "UMAP",
        "A method that places vectors on a map so that neighbours stay neighbours (McInnes and others 2018)."
        " Distances between far clusters, and their sizes, mean little.",
        "UMAP",
    ),
)


def terms_in(texts: Iterable[str]) -> tuple[Term, ...]:
    """Return the terms that occur in some texts, in alphabetical order.

    >>> [term.name for term in terms_in(["Risk at a coverage of 90 %"])]
    ['coverage', 'risk']
    """
    text = "\n".join(texts)
    return tuple(term for term in TERMS if term.is_in(text))


def glossary_page() -> str:
    """Return docs/glossary.md."""
    lines = [
        "# Glossary",
        "",
        "The terms of README, the reports and the help texts, one line each. A report ends with the lines"
        " of the terms that it uses.",
        "",
        *(f"- **{term.name}**: {term.meaning}" for term in TERMS),
    ]
    return "\n".join(lines) + "\n"
