"""Worked solutions and programs out of the equations that data sets carry."""
