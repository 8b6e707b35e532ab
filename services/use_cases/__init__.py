"""The built-in use cases, one package each. They are found by name (``services.core.use_case_registry``), never
imported by path.
"""
