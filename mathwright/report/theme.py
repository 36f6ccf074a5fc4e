"""The script that keeps a page light, dark, or as the system is: the same choice on all pages of a run."""

from __future__ import annotations

from pathlib import Path

THEME_JS = (Path(__file__).parent / "theme.js").read_text(encoding="utf-8")
"""To stand in the head of a page: the choice holds before anything is drawn."""
