"""Feature views: functions over frames, and windows over events."""
