"""MathML as TeX."""
