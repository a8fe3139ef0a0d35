"""What every stand-in shares: the server, its accounts, and how an accepted send goes on."""

import asyncio
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar

from aiohttp import web

from connectors.sandbox import control
from connectors.sandbox.account import Account
from connectors.sandbox.calls import Call, CallLog
from connectors.sandbox.customer import CustomerMessage, Phone, Written, item_of
from connectors.sandbox.deliveries import Attempt, Deliveries, Post
from connectors.sandbox.faults import (
    ANSWERS,
    RECEIPTS,
    REFUSALS,
    WEBHOOKS,
    Fault,
    FaultList,
    bare_number,
    hold,
    reset_connection,
)
from connectors.sandbox.links import Link, Reason, fetch_link
from connectors.sandbox.media import USUAL_MIME, Media, make_content
from connectors.sandbox.refusal import Refusal
from connectors.sandbox.transcript import Item, Transcript

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ProviderCall = Callable[[web.Request, Call], Awaitable[web.Response]]
Step = tuple[str, int | None]


A = TypeVar("A", bound=Account)


class Standin(ABC, Generic[A]):
    """A provider over HTTP. State lives in memory and outlasts `stop`."""

    account_model: type[A]
    message_model: ClassVar[type[CustomerMessage]] = CustomerMessage
    fault_codes: ClassVar[dict[int, int]]

    def __init__(self, *, now: Callable[[], float] = time.time, keep: int | None = None) -> None:
        self.now = now
        self.base_url = ""
        self.accounts: dict[str, A] = {}
        self.phones: dict[str, Phone] = {}
        self._numbers: dict[str, str] = {}
        self.media: dict[str, Media] = {}
        self.faults = FaultList()
        self.calls = CallLog(now, keep)
        self.transcript = Transcript(keep)
        self.deliveries = Deliveries(now, keep)
        self._runner: web.AppRunner | None = None
        self._tasks: set[asyncio.Task[list[Post]]] = set()

    @abstractmethod
    def add_provider_routes(self, router: web.UrlDispatcher) -> None:
        """Add the routes of the provider's API."""

    @abstractmethod
    def hear(self, account: A, phone: str, said: CustomerMessage) -> tuple[Item, Post | None]:
        """The customer's message as an item, a new one or one it changes, and as its webhook.

        The webhook is None when it waits for the rest of its batch. Raises `ControlError`.
        """

    @abstractmethod
    def receipt(self, account: A, item: Item, status: str, error: int | None) -> Post:
        """The webhook that tells `status` of a message the business sent."""

    @abstractmethod
    def refuse(self, refusal: Refusal) -> web.Response:
        """The provider's way to say no."""

    @abstractmethod
    def link_code(self, item: Item, reason: Reason) -> int:
        """The error code of a send whose link could not be used."""

    def new_media_id(self) -> str:
        """A media id in the provider's shape."""
        return str(secrets.randbelow(9 * 10**15) + 10**15)

    def react(self, account: A, item: Item) -> None:
        """What the provider does by itself on a customer's message; by default nothing."""

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Serve, and go on with the webhooks that wait. Returns the base URL."""
        app = web.Application(client_max_size=120_000_000)
        self.add_provider_routes(app.router)
        control.add_routes(app.router, self)
        # A held request must end when its client goes away, which aiohttp tells by cancelling.
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.05
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        bound = self._runner.addresses[0]
        self.base_url = f"http://{bound[0]}:{bound[1]}"
        await self.deliveries.start()
        return self.base_url

    async def stop(self) -> None:
        """Close the port and every connection; open calls get no answer. Keeps the state."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await self.deliveries.pause()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.deliveries.close()

    # What the control routes call, and tests in the same process too.

    def add_account(self, account: A | dict[str, Any]) -> A:
        """Add an account, or replace the one of the same key."""
        model = self.account_model
        added = account if isinstance(account, model) else model.model_validate(account)
        self.accounts[added.key] = added
        return added

    def account(self, name: str | None) -> A:
        """The account of that name; None means the only one. Raises `ControlError`."""
        if name is None and len(self.accounts) == 1:
            return next(iter(self.accounts.values()))
        if name is not None and name in self.accounts:
            return self.accounts[name]
        for account in self.accounts.values():
            if name is not None and name in account.names:
                return account
        raise control.ControlError(f"no account {name!r}")

    def set_phone(self, number: str, **facts: Any) -> Phone:
        """State facts of a customer's phone; those not given stay."""
        known = self.phone(number)
        changed = Phone.model_validate({**known.model_dump(), **facts})
        self.phones[bare_number(number)] = changed
        for id in (changed.wa_id, changed.user_id):
            if id is not None:
                self._numbers[id] = bare_number(number)
        return changed

    def phone(self, number: str) -> Phone:
        return self.phones.get(bare_number(number)) or Phone()

    def number_of(self, id: str) -> str:
        """The phone that a `wa_id` or `user_id` means; other ids are phones themselves."""
        return self._numbers.get(id, id)

    def add_fault(self, do: str, match: dict[str, str] | None = None, **how: Any) -> Fault:
        """Add one fault; `how` are the fields of `Fault`."""
        fault = Fault.model_validate({"do": do, "match": match or {}, **how})
        self.faults.add(fault)
        return fault

    def clear_faults(self) -> None:
        self.faults.clear()

    def log(self, after: int = 0) -> list[Call]:
        """Every call of the provider's API numbered above `after`."""
        return self.calls.read(after)

    def webhooks(self, after: int = 0) -> list[Attempt]:
        """Every webhook attempt numbered above `after`."""
        return self.deliveries.log(after)

    def shown(self, number: str, account: str | None = None, after: int = 0) -> list[Item]:
        """What the phone shows that came or changed after the counter `after`."""
        key = self.account(account).key if account is not None else None
        return self.transcript.read(bare_number(number), key, after)

    def reset(self) -> None:
        """Forget everything but the accounts."""
        self.faults.clear()
        self.calls.clear()
        self.transcript.clear()
        self.deliveries.clear()
        self.phones.clear()
        self._numbers.clear()
        self.media.clear()

    async def customer_writes(
        self, number: str, message: CustomerMessage | None = None, **fields: Any
    ) -> Written:
        """Let the customer send a message, given whole or by the fields of `message_model`.

        Raises `ControlError` for what a phone cannot do, such as tapping a button not shown.
        """
        said = message or self.message_model.model_validate(fields)
        account = self.account(said.account)
        phone = bare_number(number)
        if said.name is not None:
            self.set_phone(phone, name=said.name)
        self._check_tap(said)
        item, post = self.hear(account, phone, said)
        self.transcript.put(item)
        self.react(account, item)
        status = None
        if post is not None:
            if said.wait:
                post.done = asyncio.get_running_loop().create_future()
            fault = self.faults.take(WEBHOOKS, account.names, phone, item.text)
            if fault is not None and fault.do == "late_webhook":
                post.due = time.monotonic() + fault.seconds
            twice = fault is not None and fault.do == "duplicate_webhook"
            (self.deliveries.put_twice if twice else self.deliveries.put)(post)
            if post.done is not None:
                status = await post.done
        return Written(external_id=item.external_id, status=status)

    # How a provider call is answered.

    def provider(self, handle: ProviderCall) -> Handler:
        """Wrap a handler of the provider's API: its call is logged, its refusals are answered."""

        async def serve(request: web.Request) -> web.StreamResponse:
            call = self.calls.open(request.method, request.path)
            try:
                answer = await handle(request, call)
            except Refusal as refusal:
                call.code = refusal.code
                answer = self.refuse(refusal)
            call.status = answer.status
            return answer

        return serve

    async def meet_fault(
        self, request: web.Request, call: Call, account: A, phone: str, text: str
    ) -> Fault | None:
        """Play a fault that comes instead of accepting a send, or return the one to play after."""
        fault = self.faults.find(ANSWERS, account.names, phone, text)
        if fault is not None and fault.do in REFUSALS:
            await self._play(fault, request, call)
        return fault

    async def meet_read_fault(self, request: web.Request, call: Call, account: A, on: str) -> None:
        """Play a fault of media downloads or of lists, if one strikes."""
        fault = self.faults.find(ANSWERS, account.names, "", "", on=on)
        if fault is not None:
            await self._play(fault, request, call)

    async def conclude(
        self,
        request: web.Request,
        call: Call,
        account: A,
        item: Item,
        steps: list[Step],
        answer: web.Response,
        fault: Fault | None,
        links: Sequence[Link] = (),
    ) -> web.Response:
        """Accept a send: it goes on the phone, its receipts go out, and so does the answer.

        `steps` are the (status, error code) the message will go through. A `fault` changes
        when the answer goes out, or whether.
        """
        self.transcript.add(item)
        call.external_id = item.external_id
        do = None
        if fault is not None:
            self.faults.use(fault)
            do = call.fault = fault.do
        spoiled = self.faults.take(RECEIPTS, account.names, item.phone, item.text)
        if spoiled is not None:
            call.fault = f"{do}+{spoiled.do}" if do else spoiled.do
        how = spoiled.do if spoiled else None
        waited = do == "receipt_first"
        if links:
            fetching = self._spawn(self._fetch_links(account, item, links, steps, how, waited))
            posts = await asyncio.shield(fetching) if waited else []
        else:
            posts = self._put_receipts(account, item, steps, how, waited)
        if waited:
            await asyncio.gather(*(post.done for post in posts if post.done is not None))
        elif do == "accept_silent":
            await hold()
        elif do == "accept_reset":
            await reset_connection(request)
        elif do == "slow" and fault is not None:
            await asyncio.sleep(fault.seconds)
        return answer

    async def _play(self, fault: Fault, request: web.Request, call: Call) -> None:
        self.faults.use(fault)
        call.fault = fault.do
        if fault.do == "status":
            code = fault.code or self.fault_codes.get(fault.status, self.fault_codes[500])
            raise Refusal(
                code,
                "a fault was asked for",
                subcode=fault.subcode,
                status=fault.status,
                retry_after=fault.retry_after,
            )
        if fault.do == "hang":
            await hold()
        if fault.do == "reset":
            await reset_connection(request)
        await asyncio.sleep(fault.seconds)

    def _put_receipts(
        self, account: A, item: Item, steps: list[Step], how: str | None, waited: bool
    ) -> list[Post]:
        if how == "reorder_receipts":
            steps = steps[::-1]
        started = time.monotonic()
        posts = []
        for index, (status, error) in enumerate(steps):
            for _ in range(2 if how == "duplicate_receipts" else 1):
                post = self.receipt(account, item, status, error)
                post.due = started + account.delay(index)
                post.begun = partial(self.transcript.mark, item, status, error)
                if how == "no_receipts":
                    post.url = ""
                if waited:
                    post.done = asyncio.get_running_loop().create_future()
                self.deliveries.put(post)
                posts.append(post)
        return posts

    async def _fetch_links(
        self,
        account: A,
        item: Item,
        links: Sequence[Link],
        steps: list[Step],
        how: str | None,
        waited: bool,
    ) -> list[Post]:
        """Fetch what the send linked to, as the provider does after accepting it."""
        for link in links:
            try:
                fetched = await fetch_link(self.deliveries.session, link, account.key)
            except asyncio.CancelledError:
                # Stopped meanwhile: what was accepted still gets its receipts, after the start.
                self._put_receipts(account, item, steps, how, waited=False)
                raise
            if isinstance(fetched, Media):
                self.media[fetched.id] = fetched
                link.shown.update(mime=fetched.mime, url=self.media_url(fetched))
            elif fetched is not None:
                steps = [("failed", self.link_code(item, fetched))]
        return self._put_receipts(account, item, steps, how, waited)

    def make_file(self, account: A, said: CustomerMessage, expires_at: float) -> Media | None:
        """Make up and store the file of a customer's message, if it has one."""
        if said.file is None:
            return None
        mime = said.file.mime or USUAL_MIME[said.kind]
        media = Media(
            id=self.new_media_id(),
            account=account.key,
            kind=said.kind,
            mime=mime,
            content=make_content(mime, said.file.size),
            expires_at=expires_at,
            name=said.file.filename,
        )
        self.media[media.id] = media
        return media

    def heard(
        self, account: A, phone: str, said: CustomerMessage, external_id: str, file: Media | None
    ) -> Item:
        """What the phone shows of the customer's own message."""
        item = item_of(said, account.key, phone, external_id, self.now())
        if file is not None:
            item.media.append(
                {"kind": file.kind, "mime": file.mime, "url": self.media_url(file), "id": file.id}
            )
        return item

    def media_url(self, media: Media) -> str:
        """Where a demo page may show the file, without a token."""
        return f"{self.base_url}/_sandbox/media/{media.id}"

    def _spawn(self, work: Coroutine[Any, Any, list[Post]]) -> asyncio.Task[list[Post]]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _check_tap(self, said: CustomerMessage) -> None:
        tapped = self.transcript.find(said.quotes)
        if said.tap is None or tapped is None or tapped.template is not None:
            return
        offered = tapped.buttons if said.button else tapped.rows
        if all((offer["id"], offer["title"]) != (said.tap.id, said.tap.title) for offer in offered):
            raise control.ControlError("that message shows no such button or row")
