from services import deprecated_names

deprecated_names.install()
