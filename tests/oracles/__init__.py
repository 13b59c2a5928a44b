"""Slow, obvious float64 re-implementations that the engine is compared with. They share no code with it."""
