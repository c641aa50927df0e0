"""Log-probs of completions: reference, scoring, rows that share a prompt, margins."""
