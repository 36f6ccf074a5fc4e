"""Pages of many archives as documents, by worker processes that a page may kill."""
