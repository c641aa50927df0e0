"""What git and DVC know."""
