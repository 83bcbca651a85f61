"""The training loop, its state on disk, its device and its progress lines. Knows no stage."""
