"""Who is asking: a merchant's server by its API key, or a page by its session's token."""

from __future__ import annotations

from fastapi import Request

from ingest_api.addresses import ClientAddress
from ingest_api.bodies import MAX_TOKEN
from ingest_api.config import IngestConfig
from ingest_api.errors import ApiError, Code
from ingest_api.rates import Rates
from ingest_api.tokens import Session, Tokens


class Access:
    """Checks credentials. Wrong ones are counted per address, so that guessing gets slow."""

    def __init__(self, config: IngestConfig, tokens: Tokens, rates: Rates) -> None:
        self._merchants, self._tokens, self._rates = config.merchants, tokens, rates
        self._client_address = ClientAddress(config.proxy_networks())

    def address(self, request: Request) -> bytes:
        """Return the client's address, 16 bytes."""
        peer = request.client.host if request.client else None
        return self._client_address(peer, request.headers.get("x-forwarded-for"))

    async def merchant(self, request: Request) -> str:
        """Return the merchant whose API key came with the request; ApiError 401, 403 or 429."""
        api_key = bearer(request)
        merchant = self._merchants.authenticate(api_key) if api_key else None
        if merchant is not None:
            return merchant
        await self._rates.failure(self.address(request))
        if not api_key:
            raise ApiError(Code.API_KEY_MISSING)
        raise ApiError(Code.WRONG_CREDENTIAL if self._tokens.is_token(api_key) else Code.API_KEY_INVALID)

    async def session(self, request: Request, token: str | None, now: int) -> Session:
        """Return the session of a request's token, ``now`` in Unix seconds; ApiError 401, 403 or 429.

        Good for delivering events and nothing else: the session may have expired a while ago.
        """
        try:
            return self._session(token, now)
        except ApiError as error:
            if error.code is not Code.TOKEN_EXPIRED:
                await self._rates.failure(self.address(request))
            raise

    def is_known(self, request: Request, now: int) -> bool:
        """Tell whether a request's headers have a token that delivers events now; nothing is counted."""
        try:
            self._session(bearer(request), now)
        except ApiError:
            return False
        return True

    def _session(self, token: str | None, now: int) -> Session:
        if not token:
            raise ApiError(Code.TOKEN_MISSING)
        try:
            session = self._tokens.verify(token, now)
        except ApiError as error:
            if error.code is Code.TOKEN_INVALID and self._merchants.authenticate(token) is not None:
                raise ApiError(Code.WRONG_CREDENTIAL) from None
            raise
        if session.attested.merchant not in self._merchants:
            raise ApiError(Code.MERCHANT_FORBIDDEN)
        return session


def bearer(request: Request) -> str | None:
    """Return the credential of the Authorization header, or None where there is none of sensible size."""
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    credential = credential.strip()
    return credential if scheme.lower() == "bearer" and 0 < len(credential) <= MAX_TOKEN else None
