"""§2.3, §3.2: models measured on benchmarks, with and without tools."""
