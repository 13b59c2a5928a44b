"""Small versions of the published architectures of sequence models, with random weights."""
