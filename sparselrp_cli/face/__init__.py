"""The Python face: what `import sparselrp` offers, on the engine and the runs that the command line uses."""
