"""The command line. It is a root of composition: it may call every service, none may call it."""
