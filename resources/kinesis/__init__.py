"""Amazon Kinesis Data Streams: event stream."""
