"""§2.2-2.3: pre-training on a mixture of corpora."""
