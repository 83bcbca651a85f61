"""Other methods than `mindvideo`, in the same graph: same windows and clips in, same folders out.

One package per method. Each has a step `train`, which leaves a model folder and sees no test run, and
a step `reconstruct`, which leaves the folder that `boldreel.reconstruct.sample` leaves.
"""
