"""The editors' pairs: their rules, near-duplicates, components, the split and the two pages."""
