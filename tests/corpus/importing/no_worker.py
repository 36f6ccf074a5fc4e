"""A worker of an import that ends at once."""

raise SystemExit(1)
