"""UCI wine quality: what score tasters would give a wine, from its measurements."""
