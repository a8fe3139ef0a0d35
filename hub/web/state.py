"""What every web handler works with, handed over by app.py under one key."""

from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from hub.bus import Bus
from hub.channels import Channels
from hub.clock import Clock
from hub.courtesy import Courtesy
from hub.desk.answers import Desk
from hub.intake import Intake
from hub.metrics import Metrics
from hub.pauses import Pauses
from hub.settings import Settings
from hub.spool import Spool
from hub.store.sql import Store
from hub.templates import Templates
from hub.web.codes import LoginCodes


@dataclass(slots=True)
class State:
    """`demo`: the demo page is what `/` shows. `beat`: seconds since the worker of this process
    last looked for work, None where there is none. `ping_every`: seconds between the pings of a
    socket; one that misses two is dropped."""

    settings: Settings
    store: Store
    bus: Bus
    clock: Clock
    channels: Channels
    desk: Desk
    intake: Intake
    spool: Spool
    metrics: Metrics
    pauses: Pauses
    courtesy: Courtesy
    templates: Templates = field(default_factory=Templates)
    demo: bool = False
    beat: Callable[[], float] | None = None
    ping_every: float = 25.0
    login_codes: LoginCodes = field(default_factory=LoginCodes)


STATE: web.AppKey[State] = web.AppKey("state", State)
