"""The application: command line, process supervision, the demo."""
