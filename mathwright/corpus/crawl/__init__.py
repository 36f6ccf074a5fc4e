"""A polite crawler that writes archives: breadth first, or what looks mathematical first."""
