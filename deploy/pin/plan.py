"""What each image field is to become, and the lock that goes with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

from deploy.pin.find import ImageField
from deploy.pin.lock import Lock, Locked, key
from deploy.pin.resolve import INDEX, Answer
from registry.errors import BadInput, NotFound, Refused
from registry.oci import Platform
from registry.reference import Reference

# Filled in by other tools: shell and Kustomize, Kubernetes, Helm, and what people write for "fill".
_PLACEHOLDER = re.compile(r"\$\{|\$\(|\{\{|^\$|^<.*>$")
_SHOWN = 10

Ask = Callable[[Sequence[Reference]], Mapping[Reference, Answer]]


@dataclass(frozen=True)
class Place:
    """An image field and the file it is in."""

    path: Path
    field: ImageField

    def __str__(self) -> str:
        return f"{self.path}:{self.field.line}"


@dataclass(frozen=True)
class Replacement:
    """An image of ours that takes the place of others by name.

    name: the last part of the repository (`mnist`), or all of it (`harbor.test/algorithms/mnist`).
    image: with a tag, a digest, or both.
    """

    name: str
    image: Reference

    def matches(self, image: Reference) -> bool:
        """Whether image is to be replaced, whatever its tag."""
        if "/" in self.name:
            return Reference.parse(self.name).name == image.name
        return image.repository.rsplit("/", 1)[-1] == self.name


@dataclass(frozen=True)
class Wishes:
    """platform: None pins indexes as they are. update: look tags up though they are locked.

    prune: drop from the lock what no file names; else it may be named by files not looked at.
    drop_tag: write NAME@DIGEST. offline: ask no registry. skip: patterns of images left alone.
    now: RFC 3339, for the lock.
    """

    now: str
    platform: Platform | None = Platform()  # noqa: RUF009 - frozen
    update: bool = False
    prune: bool = False
    drop_tag: bool = False
    offline: bool = False
    skip: tuple[str, ...] = ()
    replacements: tuple[Replacement, ...] = ()


@dataclass(frozen=True)
class Pin:
    """One field and what is to stand there.

    how: `resolved` by the registry, `locked`, `pinned` already, `replaced`, or `skipped`.
    """

    place: Place
    after: str
    how: str

    @property
    def changed(self) -> bool:
        """Whether the field is to be edited."""
        return self.after != self.place.field.image


@dataclass(frozen=True)
class Plan:
    """unused: replacements that no field asked for."""

    pins: tuple[Pin, ...]
    lock: Mapping[str, Locked]
    unused: tuple[Replacement, ...]


@dataclass(frozen=True)
class _Goal:
    """What a place should name. text: as written, without digest. ask: what to look up, if
    anything; digest: known before asking, or empty."""

    place: Place
    image: Reference | None
    text: str
    how: str
    digest: str = ""

    @property
    def ask(self) -> Reference | None:
        if self.image is None:
            return None
        if self.digest:
            return replace(self.image, tag=None, digest=self.digest)
        return replace(self.image, tag=self.image.tag or "latest", digest=None)

    @property
    def key(self) -> str | None:
        """The name in the lock; None for an image that has no tag to be locked."""
        if self.image is None or (self.image.digest and not self.image.tag):
            return None
        return key(self.image)


def plan(places: Sequence[Place], lock: Lock, wishes: Wishes, ask: Ask) -> Plan:
    """Decide on every place; ask is called once, with each distinct image once.

    Raises BadInput for what is no image or is pinned in two ways, NotFound and Refused for images
    that are not there or not for the platform, all of them in one error.
    """
    goals = [_goal(place, lock, wishes) for place in places]
    _check_agreed(goals)
    asked = list(dict.fromkeys(goal.ask for goal in goals if goal.ask is not None))
    if wishes.offline:
        _check_known(goals)
        answers: Mapping[Reference, Answer] = {}
    else:
        answers = ask(asked)
        _check_answers(goals, answers)
    pins = []
    written: dict[str, Locked] = {}
    for goal in goals:
        if goal.image is None or goal.ask is None:
            pins.append(Pin(goal.place, goal.place.field.image, goal.how))
            continue
        digest = goal.digest or answers[goal.ask].digest
        pins.append(Pin(goal.place, _text(goal, digest, wishes), goal.how))
        if goal.key:
            written[goal.key] = _entry(goal.key, digest, lock, wishes)
    kept = {goal.digest for goal in goals if goal.image is not None and goal.key is None}
    for name, entry in lock.items():
        if not wishes.prune or entry.digest in kept:
            written.setdefault(name, entry)
    images = [goal.image for goal in goals if goal.how == "replaced"]
    unused = tuple(item for item in wishes.replacements if item.image not in images)
    return Plan(tuple(pins), written, unused)


def is_placeholder(text: str) -> bool:
    """Whether another tool is still to write the image here."""
    return _PLACEHOLDER.search(text) is not None


def parse_image(place: Place) -> Reference:
    """The image a place names; raises BadInput with where it is."""
    try:
        return Reference.parse(place.field.image)
    except BadInput as error:
        raise BadInput(f"{place}: {error.what}", error.why, error.hint) from error


def is_skipped(text: str, skip: Sequence[str]) -> bool:
    """Whether an image is to be left alone: a placeholder, or named by one of the patterns."""
    name = text.partition("@")[0]
    return is_placeholder(text) or any(fnmatch(name, pattern) for pattern in skip)


def _goal(place: Place, lock: Lock, wishes: Wishes) -> _Goal:
    text = place.field.image
    if is_skipped(text, wishes.skip):
        return _Goal(place, None, text, "skipped")
    image = parse_image(place)
    for replacement in wishes.replacements:
        if replacement.matches(image):
            ours = replacement.image
            shown = str(replace(ours, digest=None))
            return _Goal(place, ours, shown, "replaced", ours.digest or "")
    written = text.partition("@")[0]
    if image.digest and not image.tag:
        return _Goal(place, image, written, "pinned", image.digest)
    entry = lock.get(key(image))
    if wishes.update:
        return _Goal(place, image, written, "resolved")
    if entry and (image.digest == entry.digest or entry.platform == platform_name(wishes.platform)):
        how = "pinned" if image.digest == entry.digest else "locked"
        return _Goal(place, image, written, how, entry.digest)
    if image.digest:
        return _Goal(place, image, written, "pinned", image.digest)
    return _Goal(place, image, written, "resolved")


def platform_name(platform: Platform | None) -> str:
    """A platform as the lock names it."""
    return str(platform) if platform else INDEX


def _text(goal: _Goal, digest: str, wishes: Wishes) -> str:
    assert goal.image is not None  # noqa: S101 - for the type checker
    text = goal.text
    tagged = goal.image.tag is not None
    if wishes.drop_tag and tagged and goal.place.field.parts is None:
        text = text[: text.rindex(":")]
    elif not tagged and not goal.image.digest and not wishes.drop_tag:
        # Said, so that a later --update knows what to look up.
        text += ":latest"
    return f"{text}@{digest}"


def _entry(name: str, digest: str, lock: Lock, wishes: Wishes) -> Locked:
    """The lock's entry as it was while it says the same, so that a second run changes nothing."""
    before = lock.get(name)
    if before and before.digest == digest:
        return before
    return Locked(digest, platform_name(wishes.platform), wishes.now)


def _check_agreed(goals: Sequence[_Goal]) -> None:
    first: dict[str, _Goal] = {}
    for goal in goals:
        if not goal.key or not goal.digest:
            continue
        other = first.setdefault(goal.key, goal)
        if other.digest != goal.digest:
            raise BadInput(
                f"{goal.key} is pinned to two digests",
                f"{other.place} and {goal.place}",
                "make them one, or run again with --update",
            )


def _check_known(goals: Sequence[_Goal]) -> None:
    unknown = [goal for goal in goals if goal.ask is not None and not goal.digest]
    if unknown:
        raise BadInput(
            f"{_count(unknown)} neither pinned nor in the lock",
            _places(unknown),
            "run once without --offline",
        )


def _check_answers(goals: Sequence[_Goal], answers: Mapping[Reference, Answer]) -> None:
    failed = [goal for goal in goals if goal.ask is not None and not answers[goal.ask].digest]
    if not failed:
        return
    told = {goal.ask: answers[goal.ask] for goal in failed if goal.ask is not None}
    why = f"{_places(failed)}: " + "; ".join(
        answer.problem for answer in list(told.values())[:_SHOWN]
    )
    what = f"{_count(failed)} not to be had"
    if all(answer.refused for answer in told.values()):
        raise Refused(what, why, "choose other images, or --platform, or --resolve index")
    locked = any(goal.digest and goal.key for goal in failed)
    hint = "look their tags up anew with --update" if locked else "correct the names, or push them"
    raise NotFound(what, why, hint)


def _count(goals: Sequence[_Goal]) -> str:
    distinct = len({goal.ask for goal in goals})
    return f"{distinct} image{'s are' if distinct != 1 else ' is'}"


def _places(goals: Sequence[_Goal]) -> str:
    shown = ", ".join(f"{goal.place} {goal.place.field.image}" for goal in goals[:_SHOWN])
    more = len(goals) - _SHOWN
    return f"{shown}, … and {more} more" if more > 0 else shown
