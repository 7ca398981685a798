"""Amazon DynamoDB: a table that every process reaches, and that grows by itself."""
