"""A checkpoint on disk and in memory, its chat template, its manifest."""
