"""The search: an estimate of the pattern -> every watermark in a picture. One door: ``detector.search``."""
