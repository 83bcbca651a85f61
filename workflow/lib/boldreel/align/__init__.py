"""Stage 6: windows of BOLD into CLIP space and condition tokens, subject by subject."""
