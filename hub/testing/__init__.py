"""The public test kit: scripts of what a customer says and hears, with no hub and no channel."""

from hub.testing.script import Talk, talk

__all__ = ["Talk", "talk"]
