"""Linear maps from BOLD to a network's layers, after Wen et al. (Cerebral Cortex 2018).

As published: voxel-wise linear regression, penalised and cross-validated, from BOLD to principal components
of the features that an image network's layers have for the movie; the category is read from late layers, the
picture from early ones by a learned inverse.

Not as published. The network is the configuration's image classifier and not AlexNet. Theirs mapped each
time point of a continuous movie; here a window of volumes is mapped to a clip, at the lag that the sweep
chooses, so that all methods get the same. Their inverse was a deconvolutional network that got the first
layer's feature maps; here it is linear, and fitted on predictions for clips whose segment the regression had
not seen, so that it knows how noisy they are. The nearest training clip is a second read-out of ours.

Not known: their numbers of components by layer for each subject, the training length of their inverse, and
their features' scale.
"""
