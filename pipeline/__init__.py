"""Everything that computes; knows no concrete model and no Prefect.

Read it in the order of a run: ``experiment`` (what is asked), ``data`` (files to regular
datasets), ``prepare`` (datasets to samples), ``model`` (the contract that ``models/`` fulfils),
``training`` (the loop), ``prediction`` (what a model answers), ``metrics``, ``uncertainty``,
``attribution`` and ``report``. ``backend`` is the only door to a GPU. ``run_folder`` is where all
of it is kept.
"""

__version__ = "0.1.0"
