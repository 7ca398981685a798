"""The application: command line, process supervision, web servers, the demo."""
