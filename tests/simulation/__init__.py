"""A cache lives through days of trouble in virtual time, and is held to what it promises."""
