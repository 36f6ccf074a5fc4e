"""One HTML page about a run, made from its artefacts alone."""
