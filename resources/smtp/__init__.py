"""E-mail: notifier."""
