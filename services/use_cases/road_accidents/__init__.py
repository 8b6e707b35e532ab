"""Road accidents in France: severity and priority of a reported accident."""
