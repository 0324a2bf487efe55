"""What a file says of its origin besides the mark: labels of generated pictures."""
