"""Tiny base models of the embedded world, in the folder layouts of Hugging Face models.

Takes the world (``boldreel.insilico.world``) alone; writes ``clip``, ``diffusion``,
``image_classifier`` and ``video_classifier`` folders that ``from_pretrained`` reads, and the measured
gates. Nothing else in the library knows how they were made.
"""
