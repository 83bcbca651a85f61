"""A conditional video GAN, after Wang et al. (Cerebral Cortex 2022, f-CVGAN).

As published: an encoder from BOLD to a latent that stands for the clip, a video generator, and two
discriminators, of frames and of clips, that know the condition; adversarial and reconstruction losses.

Not as published. The encoder begins as ridge regression from the window of BOLD to principal components of
the training clips, whose predictions for left-out segments are what the generator is trained on: codes of
clips that a regression was fitted on are far better than those at test, and a generator trained on them fails
there. Spectral normalisation and the hinge loss keep it stable; generator and discriminators take their steps
at the same time, each from its own loss. A term on differences between neighbouring frames is ours. There is
no noise input: a clip's video is a function of its response. The epoch is chosen by identification of
held-out training segments, since the error of pixels favours blur.

Not known: the published network's exact sizes, its losses' weights, and how long it was trained.
"""
