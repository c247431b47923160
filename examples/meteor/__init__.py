"""Objects in other namespaces that belong to one here: references on both sides, and a chain of finalizers."""
