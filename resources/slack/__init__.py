"""Messages in a Slack channel."""
