"""The preprocess stage: raw tables and labels -> examples, lookup tables, context."""
