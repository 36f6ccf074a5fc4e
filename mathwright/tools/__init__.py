"""The sandbox in which programs of models run, and the loop that lets a generator call it."""
