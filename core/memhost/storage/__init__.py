"""Helpers over the store port that every subject uses: paging, leases, documents with owners."""
