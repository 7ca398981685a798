"""The quality of landings: described, judged by those before, doubted."""
