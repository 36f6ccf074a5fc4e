"""What draws responses: our own generator, vLLM, or a server, under one interface."""
