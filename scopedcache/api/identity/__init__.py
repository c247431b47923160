"""Who we are to the server: kubeconfigs, accounts, exec plugins, OpenID Connect, impersonation, TLS."""
