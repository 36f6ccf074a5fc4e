"""Question templates of the procedural source: each draws numbers, asks a question and knows how it is solved.

Not to be confused with `problems/templates.py`, which says how a prompt is laid out for a model.
"""
