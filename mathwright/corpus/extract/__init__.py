"""HTML to text with its formulas as TeX."""

from mathwright.corpus.extract.encoding import decode
from mathwright.corpus.extract.page import extract

__all__ = ["decode", "extract"]
