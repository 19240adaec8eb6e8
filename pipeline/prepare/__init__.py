"""From regular datasets to model-ready samples; everything fitted here sees the train split alone.

Read it in the order of the work: ``splits`` (which dates belong to which split), ``align`` (one time
axis and one region), ``regrid`` and ``weights`` (one grid), ``inputs`` and ``targets`` (channels and
truth), ``windows`` (which steps make a sample), ``climatology``, ``scaling`` and ``transform`` (what is
fitted), ``recipe`` (all of that, for new data), ``prepared`` (with the samples of an experiment),
``summary`` (for the report), ``storage`` (on disk) and ``leakage`` (the proof that nothing after the
train span has an influence). ``dates`` holds the arithmetic of calendars, ``arrays`` that of blocks.
"""
