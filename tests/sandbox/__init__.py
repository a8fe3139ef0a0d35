"""Tests of the stand-ins: they must hold the providers' rules, or every other test is blind."""
