"""Recipes for one's own things."""
