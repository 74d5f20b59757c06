"""The shop's orders: in memory, bounded, and without a word that a customer typed."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass

_MOST_ORDERS = 1_000
PRICE_CENTS = 4_900
SHIPPING_CENTS = {"standard": 490, "express": 1_290}


@dataclass(slots=True)
class Order:
    """One order. ``event_id`` is the last event that the page's agent has told of, 32 hex digits or nothing."""

    number: str
    paid: bool = False
    event_id: str = ""


class Orders:
    """The latest orders by number; the oldest is forgotten when there are too many."""

    def __init__(self) -> None:
        self._orders: OrderedDict[str, Order] = OrderedDict()

    def open(self) -> Order:
        """Return a new order with a number that cannot be guessed."""
        order = Order(f"order-{secrets.token_hex(8)}")
        self._orders[order.number] = order
        if len(self._orders) > _MOST_ORDERS:
            self._orders.popitem(last=False)
        return order

    def find(self, number: str) -> Order | None:
        """Return an order, or nothing."""
        return self._orders.get(number)


def total_cents(shipping: str) -> int:
    """Return what the one product costs with a kind of shipping; the standard one where it is unknown."""
    return PRICE_CENTS + SHIPPING_CENTS.get(shipping, SHIPPING_CENTS["standard"])
