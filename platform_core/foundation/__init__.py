"""What every room may stand on: names, the clock, files that appear whole, YAML that knows its lines."""
