"""Studies: grids of runs, from one file to results on disk."""
