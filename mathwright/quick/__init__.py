"""Recipes for one's own things: made from defaults that suit the machine, and written as a file one can edit."""
