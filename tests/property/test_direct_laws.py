"""Headers and answers of the direct routes: the same as the framework's own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.responses import Response

from ingest_api.direct import FirstHeaders, RawJson

NAMES = ("authorization", "content-type", "content-length", "content-encoding", "x-forwarded-for", "x-odd", "")
sent = st.lists(st.tuples(st.sampled_from(NAMES).map(str.encode), st.binary(max_size=6)), max_size=8)
asked = st.sampled_from((*NAMES, "Authorization", "CONTENT-TYPE", "missing"))


@given(sent, asked)
def test_a_header_is_the_one_that_the_framework_finds(headers: list[tuple[bytes, bytes]], name: str) -> None:
    ours, theirs = FirstHeaders({"headers": list(headers)}), Headers(raw=list(headers))
    assert ours.get(name) == theirs.get(name)
    assert ours.get(name, "none") == theirs.get(name, "none")
    assert (name in ours) == (name in theirs) and ours.getlist(name) == theirs.getlist(name)
    assert name not in ours or ours[name] == theirs[name]


@given(st.binary(max_size=2_000))
def test_an_answer_has_the_framework_s_status_headers_and_body(body: bytes) -> None:
    ours, theirs = RawJson(body), Response(body, 200, media_type="application/json")
    assert (ours.status_code, ours.raw_headers, ours.body) == (theirs.status_code, theirs.raw_headers, theirs.body)
    assert ours.headers == theirs.headers and ours.background is None
