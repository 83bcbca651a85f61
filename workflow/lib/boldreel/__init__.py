"""boldreel: from raw BOLD and the movies that were watched to reconstructed video and a report.

One package per stage, in the order in which the data goes through them: `insilico`, `stimuli`,
`bold`, `roi`, `windows`, `pretrain`, `align`, `generator`, `reconstruct`, `evaluate`, `report`.
`data` owns what lies on disk, `training` owns the training loop; neither knows the stages.
"""

__version__ = "0.1.0"
