"""Web archives: pages out of WARC and WET files, damaged ones included, and the writer of our own."""

from mathwright.corpus.archive.pages import is_wet, read_documents, read_page_at, read_pages

__all__ = ["is_wet", "read_documents", "read_page_at", "read_pages"]
