"""Doubtful labels: which they are, and how they are judged again, blind."""
