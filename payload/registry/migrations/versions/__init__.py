"""One module per version, named after it; a module that has been released is never changed."""
