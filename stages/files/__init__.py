"""What every stage reads and writes with: JSON, YAML, CSV, records, hashes, pairs."""
