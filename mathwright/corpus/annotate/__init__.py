"""People decide about URL paths: the page they do it on, and the iterations around it."""
