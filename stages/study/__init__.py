"""The editor-blind study: items, lots, seal, ballots, unblinding, win rate."""
