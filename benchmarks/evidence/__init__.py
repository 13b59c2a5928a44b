"""Experiments on what pruning does to explanations, and the page that they fill."""
