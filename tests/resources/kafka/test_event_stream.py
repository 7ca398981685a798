def test_x(kafka):
    """X."""
    assert kafka
