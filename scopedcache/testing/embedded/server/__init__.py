"""The API server: a request and the time go in, an answer or a watch comes out."""
