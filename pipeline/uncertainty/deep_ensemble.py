"""Deep ensembles: the same model from different seeds, and their disagreement as uncertainty."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from pipeline.errors import RunFolderError, TrainingError, TraitError
from pipeline.model import Context, Model, read_config, write_config
from pipeline.model_config import ModelConfig
from pipeline.prediction import FAMILIES, Prediction
from pipeline.samples import Samples
from pipeline.uncertainty import UNCERTAINTY, MemberSource, Part, UncertaintyMethod

_LEAST = 2


class DeepEnsembleConfig(ModelConfig):
    """Options of a deep ensemble."""

    members: int = Field(default=5, ge=_LEAST, description="How many members are fitted.")
    bagged: bool = Field(
        default=False,
        description="Whether every member is fitted on blocks of the train split drawn with replacement (whole years "
        "or seasons where there are enough), not on all of it.",
    )
    stacked: Literal["auto"] | bool = Field(
        default="auto",
        description="Whether members of a network are trained as one: true, false, or auto, where steps timed on this "
        "machine, once, are clearly faster so.",
    )

    @model_validator(mode="after")
    def _learn_from_the_same(self) -> DeepEnsembleConfig:
        if self.bagged and self.stacked is True:
            raise ValueError(
                "expected stacked: auto or false with bagged: true, whose members learn from other samples, got true"
            )
        return self


@UNCERTAINTY.register("deep_ensemble")
class DeepEnsemble(UncertaintyMethod):
    """A deep ensemble (Lakshminarayanan et al. 2017, arXiv:1612.01474).

    What the members answer makes the mixture that their family names, all with the same weight: an
    equal mixture of distributions, in which by the law of total variance the mean of the variances is
    aleatoric and the variance of the means epistemic, or an ensemble of values, all of whose variance
    is epistemic. Of classes it is the mean of their probabilities, whose entropy is that which the
    members expect (aleatoric) and their disagreement (epistemic). Members that answer members
    themselves are pooled. Nothing is calibrated. A member that could not be fitted is left out,
    with a warning. Bagged (Breiman 1996, doi:10.1007/BF00058655), members also differ by the weather that they
    have seen; every one then costs a fit, for none is the experiment's own model.
    """

    Config: ClassVar[type[ModelConfig]] = DeepEnsembleConfig
    needs: ClassVar[frozenset[str]] = frozenset({"seeded"})

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        self._members: list[Model] = []

    @property
    def part(self) -> Part:
        """What members are fitted on: all samples, or blocks drawn from them."""
        return Part(bagged=self.config.bagged)

    def wants(self) -> dict[Part, int]:
        """Return the members that :meth:`fit` will ask for."""
        return {self.part: self.config.members}

    def _found(self, members: MemberSource) -> list[Model]:
        return members(self.config.members, self.part)

    def fit(self, members: MemberSource, train: Samples, validation: Samples, context: Context) -> Self:
        """Take the members; nothing else is fitted.

        Raises
        ------
        TrainingError
            If fewer than two members could be fitted.
        TraitError
            If members answer different families.
        """
        asked, found = self.config.members, self._found(members)
        if len(found) < _LEAST:
            raise TrainingError(
                f"expected at least {_LEAST} fitted members for a deep ensemble of {context.name!r}, "
                f"got {len(found)} of {asked}: the others failed, the log says why."
            )
        if len(found) < asked:
            missing = asked - len(found)
            context.warn(
                f"{context.name}: {missing} of {asked} members could not be fitted and {_are(missing)} left out."
            )
        self._members = found
        _family([member.predict(validation.take(slice(0, 1)), context) for member in found], context)
        return self

    def predict(self, inputs: Samples, context: Context) -> Prediction:
        """Return the mixture of what the members answer."""
        answers = [member.predict(inputs, context) for member in self._members]
        family = FAMILIES.get(_family(answers, context))()
        return Prediction(family.mixture, family.mix([answer.parameters for answer in answers]))

    def save(self, folder: Path) -> None:
        """Write the options and the number of members, so that a later change in them is noticed."""
        write_config(self.config, folder)
        (folder / "members.json").write_text(json.dumps({"members": len(self._members)}))

    def load(self, folder: Path, members: MemberSource, context: Context) -> Self:
        """Return the ensemble as it was saved.

        Raises
        ------
        RunFolderError
            If there are now more or fewer members than it was made of.
        """
        self.config = read_config(type(self.config), folder)
        wanted = json.loads((folder / "members.json").read_text())["members"]
        found = self._found(members)
        if len(found) != wanted:
            raise RunFolderError(
                f"expected the {wanted} members that the deep ensemble of {context.name!r} was made of, "
                f"got {len(found)}. Run the experiment again."
            )
        self._members = found
        return self

    def summary(self) -> dict[str, Any]:
        """Return how many members there are, and how many were asked for."""
        return {"members": len(self._members), "members_asked": self.config.members, "bagged": self.part.bagged}


def _family(answers: list[Prediction], context: Context) -> str:
    families = sorted({answer.family for answer in answers})
    if len(families) > 1:
        raise TraitError(
            f"expected members of {context.name!r} that all answer the same family for a deep ensemble, "
            f"got {', '.join(map(repr, families))}. Choose another model or loss."
        )
    return families[0]


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
