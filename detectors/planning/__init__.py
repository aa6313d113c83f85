"""What an edited rules file would do, before it does.

`differing` compares what the files mean, `trial` runs both over the same history, `figures` counts what
that says about the people on call, and `told` words it.
"""
