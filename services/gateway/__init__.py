"""Identity and administration: sign-in, keys, centres, the audit log, and what admins set going."""
