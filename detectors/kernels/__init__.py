"""Compiled kernels: the sequential arithmetic of the detectors, on plain arrays.

Each kernel walks a batch row by row in feed order, scores a row before it learns from it, and keeps a
fixed number of numbers per entity.  So a score never depends on later rows, nor on batch cuts.

Methods lean on kernels; kernels lean on nothing but each other.  They are compiled on first use into a
cache folder named after a hash of all their source files: a changed kernel never meets old code.
"""
