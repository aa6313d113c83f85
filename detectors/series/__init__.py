"""Series: numbers at regular times, such as transactions a minute of one merchant.

`scorer` scores any one series of (time, value) from its own past: a handful of methods, one a file,
each give a statistic; `calibration` turns it into the rarity it has in this very series; `join` makes
one score of them and keeps one alarm per event.  `offline` does that for files.

`traffic` watches the transactions themselves: it counts them per window for everything, and for each
channel, country, status and busy merchant, compares each window, and sums of windows up to three
hours, with what the hour and the weekday lead to expect, and says what is strange and why.
"""
