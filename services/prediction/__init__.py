"""The prediction service: answers calls over HTTP.

With the registry's champion, the last good bundle on disk, or the declared baseline."""
