"""What differs between runs on the same windows: models, targets, conditions."""
