"""Figures, and the page that a biologist reads."""
