"""The built-in use cases, one package each.

They are loaded by name (``services.core.use_case_registry``), never imported by path.
"""
