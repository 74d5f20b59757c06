"""Archives of the packages that data files are made from, small ones with the real ones' forms."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
import zipfile
from ipaddress import ip_address
from pathlib import Path

from infra.data.country_languages import PACKAGE as CLDR
from infra.data.feeds import CLASS_OF_FEED
from infra.data.packages import Package
from schemas.countries import COUNTRIES


def npm_archive(directory: Path, name: str, version: str, files: dict[str, str]) -> None:
    """Write an archive as `npm pack` does."""
    path = directory / f"{name.replace('@', '').replace('/', '-')}-{version}.tgz"
    content = {"package.json": json.dumps({"name": name, "version": version, "license": "CC0-1.0"}), **files}
    with gzip.open(path, "wb") as packed, tarfile.open(fileobj=packed, mode="w") as made:
        for file, text in content.items():
            info = tarfile.TarInfo(f"package/{file}")
            info.size = len(text.encode())
            made.addfile(info, io.BytesIO(text.encode()))


def wheel(directory: Path, name: str, version: str, files: dict[str, bytes]) -> Package:
    """Write a wheel as `pip download` gets it."""
    stem = name.replace("-", "_")
    path = directory / f"{stem}-{version}-py3-none-any.whl"
    metadata = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nLicense: MIT\n"
    with zipfile.ZipFile(path, "w") as made:
        for file, content in {f"{stem}-{version}.dist-info/METADATA": metadata.encode(), **files}.items():
            made.writestr(file, content)
    return Package(name, version, "MIT", path)


def iporigin_table(rows: list[tuple[str, str, str, str]]) -> bytes:
    """Return iporigin's ranges.bin of (label, kind, first, last)."""
    labels = sorted({(label, kind) for label, kind, _, _ in rows})
    parts = [b"".join(struct.pack("<H", len(text)) + text for text in (f"{a}\t{b}".encode() for a, b in labels))]
    ends = [(labels.index((label, kind)), ip_address(first), ip_address(last)) for label, kind, first, last in rows]
    fours = [(int(a), int(b), label) for label, a, b in ends if a.version == 4]
    sixes = [(a.packed, b.packed, label) for label, a, b in ends if a.version == 6]
    parts += [struct.pack("<IIH", *row) for row in fours] + [struct.pack("<16s16sH", *row) for row in sixes]
    return struct.pack("<8sHQHII", b"IPORIGIN", 1, 0, len(labels), len(fours), len(sixes)) + b"".join(parts)


IPORIGIN_ROWS = [
    ("Hetzner", "hosting", "88.198.0.0", "88.198.255.255"),
    ("Contabo", "hosting", "91.0.0.0", "91.0.0.255"),  # of a repository without a licence
    ("Akamai", "cdn", "92.0.0.0", "92.0.0.255"),
    ("Fastly", "cdn", "151.101.0.0", "151.101.255.255"),
    ("Mullvad", "vpn", "193.138.218.0", "193.138.218.9"),
    ("Apple Private Relay", "vpn", "2a02:26f7::", "2a02:26f7:0:1:ffff:ffff:ffff:ffff"),
    ("Apple Private Relay", "vpn", "172.224.226.0", "172.224.226.1"),
    ("Tor", "tor", "185.220.101.1", "185.220.101.1"),
    ("Googlebot", "bot", "66.249.66.0", "66.249.66.31"),
]


def feeds(**lines: list[str]) -> bytes:
    """Return is-crawler's feeds: the real names of all, with these lines."""
    return json.dumps({**{name: [] for name in CLASS_OF_FEED}, **lines}).encode()


COUNTRY_ROWS = "16777216,16777471,AU\n16777472,16778239,CN\n"
ASN_ROWS = '16777216,16777471,13335,"Cloudflare, Inc."\n1489371136,1489436671,24940,Hetzner Online GmbH\n'


def write_archives(
    directory: Path, version: str, *, country: str = COUNTRY_ROWS, asn: str = ASN_ROWS, tor: tuple[str, ...] = ()
) -> None:
    """Write one archive of every package that `clickgoose data update` needs."""
    table = "geo-whois-asn-country-ipv{}-num.csv"
    npm_archive(directory, "@ip-location-db/geo-whois-asn-country", version,
                {table.format(4): country, table.format(6): ""})  # fmt: skip
    npm_archive(directory, "@ip-location-db/asn", version, {"asn-ipv4-num.csv": asn, "asn-ipv6-num.csv": ""})
    rows = [*IPORIGIN_ROWS, *(("Tor", "tor", address, address) for address in tor)]
    wheel(directory, "iporigin", version, {"iporigin/data/ranges.bin": iporigin_table(rows)})
    said = feeds(bingbot=["157.55.39.0/24"], zscaler=["165.225.0.0/17"])
    wheel(directory, "is-crawler", version, {"is_crawler/crawler-ip-ranges.json": said})
    spoken = {code: {"languagePopulation": {"en": {"_populationPercent": "90"}}} for code in COUNTRIES[1:]}
    said_of = json.dumps({"supplemental": {"territoryInfo": spoken}})
    npm_archive(directory, CLDR, version, {"supplemental/territoryInfo.json": said_of})
