"""Canonical graphs as data: written to a folder and read again, without any code of the model."""
