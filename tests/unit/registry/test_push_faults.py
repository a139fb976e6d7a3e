"""A push through a registry that fails at any request: what it leaves behind is always whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from registry.client import RegistryClient, RegistryOptions
from registry.errors import ImgctlError
from registry.layout import LayoutStore
from registry.oci import Document, Platform
from registry.origin import Origin
from registry.push import PlainTarget, PushRequest, push
from registry.retry import RetryPolicy
from registry.sandbox.memory import MemoryRegistry
from registry.sandbox.server import serve
from tests.unit.registry.images import blob, chunks_of, put_image

BASE, OURS = b"base" * 1000, b"ours"
TAGS = ("1.0", "latest")

# What becomes of one request. "late": it is done, and the answer lost.
FAULTS = ("none", "500", "503", "429", "cut", "late 500", "late cut")


@dataclass
class Flaky:
    """A registry that does what the faults say, one for each request; then it works."""

    registry: MemoryRegistry
    faults: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self.faults.pop(0) if self.faults else "none"
        if fault.startswith("late"):
            await self.registry(scope, receive, _nowhere)
        if fault == "none":
            await self.registry(scope, receive, send)
        elif fault.endswith("cut"):
            head = [(b"content-length", b"9")]
            await send({"type": "http.response.start", "status": 200, "headers": head})
        else:
            code = int(fault.rpartition(" ")[2])
            headers = {"Retry-After": "0"} if code == 429 else {}
            await JSONResponse({"errors": []}, code, headers)(scope, receive, send)


async def _nowhere(message: Message) -> None:
    """The answer is lost."""


@dataclass(frozen=True)
class Bench:
    """A flaky registry that holds the base, and the image to push."""

    flaky: Flaky
    client: RegistryClient
    host: str
    source: LayoutStore
    document: Document

    def push(self, *faults: str) -> None:
        """Push the image while requests fail; into a repository that is as the last one left it."""
        self.flaky.faults = list(faults)
        base = self.client.repository(self.host, "base")
        request = PushRequest(
            "mnist",
            self.source,
            "1.0",
            TAGS,
            frozenset(TAGS[:1]),
            Platform("linux", "arm64"),
            (Origin(base, frozenset((blob(BASE).digest,))),),
        )
        push(request, self.client.repository(self.host, "mnist", push=True), PlainTarget())

    def forget(self) -> None:
        """Begin with an empty repository."""
        self.flaky.faults = []
        self.flaky.registry.repositories.pop("mnist", None)

    def check_whole(self) -> set[str]:
        """Every tag that is there names the image, of which everything is there; the tags."""
        contents = self.flaky.registry.repositories.get("mnist")
        if contents is None:
            return set()
        for digest in contents.tags.values():
            assert digest == self.document.digest
            assert {item.digest for item in self.document.blobs()} <= contents.blobs
        return set(contents.tags)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    source = LayoutStore.create(tmp_path_factory.mktemp("layout"))
    document = put_image(source, "1.0", BASE, OURS)
    flaky = Flaky(MemoryRegistry())
    options = RegistryOptions(retry=RetryPolicy(attempts=3, first=0.001, longest=0.002))
    with serve(flaky) as host, RegistryClient(options) as client:
        client.repository(host, "base", push=True).push_blob(blob(BASE), chunks_of(BASE))
        yield Bench(flaky, client, host, source, document)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(FAULTS), max_size=30))
@example(["late cut"] * 30)
@example(["none"] * 7 + ["late 500"] * 3)
def test_whatever_fails_tags_name_whole_images_and_the_next_push_finishes(
    bench: Bench, faults: list[str]
) -> None:
    bench.forget()
    try:
        bench.push(*faults)
    except ImgctlError as error:
        assert error.what
    else:
        assert bench.check_whole() == set(TAGS)
    bench.check_whole()
    bench.push()
    assert bench.check_whole() == set(TAGS)


@pytest.mark.parametrize("fault", FAULTS[1:])
def test_one_fault_anywhere_is_got_over(bench: Bench, fault: str) -> None:
    for number in range(14):
        bench.forget()
        bench.push(*["none"] * number, fault)
        assert bench.check_whole() == set(TAGS)
