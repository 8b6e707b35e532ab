"""Australian daily observations: will it rain tomorrow at this station?"""
