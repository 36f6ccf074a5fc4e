"""Formulas of a page, in whatever markup, as TeX."""
