"""``clickgoose run``: the whole system with traffic, a live table, and an account at the end."""
