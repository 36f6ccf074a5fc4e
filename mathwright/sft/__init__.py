"""§3: fine-tuning on worked solutions."""
