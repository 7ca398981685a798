"""Amazon DynamoDB: online store."""
