"""What everything costs while nobody asks for anything."""
