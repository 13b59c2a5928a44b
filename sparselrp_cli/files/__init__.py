"""Files that are whole or not there at all: atomic writing, locks, free space, names, HDF5 of strangers."""
