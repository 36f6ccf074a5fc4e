"""Published sets of worked solutions: their layouts as data, their readers, and their import."""
