"""Other ways to serve than an endpoint: day by day, from stream to stream, and on a device."""
