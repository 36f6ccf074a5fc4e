"""A small real web: the documentation of installed Python packages, served on the loopback, each as a host."""

from mathwright.corpus.localweb.index import Entry, PackageDocs, build_index
from mathwright.corpus.localweb.web import DocsWeb

__all__ = ["DocsWeb", "Entry", "PackageDocs", "build_index"]
