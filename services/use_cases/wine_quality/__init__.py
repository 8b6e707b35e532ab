"""UCI wine quality: the score that tasters would give a wine, from its measurements."""
