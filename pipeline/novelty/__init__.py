"""How far each sample lies from the train climate, and what that has to do with the errors of models.

:mod:`~pipeline.novelty.space` turns samples into rows of numbers, :mod:`~pipeline.novelty.climate` measures them,
:mod:`~pipeline.novelty.reference` says how many train samples lie as far; :mod:`~pipeline.novelty.fitted` puts them
together. :mod:`~pipeline.novelty.disagreement` asks the members of an ensemble instead.
"""
