"""What is known of the network that an address lies in, as bits. Append only: the numbers are stored."""

from __future__ import annotations

NETWORK_CLASSES = (
    "hosting",  # a data centre that lets computers
    "cdn",  # a network that carries other people's pages
    "vpn",
    "tor",  # an exit of the Tor network
    "relay",  # iCloud Private Relay and its like: a person's, its country kept
    "proxy",  # public proxies
    "residential_proxy",  # proxies behind the lines of homes
    "crawler",  # a search engine's or another known crawler's own addresses
    "listed",  # on a list of addresses that attack
    "gateway",  # a security gateway: people of many companies, mostly at work, behind a data centre's address
)
NETWORK_BIT = {name: 1 << index for index, name in enumerate(NETWORK_CLASSES)}  # bits of a uint16
