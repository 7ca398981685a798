"""Slack: notifier."""
