"""The report of a run: one HTML file whose first screen answers and whose rest proves.

In the order of the work: ``load`` (run folder to records), ``study`` (which model stands for the
answer, against which baseline), ``sentences`` and ``tables`` (words and numbers), ``figures``,
``sections`` (one file each), ``render``. It reads the run folder and nothing else.
"""
