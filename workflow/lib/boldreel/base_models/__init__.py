"""Models that others have trained: CLIP, Stable Diffusion, classifiers, captioners, sentence models.

Takes the names in the configuration's `models`; returns loaded modules. `names` reads a name, `layouts` says
which files a model must have, `cache` and `hub` where they are, `resolve` finds the folder, `load` opens
it, `frozen` and `diffusion` know each kind of model, and `check` looks up all of them before the first
job. `python -m boldreel.base_models` downloads them. The modules used in planning import no package.
"""
