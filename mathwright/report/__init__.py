"""Pages about a run, made from its artefacts alone."""
