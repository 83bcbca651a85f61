"""Stage 5: masked brain modelling on a corpus of cleaned BOLD, before any movie is seen."""
