"""A thousand series forecast by one model of ours, beside a model a series."""
