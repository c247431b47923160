"""The Memcached operator: a Deployment per custom resource, in the namespaces where somebody lets it."""
