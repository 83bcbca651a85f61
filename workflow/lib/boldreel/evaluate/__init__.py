"""Stage 9: how good are the videos, against which chance and which baselines, and how sure is that.

One module per family of metrics (`nway`, `ssim`, `pixel`, `judge`, `clip_similarity`, `motion`), all
plain functions on arrays; `readings` runs the frozen judges;
`measures` and `summary` put them together; `score` and `group` are the workflow's steps.
`python -m boldreel.evaluate` scores any method's videos: `videos` finds and reads them, `listing`
knows their runs and shots, `pairs` hands them to `score`.
"""
