"""The use-case contract: what a use case declares and implements.

Declarations import only pydantic and the standard library.
"""
