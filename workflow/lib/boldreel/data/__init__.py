"""Files: every array, table, image and video is written and read through here.

Knows nothing of the stages. Files appear whole or not at all, and are checked at both ends, so that
whoever swaps a stage learns at once whether his files fit.
"""
