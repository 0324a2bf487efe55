"""One picture in memory: marked with a link or a whole record, or read. No paths, no engine."""
