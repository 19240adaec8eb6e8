"""SHAP values of forests, exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pipeline.attribution import ATTRIBUTIONS, Case
from pipeline.attribution._asked import asked_case, day_weights, refuse_quantity
from pipeline.attribution.baseline import Baseline
from pipeline.attribution.maps import MapMethod
from pipeline.attribution.subject import Subject
from pipeline.backend import Backend
from pipeline.model_config import ModelConfig
from pipeline.trees import TreePart

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.backend.trees import TreeExplainer


_RANK = 1e-12


@ATTRIBUTIONS.register("tree_shap")
class TreeShap(MapMethod):
    """Interventional TreeSHAP of the forests behind a model (Lundberg et al. 2020, doi:10.1038/s42256-019-0138-9).

    Exact Shapley values of what a forest reads, the same row with the baseline's draws for background: they add up to
    the departure from the baseline, as those of the other methods do. What the forest reads is made of input cells, and
    its part is shared over them: a lag's is that cell's, a mean's or a deviation's is spread evenly over its steps or
    its box, a principal component's by its squared loadings. Sums stay what they are; within a component or a mean the
    shares are a convention. It is of the mean, and of a segmentation of the probabilities of classes, the numbers that
    trees answer. Work grows with trees, cells of the question, days and draws.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"trees"})
    has_baseline: ClassVar[bool] = True
    complete: ClassVar[bool] = True
    quantities: ClassVar[frozenset[str]] = frozenset({"mean", "probability"})
    title: ClassVar[str] = "TreeSHAP"

    @classmethod
    def unsuited(cls, model: ModelConfig, classes: int) -> str:
        """Return why: members of leaves have another mean than the trees."""
        members = getattr(model, "distribution", None) == "members"
        return "with distribution: members, whose mean is not that of its trees" if members else ""

    def attribute(self, subject: Subject, inputs: Tensor, which: Tensor, baseline: Baseline) -> Tensor:
        """Return the attributions of some explained days.

        Raises
        ------
        ConfigError
            If the explained number is no sum of what trees answer.
        """
        case = asked_case(subject, "tree_shap")
        classes = bool(case.samples.schema.classes)
        refuse_quantity("tree_shap", case.question.quantity, "probability" if classes else "mean")
        known: dict[int, TreeExplainer] = {}

        def explainer(part: TreePart) -> TreeExplainer:
            key = id(part.forest)
            if key not in known:  # reading the trees takes longer than a call
                known[key] = case.context.backend.tree_explainer(part.forest)
            return known[key]

        return subject.passes.over(
            len(inputs), lambda part: _values(case, inputs[part], which[part], baseline, explainer)
        )

    def detail(self, subject: Subject, baseline: Baseline) -> str:
        """Return how many rows the background has."""
        rows = f"{baseline.count} rows" if baseline.count > 1 else "one row"
        return f"interventional, against {rows} of background at each cell"


def _values(
    case: Case, inputs: Tensor, which: Tensor, baseline: Baseline, explainer: Callable[[TreePart], TreeExplainer]
) -> Tensor:
    backend, days = case.context.backend, which.cpu().numpy()
    samples = case.samples.take(days)
    asked = samples.with_inputs(backend.from_torch(inputs.contiguous()))
    # A baseline that is the same on all days is worked out for one of them.
    same = baseline.fields.shape[1] == 1
    first = samples.take(slice(0, 1)) if same else samples
    starts = [
        first.with_inputs(backend.from_torch(baseline.at(draw, which[: len(first)]).contiguous()))
        for draw in range(baseline.count)
    ]
    total = backend.xp.zeros(asked.inputs.shape, dtype=backend.xp.float64)
    for part in case.model.tree_parts(samples, day_weights(case.question, days), case.context):
        rows = backend.to_host(part.rows(asked))
        background = np.stack([backend.to_host(part.rows(start)) for start in starts], axis=2)
        total = total + part.spread(backend.asarray(_of_rows(part, rows, background, explainer(part), backend)))
    found: Tensor = backend.to_torch(total)
    return found.to(inputs.dtype)


def _of_rows(
    part: TreePart, rows: np.ndarray, background: np.ndarray, explain: TreeExplainer, backend: Backend
) -> np.ndarray:
    """Return the parts of features, float64, shape (time, item, feature).

    Parameters
    ----------
    part : TreePart
        Whose weights add up the outputs.
    rows : ndarray of float32, shape (time, item, feature)
        That are explained.
    background : ndarray of float32, shape (1 or time, item, draw, feature)
        Against what.
    explain : TreeExplainer
        Of the part's forest.
    backend : Backend
        Of ``explain``.
    """
    times, items, features = rows.shape
    weights = backend.to_host(part.weights)
    weights = np.broadcast_to(weights, (times, *weights.shape[1:])).reshape(times * items, -1)
    flat, found = rows.reshape(times * items, features), np.zeros((times * items, features))
    sums, amounts = _few_sums(weights)
    if not sums.size:
        return found.reshape(rows.shape)
    for chosen, against in _groups(background, times):
        parts = backend.to_host(explain(backend.asarray(flat[chosen]), backend.asarray(against), sums))
        found[chosen] = np.einsum("rfs,rs->rf", parts, amounts[chosen])
    return found.reshape(rows.shape)


def _few_sums(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return as few sums of outputs as make all weights, shape (output, sum), and how much of each, (row, sum).

    Examples
    --------
    >>> sums, amounts = _few_sums(np.array([[1.0, 2.0], [2.0, 4.0], [0.0, 0.0]]))
    >>> sums.shape, (amounts @ sums.T).round(9).tolist()
    ((2, 1), [[1.0, 2.0], [2.0, 4.0], [0.0, 0.0]])
    """
    _, size, turned = np.linalg.svd(weights, full_matrices=False)
    sums = turned[size > _RANK * size.max(initial=0.0)].T
    return sums, weights @ sums


def _groups(background: np.ndarray, times: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield positions among (time * item) rows with the same background, and that, shape (draw, feature)."""
    own, items, draws, features = background.shape
    flat = np.ascontiguousarray(background).reshape(own * items, draws * features)
    found, inverse = np.unique(flat, axis=0, return_inverse=True)
    each = np.broadcast_to(inverse.reshape(own, items), (times, items)).ravel()
    order = np.argsort(each, kind="stable")
    bounds = np.flatnonzero(np.diff(each[order])) + 1
    for number, chosen in enumerate(np.split(order, bounds)):
        yield chosen, found[number].reshape(draws, features)
