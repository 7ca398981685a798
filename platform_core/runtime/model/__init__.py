"""Models as the server holds them: packages, recipes, encoding, and where a prediction runs."""
