"""§4.1: reward models, from ranked samples."""
