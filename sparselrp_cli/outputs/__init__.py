"""What a run writes: the archive, and the tracks, tables and motif-ready files made from it; no torch."""
