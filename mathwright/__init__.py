"""Mathwright: build a mathematical language model the way DeepSeekMath was built (arXiv 2402.03300)."""

__version__ = "0.1.0"
