"""Augmentation that respects the physics: one file a kind, one registration a name.

What is done to a batch of the train split before the network sees it, never to the validation split. Each kind
says in one sentence what it keeps, and refuses samples on which it would keep nothing. A new one is a new file
here, or a plug-in::

    @AUGMENTATIONS.register("dimmed")
    class Dimmed(Augmentation):
        \"\"\"Inputs made smaller by a tenth.\"\"\"

        keeps = "the place and the sign of every value"

        def __call__(self, batch):
            return replace(batch, inputs=0.9 * batch.inputs)

:func:`make_augmenter` makes what the training loop calls, from the list of an experiment.
"""

from pipeline.training.augment._batch import Batch, Shares
from pipeline.training.augment._contract import AUGMENTATIONS, Augmentation, AugmentationConfig, World
from pipeline.training.augment._spec import Augmenter, AugmentSpec, check_traits, make_augmentations, make_augmenter

__all__ = [
    "AUGMENTATIONS",
    "AugmentSpec",
    "Augmentation",
    "AugmentationConfig",
    "Augmenter",
    "Batch",
    "Shares",
    "World",
    "check_traits",
    "make_augmentations",
    "make_augmenter",
]
