"""The objects of a cluster and their history, and what a server that lags behind has seen of it."""
