"""Several replicas at work at the same time: who works on which part of the objects, and what is handed over when."""
