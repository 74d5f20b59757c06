"""All smart signals, in column order. A new one: its file, a line here, its name in schemas.smart_signals."""

from __future__ import annotations

from enrichers.anti_detect_browser import AntiDetectBrowser
from enrichers.bot import Bot
from enrichers.canvas_spoofing import CanvasSpoofing
from enrichers.cdp_automation import CdpAutomation
from enrichers.datacenter_ip import DatacenterIp
from enrichers.developer_tools import DeveloperTools
from enrichers.geo_timezone_mismatch import GeoTimezoneMismatch
from enrichers.headless import Headless
from enrichers.high_activity import HighActivity
from enrichers.impossible_travel import ImpossibleTravel
from enrichers.incognito import Incognito
from enrichers.ip_blocklist import IpBlocklist
from enrichers.navigator_mismatch import NavigatorMismatch
from enrichers.privacy_settings import PrivacySettings
from enrichers.proxy import Proxy
from enrichers.rare_device import RareDevice
from enrichers.replayed import Replayed
from enrichers.scripted_input import ScriptedInput
from enrichers.signal import MAX_REASONS, SmartSignal
from enrichers.tampering import Tampering
from enrichers.tor import Tor
from enrichers.velocity_anomaly import VelocityAnomaly
from enrichers.virtual_machine import VirtualMachine
from enrichers.vpn import Vpn
from enrichers.webgl_mismatch import WebglMismatch
from schemas.smart_signals import SMART_SIGNALS

SIGNALS: tuple[SmartSignal, ...] = (
    Bot(),
    CdpAutomation(),
    Headless(),
    Tampering(),
    AntiDetectBrowser(),
    CanvasSpoofing(),
    WebglMismatch(),
    NavigatorMismatch(),
    VirtualMachine(),
    DeveloperTools(),
    PrivacySettings(),
    HighActivity(),
    VelocityAnomaly(),
    ScriptedInput(),
    Incognito(),
    RareDevice(),
    ImpossibleTravel(),
    Vpn(),
    Proxy(),
    Tor(),
    DatacenterIp(),
    IpBlocklist(),
    GeoTimezoneMismatch(),
    Replayed(),
)


def check_registry(signals: tuple[SmartSignal, ...]) -> None:
    """Refuse a registry that the schema does not know, or a signal with unusable clues (ValueError)."""
    names = tuple(signal.name for signal in signals)
    if names != SMART_SIGNALS:
        raise ValueError(f"smart signals {names} are not those of schemas.smart_signals, in the same order")
    for signal in signals:
        if not 0 < len(set(signal.reasons)) == len(signal.clues) <= MAX_REASONS:
            raise ValueError(f"smart signal {signal.name} needs 1 to {MAX_REASONS} clues, each with its own reason")
        if not all(0 < clue.weight < 1 for clue in signal.clues):
            raise ValueError(f"smart signal {signal.name} has a weight outside 0 to 1")


check_registry(SIGNALS)
