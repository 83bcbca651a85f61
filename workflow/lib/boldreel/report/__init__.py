"""Stage 10: figures for a paper and one self-contained page for everyone.

`results` reads what the other stages left, `clips` the clips to show; `labels` says it in words; `verdicts`
decides what may be said; `plots`, `brain`, `surface` draw, `media` encodes clips; `sections`, `markup`,
`style`, `script` make the page; `figures` and `page` are the steps.
"""
