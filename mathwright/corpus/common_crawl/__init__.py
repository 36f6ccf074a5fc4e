"""Pages of chosen sites out of Common Crawl, by its index."""
