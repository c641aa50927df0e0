"""Rows and tables, and every form in which they come."""
