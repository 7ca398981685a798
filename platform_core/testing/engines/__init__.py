"""Parts of the engine kit: rows, views, joins, generated histories."""
