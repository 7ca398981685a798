"""Webhook: notifier."""
