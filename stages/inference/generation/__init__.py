"""Completions of the fresh prompts."""
