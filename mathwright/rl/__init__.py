"""§4-5: reinforcement with GRPO and its relatives, a method a row of Table 10."""
