"""Analyses of a fitted encoder: what it retrieves, from which data, and what each part contributes."""
