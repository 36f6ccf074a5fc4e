"""HTML to text with its formulas as TeX."""

from mathwright.corpus.extract.page import decode, extract

__all__ = ["decode", "extract"]
