"""What is asked, and how it is written: sources, prompts, formats of solutions, chat templates."""
