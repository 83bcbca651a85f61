"""The backbone `packed`: clips as a middle frame and whitened motion (`models.packed_video`)."""
