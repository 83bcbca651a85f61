"""Intervals, tests and scores for clips that are not independent of each other.

Shared by the lag sweep, retrieval, reconstruction and comparisons of methods. Clips of one shot are near
duplicates, so intervals resample shots; the signal and the movie are both autocorrelated, so tests shift
one against the other in a circle inside each run.
"""
