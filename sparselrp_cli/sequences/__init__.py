"""From text to one-hot windows: FASTA and BED readers, windows, batches."""
