"""Summary views, and the runs that compute them."""
