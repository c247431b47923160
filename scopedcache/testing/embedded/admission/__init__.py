"""What stands between an authorised write and the storage: limits, hooks and quotas."""
