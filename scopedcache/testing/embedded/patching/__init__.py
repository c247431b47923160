"""How a body becomes another one: patches, server-side apply, and the scale."""
