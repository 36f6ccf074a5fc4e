"""Corpora of other people: their layouts, and how they become documents and token shards."""
