"""The demo shop in real browsers, on a stack that these tests share."""
