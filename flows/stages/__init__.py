"""The pure stages of the flow that are not a room of their own."""
