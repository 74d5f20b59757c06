"""What merchants tell afterwards: how a payment ended. The closed sets of the table ``labels`` and of who fills it."""

from __future__ import annotations

from typing import Final

TARGETS: Final = ("event", "session", "transaction")  # what a label is of, the narrowest first
LABELS: Final = (
    "chargeback",  # the card's owner disputed the payment
    "confirmed_fraud",  # somebody looked and is sure
    "genuine",  # a good customer, or a dispute that was won
)
FRAUD_LABELS: Final = ("chargeback", "confirmed_fraud")
HALF_LIFE_DAYS: Final = 30.0  # of what a labelled event says of its address, network and AS: addresses change hands
RETENTION_DAYS: Final = 400  # after labelled_at, as the table ``labels`` keeps them
