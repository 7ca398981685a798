"""Specs of feature views: functions over frames, and windows over events."""
