"""Rules, composites, pruning and the backward walk over a canonical graph."""
