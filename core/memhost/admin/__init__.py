"""The whole of a tenant: erasure of users, audit, export and import, migration."""
