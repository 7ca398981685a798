"""What it costs to say why."""
