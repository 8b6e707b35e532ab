"""Authentication and authorization: principals, tokens, API keys, and the snapshot with which services verify
offline.
"""
