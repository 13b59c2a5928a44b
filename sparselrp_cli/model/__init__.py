"""From a checkpoint to a canonical graph: loading, capture with torch.export, folding, targets."""
