"""Models as the server holds them: packages, encoding, and where a prediction runs."""
