"""The pages that dispatchers, operators and administrators look at all day; they talk REST and hold no model code."""
