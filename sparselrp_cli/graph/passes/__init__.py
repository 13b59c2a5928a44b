"""Changes of a canonical graph that keep what it computes: folding, ends, fusing, cropping."""
