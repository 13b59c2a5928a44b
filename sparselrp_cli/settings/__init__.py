"""What a run is asked to do, and the manifest that says it; loaded in no time, without torch or numpy."""
