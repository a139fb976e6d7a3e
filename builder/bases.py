"""From release and base family to the tag that exists.

A tag is always looked up, never put together from a version: l4t-base has `r34.1`, then `35.3.1`
without an r; l4t-pytorch ends at r35.2.1. The answer is the exact tag, the documented compatible
one with the reason, or a refusal that names what there is instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builder import host_rules
from builder.families import Family, Tag
from builder.matrix import L4TRelease, Matrix
from registry.errors import Refused
from registry.reference import Reference


@dataclass(frozen=True)
class BaseImage:
    """A base that exists, chosen for a release.

    release: the L4T release it was chosen for (`35.5.0`); l4t: the release it was made for
    (`35.2.1`), or None when it is not tied to one; exact: whether these agree (or the image's
    publisher names this release); reason: why it serves when they do not; evidence: how sure its
    existence is, with the source; python: the version inside, or the one its apt installs;
    provides: frameworks inside, of framework_version (empty if not known); cuda: who brings CUDA,
    `host`, `image` or `none`; runs_on: L4T lines it is for, when l4t is None; modules: ids of the
    modules it has GPU code for, empty for all; digest: that of its manifest where someone recorded
    it; disk_mb: unpacked size in 10^6 bytes, where known; note: a caveat to show.
    """

    family: str
    registry: str
    repository: str
    tag: str
    release: str
    l4t: str | None
    exact: bool
    reason: str
    evidence: str
    python: str
    provides: tuple[str, ...] = ()
    framework_version: str = ""
    flavor: str = ""
    cuda: str = "image"
    runs_on: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    digest: str | None = None
    disk_mb: int | None = None
    note: str = ""

    @property
    def reference(self) -> Reference:
        """`nvcr.io/nvidia/l4t-pytorch:r35.2.1-pth2.0-py3`."""
        return Reference(self.registry, self.repository, self.tag)


def resolve(
    matrix: Matrix,
    release: L4TRelease,
    family: str,
    framework: str | None = None,
    *,
    variant: str | None = None,
    among: Sequence[str] = (),
) -> BaseImage:
    """The base image of a family for a release.

    framework: what the image must offer; a family that holds another framework is refused.
    variant: which of several tags: the tag itself, its version (`1.12`, `24.12`) or flavor
    (`devel`); the newest run-time one otherwise. among: the only families a refusal may offer.
    Raises BadInput for an unknown family, Refused (with the nearest choices) when nothing fits.
    """
    kind = matrix.family(family)
    found = _find(matrix, release, kind, framework, variant)
    if found is not None:
        return found
    raise _refusal(matrix, release, kind, framework, variant, among)


def choose_base(
    matrix: Matrix,
    release: L4TRelease,
    families: Sequence[str],
    framework: str | None = None,
    *,
    variant: str | None = None,
) -> BaseImage:
    """The best of the `candidates` of several families; raises as resolve does."""
    found = candidates(matrix, release, families, framework, variant=variant)
    if not found:
        raise _refusal_of_all(matrix, release, families, framework, variant)
    return found[0]


def candidates(
    matrix: Matrix,
    release: L4TRelease,
    families: Sequence[str],
    framework: str | None = None,
    *,
    variant: str | None = None,
) -> tuple[BaseImage, ...]:
    """The image of each of several families that has one for the release, in order of preference.

    Those with GPU code for every module of the release go before those without (r39 runs on Orin
    and Thor; an image proven on Thor only is taken last).
    """
    found = [_find(matrix, release, matrix.family(name), framework, variant) for name in families]
    known = [base for base in found if base is not None]
    return tuple(sorted(known, key=lambda base: not _serves_all(base, release)))


def _serves_all(base: BaseImage, release: L4TRelease) -> bool:
    return not base.modules or set(release.modules) <= set(base.modules)


def variants(matrix: Matrix, release: L4TRelease, family: str) -> tuple[str, ...]:
    """Every tag of a family that `resolve` gives for the release when asked for by name."""
    kind = matrix.family(family)
    return tuple(tag.tag for tag in kind.tags if _find(matrix, release, kind, None, tag.tag))


def check_host(matrix: Matrix, base: BaseImage, target: L4TRelease) -> Refused | None:
    """Why an image on this base must not go to a host of release target, or None.

    On a base without CUDA the build installs that of the release it was chosen for, so that release
    decides; otherwise the base's own does.
    """
    if base.cuda == "none":
        return host_rules.check(matrix, base.release, target)
    if base.l4t is not None:
        return host_rules.check(matrix, base.l4t, target)
    made_for = [item for item in matrix.releases if _line(item) in base.runs_on]
    if any(host_rules.check(matrix, item.version, target) is None for item in made_for):
        return None
    return Refused(
        f"{base.reference} does not run on an {target.name} host",
        f"it is for {', '.join(f'r{line}' for line in base.runs_on)}",
        f"build for the device's own release: --l4t {target.name}",
    )


def published(matrix: Matrix, reference: Reference) -> BaseImage | None:
    """The base a reference names, chosen for the release it was made for; None if not in the data.

    For images not tied to a release, `release` is the newest one they are for.
    """
    for family in matrix.families:
        if (family.registry, family.repository) != (reference.host, reference.repository):
            continue
        tag = family.tag(reference.tag or "")
        if tag is None:
            continue
        for release in reversed(matrix.releases):
            if _serves(tag, release) or release.version in (*tag.fits, *tag.on_request):
                return _image(matrix, release, family, tag, exact=True, reason="")
    return None


def nearest(matrix: Matrix, reference: Reference) -> tuple[str, ...]:
    """Existing references closest to one that is not in the data, best first, three at most."""
    from difflib import get_close_matches

    families = [
        family
        for family in matrix.families
        if (family.registry, family.repository) == (reference.host, reference.repository)
    ]
    wanted = reference.tag or ""
    meant = [
        missing.use
        for family in families
        for missing in family.missing
        if missing.tag == wanted and missing.use
    ]
    tags = [tag.tag for family in families for tag in family.tags]
    close = get_close_matches(wanted, tags, n=3, cutoff=0.3)
    names = list(dict.fromkeys([*meant, *close]))[:3]
    return tuple(str(reference.with_tag(name)) for name in names)


def _find(
    matrix: Matrix,
    release: L4TRelease,
    family: Family,
    framework: str | None,
    variant: str | None,
) -> BaseImage | None:
    if framework and family.provides and framework not in family.provides:
        return None
    tags = [tag for tag in family.tags if variant is None or _is_variant(tag, variant)]
    if exact := [tag for tag in tags if _serves(tag, release)]:
        return _image(matrix, release, family, _newest(exact), exact=True, reason="")
    for fallback in family.fallbacks:
        served = [tag for tag in tags if tag.l4t == fallback.use]
        if release.version in fallback.releases and served:
            why = fallback.why or host_rules.rule_for(matrix, release).why
            reason = (
                f"none was published for {release.name}; that of r{fallback.use} serves it: {why}"
            )
            return _image(matrix, release, family, _newest(served), exact=False, reason=reason)
    if fitting := [tag for tag in tags if release.version in tag.fits]:
        tag = _newest(fitting)
        others = ", ".join(f"r{version}" for version in tag.serves)
        reason = f"documented for {others}; {family.fits_why}"
        return _image(matrix, release, family, tag, exact=False, reason=reason)
    if variant and (asked := [tag for tag in tags if release.version in tag.on_request]):
        tag = _newest(asked)
        reason = f"asked for by name: no published map pairs {tag.version} with {release.name}"
        return _image(matrix, release, family, tag, exact=False, reason=reason)
    return None


def _serves(tag: Tag, release: L4TRelease) -> bool:
    return (
        tag.l4t == release.version or release.version in tag.serves or _line(release) in tag.runs_on
    )


def _line(release: L4TRelease) -> str:
    return f"{release.line[0]}.{release.line[1]}"


def _is_variant(tag: Tag, variant: str) -> bool:
    bare = variant.removeprefix("pth").removeprefix("tf")
    return variant in (tag.tag, tag.flavor) or (bare == tag.version and bare != "")


def _newest(tags: list[Tag]) -> Tag:
    """Highest version; the run-time flavor before the development one."""

    def rank(tag: Tag) -> tuple[bool, list[int]]:
        parts = tag.version.split(".") if tag.version else []
        return tag.flavor != "devel", [int(part) for part in parts]

    return max(tags, key=rank)


def _image(
    matrix: Matrix, release: L4TRelease, family: Family, tag: Tag, *, exact: bool, reason: str
) -> BaseImage:
    made_for = matrix.known(tag.l4t) if tag.l4t else None
    lines = tag.runs_on or tuple(
        dict.fromkeys(
            version.rsplit(".", 1)[0] for version in (*tag.serves, *tag.fits, *tag.on_request)
        )
    )
    return BaseImage(
        family=family.name,
        registry=family.registry,
        repository=family.repository,
        tag=tag.tag,
        release=release.version,
        l4t=tag.l4t,
        exact=exact,
        reason=reason,
        evidence=f"{tag.evidence}: {matrix.sources[tag.source]}",
        python=tag.python or (made_for or release).python,
        provides=family.provides,
        framework_version=tag.version if family.provides else "",
        flavor=tag.flavor,
        cuda=family.cuda_from((made_for or release).major),
        runs_on=() if tag.l4t else lines,
        modules=tuple(item for item in family.modules if item in release.modules),
        digest=tag.digest,
        disk_mb=tag.disk_mb,
        note=tag.note,
    )


def _refusal(
    matrix: Matrix,
    release: L4TRelease,
    family: Family,
    framework: str | None,
    variant: str | None,
    among: Sequence[str],
) -> Refused:
    if framework and family.provides and framework not in family.provides:
        held = " and ".join(family.provides)
        what, why = f"{family.name} has no {framework}", f"it holds {held}"
    elif variant and _find(matrix, release, family, framework, None):
        offered = ", ".join(variants(matrix, release, family.name))
        what = f"there is no {variant!r} of {family.name} for {release.name}"
        return Refused(what, f"there are: {offered}", "choose one of these, or leave it to imgctl")
    else:
        what = f"there is no {family.name} image for {release.name}"
        why = _extent(matrix, release, family)
    return Refused(what, why, _choices(matrix, release, family, framework, among))


def _refusal_of_all(
    matrix: Matrix,
    release: L4TRelease,
    families: Sequence[str],
    framework: str | None,
    variant: str | None,
) -> Refused:
    """The refusal when none of several families has anything."""
    if variant and (found := candidates(matrix, release, families, framework)):
        offered = [name for base in found for name in variants(matrix, release, base.family)]
        return Refused(
            f"there is no base {variant!r} for {release.name}",
            f"there are: {', '.join(offered)}",
            "choose one of these, or leave it to imgctl",
        )
    refusals = [
        (name, _refusal(matrix, release, matrix.family(name), framework, None, families))
        for name in families
    ]
    first = refusals[0][1]
    if len(refusals) == 1:
        return first
    return Refused(
        f"there is no base for {release.name} among {', '.join(families)}",
        "; ".join(f"{name}: {refusal.why}" for name, refusal in refusals),
        first.hint,
    )


def _extent(matrix: Matrix, release: L4TRelease, family: Family) -> str:
    served = [item for item in matrix.releases if _find(matrix, item, family, None, None)]
    first, last = served[0], served[-1]
    if release.number > last.number:
        return f"its images end with {last.name}"
    if release.number < first.number:
        return f"its images begin with {first.name}"
    return f"its images are for {first.name} to {last.name}, with gaps, and this is one"


def _choices(
    matrix: Matrix,
    release: L4TRelease,
    family: Family,
    framework: str | None,
    among: Sequence[str],
) -> str:
    order = [matrix.family(name) for name in family.then]
    # Those that hold the same frameworks first, then the ones a framework can be installed on.
    others = [item for item in matrix.families if item not in order and item != family]
    order += sorted(others, key=lambda item: not set(item.provides) & set(family.provides))
    found = [_find(matrix, release, item, framework, None) for item in order]
    existing = [base for base in found if base is not None]
    names = [
        f"--base {base.family} ({base.reference})"
        for base in existing
        if not among or base.family in among
    ]
    if names:
        return f"nearest for {release.name}: {', '.join(names[:3])}"
    allowed = [matrix.family(name) for name in among] or [family]
    place = matrix.releases.index(release)
    nearest_first = sorted(enumerate(matrix.releases), key=lambda pair: abs(pair[0] - place))
    for _, other in nearest_first:
        for item in allowed:
            base = _find(matrix, other, item, framework, None)
            if base is not None:
                return f"nearest of {item.name}: {base.reference}, which serves {other.name} hosts"
    # Nothing the definition allows holds the framework for any release at all.
    holders = sorted(existing, key=lambda base: framework not in base.provides)
    elsewhere = [f"{base.family} ({base.reference})" for base in holders[:3]]
    return f"name one of these in `bases`: {', '.join(elsewhere)}" if elsewhere else ""
