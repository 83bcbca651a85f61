"""Encoder and decoder that train each other, after Kupershmidt et al. (arXiv:2206.03544, 2022).

As published: an encoder from video to BOLD, trained first and frozen then; a decoder from BOLD to video,
trained on pairs and, through the cycle video -> BOLD -> video, on video that nobody was scanned with: the
training movies at all their frames, and clips from elsewhere. A perceptual loss on a frozen network's layers.

Not as published. BOLD enters the decoder through ridge regression to principal components of clips; pairs are
trained on with its predictions for left-out segments (see boldreel.methods.latent_codes), and the encoder's
errors count both in BOLD and in what is read from it. What the encoder predicts has no noise, measured BOLD
has: in the cycle the errors that encoder and regression make for validation clips are added, drawn at random,
so that both kinds of code look alike. Unpaired BOLD goes the other way round, BOLD -> video -> BOLD: windows
at every volume of the training runs, each repeat for itself. Earlier work of the same group on pictures used
the test runs' BOLD there; here no test run is read. Clips from elsewhere that show what a test movie shows
are left out. The second step to a higher frame rate is not made: clips have the frame rate of the movies.

Not known: the published networks' exact sizes and which of their parts were pretrained, the losses' weights,
and which external videos were used in which number.
"""
