"""Evidence, findings, the three gates and the words for their verdicts."""
