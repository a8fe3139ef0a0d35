"""Reads `/metrics` as Prometheus does."""

from prometheus_client.parser import text_string_to_metric_families

from tests.running import House
from tests.web.site import Site

Labels = frozenset[tuple[str, str]]


class Page:
    """One reading of the page: `page("hooks_total", channel="wa")` adds up what matches."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples: dict[tuple[str, Labels], float] = {}
        for family in text_string_to_metric_families(text):
            for one in family.samples:
                key = (one.name, frozenset(one.labels.items()))
                assert key not in self.samples, "a series is there once"
                self.samples[key] = one.value

    def __call__(self, name: str, **labels: str) -> float:
        wanted = frozenset(labels.items())
        found = [
            value
            for (full, has), value in self.samples.items()
            if full == f"onethread_{name}" and has >= wanted
        ]
        assert found, name
        return sum(found)

    def since(self, before: "Page") -> dict[str, float]:
        """What was counted between the two, by the text of the series; no times."""
        return {
            _text(name, labels): value - before.samples.get((name, labels), 0)
            for (name, labels), value in self.samples.items()
            if name.startswith("onethread_")
            and name.endswith(("_total", "_seconds_count"))
            and value != before.samples.get((name, labels), 0)
        }


def _text(name: str, labels: Labels) -> str:
    return name.removeprefix("onethread_") + " ".join(["", *(v for _, v in sorted(labels))])


async def page(house: House | Site) -> Page:
    status, text = await ask(house, house.token)
    assert status == 200, text
    return Page(text)


async def ask(house: House | Site, token: str = "") -> tuple[int, str]:
    session = house.session if isinstance(house, House) else house.http
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with session.get(f"{house.url}/metrics", headers=headers) as answer:
        return answer.status, await answer.text()
