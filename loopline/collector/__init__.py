"""Takes what KServe's request logger saw of its own runtimes, and writes it into the prediction log."""
