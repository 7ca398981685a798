"""Shared code of compute vendors on a cloud's ML service: tasks in an object store, jobs by key."""
