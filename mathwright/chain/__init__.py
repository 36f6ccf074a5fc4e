"""A whole recipe: its stages as values, what each is made from, and the only place where stages meet."""
