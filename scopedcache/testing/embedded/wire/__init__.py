"""What requests and answers are made of: their parts, their bodies, and the words of a refusal."""
