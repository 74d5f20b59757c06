"""Real automated browsers, and two used by hand, as our own agent recorded them; and visits made of them."""
