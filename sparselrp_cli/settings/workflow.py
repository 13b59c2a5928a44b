"""What a configuration of the workflow is made with unless told; only names, for help texts."""

PROFILES = ("local", "slurm")
"""Where jobs run, the default first; the folder of each in ``workflow/profiles``."""

SHARD_WINDOWS = 10_000
"""Regions in a shard: minutes on a GPU, and no more than some hours of a processor lost with a machine."""
