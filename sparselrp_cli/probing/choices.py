"""What a probe may be asked for; only names and limits, for help texts and for calls from Python."""

BACKGROUNDS = ("shuffled", "given")
"""The windows with their dinucleotides shuffled, or as they are; the default first."""

FIGURES = ("svg", "png", "pdf", "none")
"""What effects are drawn as, the default first."""

SPACINGS = (0, 50, 5)
"""The default: first, last and step, in bp."""

MOST_SPACINGS = 1000

FARTHEST = 1_000_000
"""bp from the middle of a window, or between two inserts."""

MOST_BACKGROUNDS = 100_000

MOST_ORDERS = 10_000
"""In which the bases of a hit are put."""

LARGEST_SEED = 2**32 - 1
