"""The HTTP server: the Litestar app, limits, allowed hosts, connections."""
