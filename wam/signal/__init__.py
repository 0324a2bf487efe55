"""The signal itself, pure arithmetic: what the pattern is, how it lies, how it is read from an estimate.

specification  what embedder and detection agree on, by version and name
pattern        carrier frequencies and their phases           demodulation  estimate at a pose -> votes for each bit
pose           pixels of a picture <-> the pattern's plane    mark_grid     several marks side by side in one picture
label          whose marks they are, in the phases of half of the frequencies
filters        box means and maxima, Gaussian, luma, resizing, rounding to 8 bits
"""
