"""The error by which a stand-in's handler says no."""


class Refusal(Exception):
    """The provider says no, with its own `code`; `status` None means the code's usual one.

    `subcode` is Meta's finer code, where a platform has one.
    `retry_after` is in seconds and becomes the header of that name.
    """

    def __init__(
        self,
        code: int,
        details: str = "",
        *,
        subcode: int | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(code, details)
        self.code, self.details, self.subcode = code, details, subcode
        self.status, self.retry_after = status, retry_after
