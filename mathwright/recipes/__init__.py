"""Recipes that come with the package, one Python file an experiment."""
