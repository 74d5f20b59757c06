"""The demo shop: a product, a checkout and a page of thanks, with clickgoose built in as a merchant builds it in."""
