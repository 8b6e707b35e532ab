"""The prediction service: serves predictions over HTTP.

Answers come from the registry's champion, from the last good bundle on disk, or from the declared baseline."""
