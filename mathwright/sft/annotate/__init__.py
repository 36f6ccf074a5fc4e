"""A teacher writes solutions: drawn, run, judged, screened, and the different ones kept."""
