"""Memories made from turns and other memories: their support, and the consequences when that changes."""
