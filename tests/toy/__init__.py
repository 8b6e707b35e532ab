"""A tiny use case with every kind of target, for tests of the generic parts."""
