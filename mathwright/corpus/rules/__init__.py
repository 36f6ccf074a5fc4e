"""URL rules: which paths of which domains belong to the corpus, and how they are proposed."""
