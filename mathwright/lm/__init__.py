"""Language models: weights, log-probabilities, generation and the machinery of every training."""
