"""The study: who was scanned, in which runs, and what was shown, known before anything is computed."""
