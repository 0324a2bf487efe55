"""The service: detector and marker over HTTP, with roles, limits that hold, and a page for people."""
