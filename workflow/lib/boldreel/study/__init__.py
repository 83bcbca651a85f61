"""The study: who was scanned, in which runs, and what was shown, before anything is computed."""
