"""From contributions to seqlets, motifs, their names and their hits."""
