"""Files <-> samples: formats, metadata, colour, animations, storage, and pictures of results. No model."""
