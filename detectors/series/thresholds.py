"""Recommended thresholds, and how they were chosen.

All were chosen once, on the series described in `docs/series.md`, and are applied unchanged to others.
"""

SCORE_THRESHOLD = 0.46
"""Of `score-series` on rows more than two minutes apart, where every method ranks against the series'
own past: the middle of the plateau of the best benchmark score, about one alarm in 1,500 rows."""

FINE_SCORE_THRESHOLD = 0.517
"""Of `score-series` on rows at most two minutes apart: one false alarm per series and week."""

EVIDENCE_THRESHOLD = 5.0
"""Of the profile alone, as the traffic watch uses it: one false alarm per series and week."""

LEVEL_STEPS = (6.06, 10.95, 20.24)
"""Evidence at which an event is medium, high, critical: scores of 65, 85 and 97."""
