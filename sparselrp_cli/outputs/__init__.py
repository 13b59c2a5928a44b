"""What a run writes: the archive, and the tracks, tables and motif-ready files made from it. No torch here."""
