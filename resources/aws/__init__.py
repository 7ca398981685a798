"""Shared code of AWS vendors: boto3 clients and error mapping."""
