"""What was looked at and what was not: `txwatch coverage`.

`stored` counts the transactions of each window, `gaps` compares that with what detectors counted, `filling`
evaluates afterwards what was missed or failed.
"""
