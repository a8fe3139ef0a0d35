"""Stand-ins over HTTP for the providers: the demo and the tests talk to them as to the real ones.

They import nothing of the hub or of the connectors, so that a misreading of a provider's
protocol there cannot hide here.
"""
