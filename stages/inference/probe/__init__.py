"""Neutral texts and simple instructions, beside MMLU."""
