"""§2.1: mathematics mined from the web, from archives and crawls to token shards."""
