"""What makes scoring and training faster and could be deleted."""
