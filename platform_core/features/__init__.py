"""Feature views become offline tables and online rows."""
