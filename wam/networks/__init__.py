"""The networks: embedder, extractor and mask head, what they are weighted by, and what they compute in."""
