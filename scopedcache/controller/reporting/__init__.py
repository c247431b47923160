"""What a controller tells people: conditions, Events, and which right is missing."""
