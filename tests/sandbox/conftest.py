"""Both stand-ins, started with one account each, and the hook they post to."""

from collections.abc import AsyncIterator

import aiohttp
import pytest_asyncio

from connectors.sandbox import twilio, whatsapp
from tests.sandbox import calls
from tests.sandbox.hook import Clock, Hook


@pytest_asyncio.fixture
async def hook() -> AsyncIterator[Hook]:
    hook = Hook()
    await hook.start()
    yield hook
    await hook.stop()


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest_asyncio.fixture
async def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def wa(
    hook: Hook, clock: Clock, http: aiohttp.ClientSession
) -> AsyncIterator[calls.WhatsApp]:
    sandbox = whatsapp.Sandbox(now=clock)
    await sandbox.start()
    sandbox.add_account(
        {
            "phone_number_id": calls.PHONE_NUMBER_ID,
            "display_phone_number": "+1 555-0001",
            "access_token": "token-1",
            "app_secret": "secret-1",
            "verify_token": "verify-1",
            "hook_url": hook.url,
            "receipt_delay": 0,
            "first_retry": 0.01,
        }
    )
    yield calls.WhatsApp(sandbox, http)
    await sandbox.stop()


@pytest_asyncio.fixture
async def sms(hook: Hook, clock: Clock, http: aiohttp.ClientSession) -> AsyncIterator[calls.Twilio]:
    sandbox = twilio.Sandbox(now=clock)
    await sandbox.start()
    sandbox.add_account(
        {
            "account_sid": calls.ACCOUNT_SID,
            "auth_token": "token-2",
            "number": calls.SENDER,
            "hook_url": hook.url,
            "receipt_delay": 0,
            "first_retry": 0.01,
        }
    )
    yield calls.Twilio(sandbox, http)
    await sandbox.stop()
