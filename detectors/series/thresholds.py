"""Recommended thresholds, and how they were chosen.

All were chosen once, on the series described in `docs/series.md`, and are applied unchanged to others.
"""

SCORE_THRESHOLD = 0.46
"""Of `score-series` on rows more than two minutes apart, where every method ranks against the series'
own past: the middle of the plateau of the best benchmark score, about one alarm in 1,500 rows."""

FINE_SCORE_THRESHOLD = 0.515
"""Of `score-series` on rows at most two minutes apart: just under one false alarm per series and week
where the level wanders, two or three on counts that are as regular as dice."""

EVIDENCE_THRESHOLD = 5.0
"""Of the profile alone, as the traffic watch uses it, minus log10 of the tail probability.  At 4.0 a
series raises one false alarm a week; a hundred series are watched, so the default is ten times rarer,
at the price of one event in a hundred and some minutes."""
