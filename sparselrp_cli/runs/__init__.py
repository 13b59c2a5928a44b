"""What commands do from end to end: models and windows in, all files of a run out, resumable."""
