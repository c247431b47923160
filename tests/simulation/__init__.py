"""A cache lives through half an hour of trouble in virtual time, and is held to what it promises."""
