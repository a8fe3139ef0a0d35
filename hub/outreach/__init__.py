"""Pushes and consent: what the hub may send by itself, and the one gate for every send."""
