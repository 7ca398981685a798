"""Features over HTTP, as an application in any language asks for them."""
