"""How the slowness of blood is dealt with: the values of ``windows.hrf.mode``.

``lag`` measured series at a lag; ``fir`` all lags in one window; ``deconvolution`` and ``kernel`` series
deconvolved with the canonical response, or with one learnt for each area.
"""

DECONVOLVED = ("deconvolution", "kernel")  # series are of activity, not of blood
LEARNT = ("kernel",)  # responses come from training segments
