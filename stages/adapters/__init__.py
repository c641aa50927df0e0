"""The only modules that import heavy libraries, one library per file."""
