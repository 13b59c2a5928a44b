"""From a network to its canonical graph: tracing, operations, passes over the graph, targets."""
