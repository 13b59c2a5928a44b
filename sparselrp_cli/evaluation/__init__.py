"""How well relevance agrees with known sites: metrics, and sites from a motif matrix or a BED."""
