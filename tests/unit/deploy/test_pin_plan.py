"""What each image becomes: by lock, by registry, by our own builds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from deploy.pin.check import problems, stale, unused
from deploy.pin.find import ImageField
from deploy.pin.lock import Locked, read_lock, write_lock
from deploy.pin.plan import Place, Plan, Replacement, Wishes, plan
from deploy.pin.resolve import Answer
from registry.errors import BadInput, NotFound, Refused
from registry.oci import Platform
from registry.reference import Reference

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
NOW = "2026-11-24T10:00:00Z"
EARLIER = "2026-01-01T00:00:00Z"
LOCK = {"h.test/p/app:1": Locked(A, "linux/arm64", EARLIER)}
LOCK_PATH = Path("imgctl.lock.yaml")


class Registry:
    """Answers every tag with B, and says what it was asked."""

    def __init__(self, **other: Answer) -> None:
        self.asked: list[str] = []
        self.other = other

    def __call__(self, images: Sequence[Reference]) -> Mapping[Reference, Answer]:
        self.asked += map(str, images)
        return {
            image: self.other.get(image.repository[2:], Answer(image.digest or B))
            for image in images
        }


def places(*images: str) -> list[Place]:
    return [
        Place(Path("a.yaml"), ImageField("Pod", "x", "spec", line, 0, 0, image))
        for line, image in enumerate(images, 1)
    ]


def pinned(*images: str, lock: Any = LOCK, ask: Any = None, **wishes: Any) -> Plan:
    return plan(places(*images), lock, Wishes(NOW, **wishes), ask or Registry())


def after(done: Plan) -> list[str]:
    return [pin.after for pin in done.pins]


def test_a_tag_that_is_locked_gets_the_locked_digest() -> None:
    registry = Registry()
    done = pinned("h.test/p/app:1", ask=registry)
    assert after(done) == [f"h.test/p/app:1@{A}"]
    assert done.pins[0].how == "locked"
    assert done.lock == LOCK
    assert registry.asked == [f"h.test/p/app@{A}"]  # only whether it is still there


def test_update_asks_for_the_tag_and_renews_the_lock() -> None:
    done = pinned(f"h.test/p/app:1@{A}", update=True)
    assert after(done) == [f"h.test/p/app:1@{B}"]
    assert done.lock == {"h.test/p/app:1": Locked(B, "linux/arm64", NOW)}


def test_update_leaves_the_lock_as_it_is_when_the_tag_has_not_moved() -> None:
    lock = {"h.test/p/app:1": Locked(B, "linux/arm64", EARLIER)}
    assert pinned("h.test/p/app:1", lock=lock, update=True).lock == lock


def test_a_tag_that_is_not_locked_is_resolved_and_locked() -> None:
    done = pinned("h.test/p/new:2")
    assert after(done) == [f"h.test/p/new:2@{B}"]
    assert done.lock["h.test/p/new:2"] == Locked(B, "linux/arm64", NOW)


def test_the_lock_of_another_platform_does_not_count() -> None:
    done = pinned("h.test/p/app:1", platform=Platform("linux", "amd64"))
    assert after(done) == [f"h.test/p/app:1@{B}"]
    assert done.lock["h.test/p/app:1"].platform == "linux/amd64"
    assert pinned("h.test/p/app:1", platform=None).lock["h.test/p/app:1"].platform == "index"


def test_names_are_kept_as_they_were_written() -> None:
    done = pinned("nginx", "nginx:1", "docker.io/library/nginx:1")
    assert after(done) == [
        f"nginx:latest@{B}",
        f"nginx:1@{B}",
        f"docker.io/library/nginx:1@{B}",
    ]
    assert sorted(done.lock) == [
        "docker.io/library/nginx:1",
        "docker.io/library/nginx:latest",
        "h.test/p/app:1",
    ]


def test_each_image_is_asked_for_once_however_it_is_written() -> None:
    registry = Registry()
    pinned("nginx:1", "docker.io/library/nginx:1", "nginx:1", ask=registry)
    assert registry.asked == ["docker.io/library/nginx:1"]


def test_the_tag_can_be_dropped_and_the_lock_still_knows_it() -> None:
    done = pinned("h.test:5000/p/app:1", "nginx", drop_tag=True)
    assert after(done) == [f"h.test:5000/p/app@{B}", f"nginx@{B}"]
    again = pinned(*after(done), lock=done.lock, drop_tag=True, prune=True)
    assert again.lock == {name: entry for name, entry in done.lock.items() if entry.digest == B}


def test_what_is_pinned_stays_and_is_looked_for() -> None:
    registry = Registry()
    done = pinned(f"h.test/p/x@{C}", f"h.test/p/y:1@{C}", ask=registry)
    assert not any(pin.changed for pin in done.pins)
    assert registry.asked == [f"h.test/p/x@{C}", f"h.test/p/y@{C}"]
    assert done.lock["h.test/p/y:1"].digest == C


def test_a_digest_that_is_not_there_is_an_error_with_its_place() -> None:
    gone = Answer(problem="h.test/p/x is not in its registry")
    with pytest.raises(NotFound) as caught:
        pinned("nginx", f"h.test/p/x@{C}", ask=Registry(x=gone))
    assert "a.yaml:2 h.test/p/x@" in caught.value.why


def test_a_locked_digest_that_is_gone_is_to_be_looked_up_anew() -> None:
    gone = Answer(problem="h.test/p/app is not in its registry")
    with pytest.raises(NotFound) as caught:
        pinned("h.test/p/app:1", ask=Registry(app=gone))
    assert "--update" in caught.value.hint


def test_all_that_is_missing_is_told_at_once() -> None:
    gone = Answer(problem="no such tag")
    with pytest.raises(NotFound, match="2 images are not to be had"):
        pinned("h.test/p/x:1", "h.test/p/y:1", "h.test/p/y:1", ask=Registry(x=gone, y=gone))


def test_an_image_for_another_platform_is_refused() -> None:
    wrong = Answer(problem="h.test/p/x:1 is for linux/amd64, not linux/arm64", refused=True)
    with pytest.raises(Refused, match="amd64"):
        pinned("h.test/p/x:1", ask=Registry(x=wrong))


def test_offline_the_lock_must_know() -> None:
    registry = Registry()
    done = pinned("h.test/p/app:1", offline=True, ask=registry)
    assert after(done) == [f"h.test/p/app:1@{A}"]
    assert registry.asked == []
    with pytest.raises(BadInput, match="neither pinned nor in the lock"):
        pinned("h.test/p/app:2", offline=True)


def test_one_tag_cannot_be_two_digests() -> None:
    with pytest.raises(BadInput, match="pinned to two digests"):
        pinned(f"nginx:1@{A}", f"nginx:1@{B}")
    assert len(set(after(pinned(f"nginx:1@{A}", f"nginx:1@{C}", update=True)))) == 1


def test_the_lock_wins_over_a_digest_written_by_hand() -> None:
    assert after(pinned(f"h.test/p/app:1@{C}")) == [f"h.test/p/app:1@{A}"]


def test_what_others_fill_in_is_left_alone() -> None:
    left = ["${IMAGE}", "$(params.image)", "{{ .Values.image }}", "$IMAGE", "<your image>"]
    done = pinned(*left, "local/dev:1", skip=("local/*",))
    assert after(done) == [*left, "local/dev:1"]
    assert {pin.how for pin in done.pins} == {"skipped"}


def test_what_is_no_image_is_refused_with_its_place() -> None:
    with pytest.raises(BadInput, match=r"a.yaml:1: 'Not An Image'"):
        pinned("Not An Image")


OURS = Reference.parse(f"harbor.test/algorithms/mnist:1.0.0-l4t-r35.2.1@{C}")


@pytest.mark.parametrize("image", ["mnist", "mnist:latest", f"old.test/x/mnist:2@{A}"])
def test_our_image_takes_the_place_of_others_by_name(image: str) -> None:
    done = pinned(image, "nginx", replacements=(Replacement("mnist", OURS),))
    assert after(done) == [str(OURS), f"nginx:latest@{B}"]
    assert done.pins[0].how == "replaced"
    assert done.unused == ()
    assert done.lock["harbor.test/algorithms/mnist:1.0.0-l4t-r35.2.1"].digest == C


def test_a_whole_name_replaces_only_itself() -> None:
    replacement = Replacement("harbor.test/algorithms/mnist", OURS)
    done = pinned("mnist:1", "harbor.test/algorithms/mnist:0", replacements=(replacement,))
    assert after(done) == [f"mnist:1@{B}", str(OURS)]


def test_an_image_that_was_built_and_is_used_nowhere_is_told() -> None:
    replacement = Replacement("mnist", OURS)
    assert pinned("nginx", replacements=(replacement,)).unused == (replacement,)


def test_a_second_run_changes_nothing() -> None:
    first = pinned("nginx", "h.test/p/app:1", "h.test/p/z:3")
    second = pinned(*after(first), lock=first.lock)
    assert after(second) == after(first)
    assert second.lock == first.lock


def test_the_lock_keeps_what_other_files_may_name_unless_told() -> None:
    assert "h.test/p/app:1" in pinned("nginx").lock
    assert "h.test/p/app:1" not in pinned("nginx", prune=True).lock


def test_the_lock_is_read_as_it_was_written() -> None:
    lock = pinned("nginx", "127.0.0.1:5000/a/b:on").lock
    assert read_lock(write_lock(lock), LOCK_PATH) == lock


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "schema: 2", "schema: 1\nimages: [a]", "schema: 1\nimages: {a: b}", "a: [",
        "schema: 1\nimages: {a: {digest: latest}}", "\x00",
    ],
)  # fmt: skip
def test_what_is_no_lock_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is not a lock file"):
        read_lock(text, LOCK_PATH)


def test_a_check_finds_what_is_not_pinned() -> None:
    found = problems(places("nginx:1", f"nginx@{A}", "${X}", "local/dev:1"), ("local/*",))
    assert [str(problem) for problem in found] == ["a.yaml:1: nginx:1: not pinned to a digest"]


def test_a_check_finds_where_the_lock_says_something_else() -> None:
    here = places(f"h.test/p/app:1@{B}", f"nginx:1@{A}", f"nginx@{A}")
    assert [problem.message for problem in stale(here, LOCK, LOCK_PATH, ())] == [
        f"imgctl.lock.yaml has {A}",
        "not in imgctl.lock.yaml",
    ]
    assert stale(places(f"h.test/p/app:1@{A}"), LOCK, LOCK_PATH, ()) == []


def test_a_check_finds_what_is_locked_and_used_nowhere() -> None:
    assert len(unused(places("nginx"), LOCK, LOCK_PATH, ())) == 1
    assert unused(places(f"h.test/p/app@{A}"), LOCK, LOCK_PATH, ()) == []
