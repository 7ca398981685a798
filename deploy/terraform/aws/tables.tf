# Keys and time to live as resources/dynamodb/items.py and resources/kinesis/places.py have them.

resource "aws_dynamodb_table" "online" {
  name                        = "${var.name}-online"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "v"
  range_key                   = "k"
  deletion_protection_enabled = true
  tags                        = { Name = "${var.name}-online" }
  attribute {
    name = "v"
    type = "S"
  }
  attribute {
    name = "k"
    type = "S"
  }
  ttl {
    enabled        = true
    attribute_name = "x"
  }
  point_in_time_recovery {
    enabled = true
  }
  server_side_encryption {
    enabled = true
  }
}

resource "aws_dynamodb_table" "places" {
  name                        = "${var.name}-places"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "shard"
  range_key                   = "offset"
  deletion_protection_enabled = true
  tags                        = { Name = "${var.name}-places" }
  attribute {
    name = "shard"
    type = "S"
  }
  attribute {
    name = "offset"
    type = "N"
  }
  ttl {
    enabled        = true
    attribute_name = "expires"
  }
  point_in_time_recovery {
    enabled = true
  }
  server_side_encryption {
    enabled = true
  }
}
