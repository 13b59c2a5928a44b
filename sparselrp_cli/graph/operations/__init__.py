"""The kinds of operation a canonical graph is made of: a file for each kind, or family of kinds.

Each holds its classes and, in `CONVERTERS`, the ATen functions that are converted to them.
"""
