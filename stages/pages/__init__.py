"""HTML from templates, and Chromium to print it."""
