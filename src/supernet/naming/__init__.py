"""From text to an architecture: published names, notations, files of runs; what there is by name, and whom to cite."""
