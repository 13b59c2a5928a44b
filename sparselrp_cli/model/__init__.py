"""From a checkpoint to a network: model folders, factories, published checkpoints; what the network takes."""
