"""Documents as tables: filters, deduplication, sorting, and corpora of other people."""
