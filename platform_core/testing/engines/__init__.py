"""Parts of the engine conformance kit: rows, views, joins, generated histories."""
