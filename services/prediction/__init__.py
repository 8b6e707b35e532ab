"""The prediction service: answers calls over HTTP from the registry's champion, the last good bundle on
disk, or the declared baseline."""
