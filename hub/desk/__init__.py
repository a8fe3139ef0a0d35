"""People who answer: agents' replies, notes and ownership."""
