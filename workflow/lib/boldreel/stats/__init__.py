"""Intervals, tests and scores for clips that are not independent of each other.

Shared by the lag sweep, retrieval, reconstruction and comparisons of methods. Clips of one shot are near
duplicates, shots follow each other, and runs differ, so intervals and paired tests take runs for units, or a
run for a series; the signal and the movie are both autocorrelated, so tests shift one against the other in a
circle inside each run, without trends.
"""
