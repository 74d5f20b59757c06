"""The sentences of what was counted and is remembered: "12 devices used this account in 1 hour"."""

from __future__ import annotations

import numpy as np

from schemas.recognition import COMBINATIONS, REPUTED
from schemas.velocity import WINDOWS
from scoring.sentences import Sentence, Values, age, count, known, whole

_SAID = dict(zip(WINDOWS, ("5 minutes", "1 hour", "24 hours"), strict=True))
_SHORT = {said: window for window, said in _SAID.items()}
_FEW = 0.1  # share of the events of a device
_HABIT = 10  # events that make a habit
_USUAL = 0.02  # share of traffic that is as rare or rarer: fewer are unusual
_ALIKE = dict(
    zip(
        COMBINATIONS,
        (
            "browser, version and system",
            "system, its version and kind of device",
            "graphics and system",
            "screen and kind of device",
            "cores, memory, touch and system",
            "fonts and system",
            "drawing, sound, browser and system",
            "time zone, languages and country",
            "all that the machine draws, plays and names",
        ),
        strict=True,
    )
)
_FROM = dict(zip(REPUTED, ("this address", "this network", "the network operator of this address"), strict=True))


def busiest(values: Values, prefix: str) -> tuple[float, str]:
    """Return the count of the shortest window that holds more than half of the day's, and the window in words."""
    day = values[f"{prefix}_{WINDOWS[-1]}"]
    for window in WINDOWS:
        if values[f"{prefix}_{window}"] * 2 > day:
            return values[f"{prefix}_{window}"], _SAID[window]
    return day, _SAID[WINDOWS[-1]]


def high_velocity(values: Values) -> str:
    """Say the events of minutes, or of the hour."""
    minutes, hour = values["velocity.events_5m"], values["velocity.events_1h"]
    if minutes > 1 or hour <= 1:
        return f"{count(minutes, 'event')} from this device in 5 minutes"
    return f"{count(hour, 'event')} from this device in 1 hour"


def device_accounts(values: Values) -> str:
    """Say how many accounts the device used."""
    accounts, window = busiest(values, "velocity.accounts")
    return f"{count(accounts, 'account')} on this device in {window}" if accounts >= 1 else "No account was named"


def device_places(values: Values) -> str:
    """Say countries and addresses, and a speed where there is one."""
    countries, window = busiest(values, "velocity.countries")
    speed = float(np.expm1(values["history.travel_kmh_log"]))
    if countries > 1:
        text = f"{count(countries, 'country', 'countries')} in {window}"
        return f"{text}, the last way at {whole(speed)} km/h" if known(speed) and speed >= 1 else text
    addresses, window = busiest(values, "velocity.addresses")
    return f"{count(addresses, 'address', 'addresses')} of this device in {window}"


def device_sessions(values: Values) -> str:
    """Say sessions, and merchants where there are several."""
    sessions, window = busiest(values, "velocity.sessions")
    merchants = values["velocity.merchants_24h"]
    text = f"{count(sessions, 'session')} of this device in {window}"
    return f"{text}, and {whole(merchants)} shops in 24 hours" if merchants > 1 else text


def device_history(values: Values) -> str:
    """Say when the device was seen, and whether it seldom is at this hour."""
    first, previous = values["velocity.since_first"], values["velocity.since_previous"]
    if not known(previous):
        return "First event of this device"
    text = f"Device first seen {age(first)} ago, last seen {age(previous)} ago"
    seldom = values["history.events"] > _HABIT and values["history.hour_share"] < _FEW
    return f"{text}, seldom at this hour" if seldom else text


def session(values: Values) -> str:
    """Say what the session holds so far."""
    events, since = values["session.events"], values["session.age"]
    if not events > 1:
        return "First event of this session"
    done = [
        count(values[f"session.{name}"], one, more)
        for name, one, more in (
            ("keys", "key", "keys"),
            ("pasted", "paste", "pastes"),
            ("set_by_script", "field set by script", "fields set by script"),
            ("declined", "declined payment", "declined payments"),
        )
        if values[f"session.{name}"] > 0
    ]
    text = f"{count(events, 'event')} in this session over {age(since)}"
    return f"{text}: {', '.join(done)}" if done else text


def shared(entity: str, on: str, of: str, nothing: str, *, devices_first: bool) -> Sentence:
    """Return a sentence about the devices and events of an entity.

    ``on`` follows devices ("used this account"), ``of`` follows events ("with this account"); ``nothing`` is said
    where the counts are not known. ``devices_first``: several devices are the news, not the events.
    """
    prefix = f"shared.{entity}"

    def say(values: Values) -> str:
        if not known(values[f"{prefix}_events_24h"]):
            return nothing
        devices, window = busiest(values, f"{prefix}_devices")
        if devices_first and devices > 1:
            return f"{count(devices, 'device')} {on} in {window}"
        events, window = busiest(values, f"{prefix}_events")
        devices = values[f"{prefix}_devices_{_SHORT[window]}"]
        return f"{count(events, 'event')} {of} in {window}, by {count(devices, 'device')}"

    return say


def share(value: float) -> str:
    """Return a share in per cent, with as many digits as it needs to differ from 0."""
    digits = 0 if value >= 0.095 else 1 if value >= 0.0095 else 2
    return f"{value:.{digits}%}"


def rare_attributes(values: Values) -> str:
    """Name the rarest combination, and how rare it is."""
    found = [(values[f"prevalence.{name}"], name) for name in COMBINATIONS if known(values[f"prevalence.{name}"])]
    if not found:
        return "Not known yet how usual this device is"
    tail, name = min(found)
    if tail > _USUAL:
        return f"Usual in every respect; the least usual is {_ALIKE[name]}"
    return f"Unusual: {_ALIKE[name]}; only {share(tail)} of all events show what is as rare"


def reputation(values: Values) -> str:
    """Say what is to be expected of events from the address, by what came of earlier ones; of the worst kind."""
    found = [(values[f"reputation.{name}"], -at) for at, name in enumerate(REPUTED)]
    worst, at = max((pair for pair in found if known(pair[0])), default=(float("nan"), 0))
    if not known(worst):
        return "Not known what came of earlier events from this address"
    return (
        f"{share(worst)} of events from {_FROM[REPUTED[-at]]} are expected to be denied, by what came of earlier ones"
    )
