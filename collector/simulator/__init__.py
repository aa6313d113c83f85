"""A simulated world of payments: people with homes and habits, merchants, and labelled frauds.

Everything follows from a seed: the same settings give the same transactions, and a day does not depend on
how many follow it.  Labels never stand in the transactions; they are a table of their own.
"""
