"""MMLU questions, asked through lm-eval."""
