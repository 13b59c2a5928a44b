"""What a model says of sequences that are made for it: motifs put in, in pairs, and hits taken out."""
