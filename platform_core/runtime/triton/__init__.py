"""What Triton's clients ask beyond inference: repository index, configuration, statistics; and what is not offered."""
