"""Backtest: what detection would have found in a labelled past, and how much of it was right.

One or several configurations score the same stream side by side, from the past only, exactly as `score`
does.  The labels are read by `truth.py` and meet the scores only afterwards, in `figures.py`; the one way
in which a label reaches a detector is the documented feedback, each label after its delay, and then the
same configuration runs beside it without.

`measures.py` holds the formulas, `contest.py` the runs, `told.py` and `page.py` what a person reads.
"""
