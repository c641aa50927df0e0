"""What a text claims, and how it is written: mentions, whether a prompt supports them, and habits."""
