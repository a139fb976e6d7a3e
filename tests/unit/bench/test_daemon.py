"""What a plain build leaves in the daemon is found, with all that stands on it."""

from __future__ import annotations

from bench.daemon import above, records

# As `docker buildx du --verbose` 0.29 prints, shortened.
PRINTED = """\
ID:           aaa
Created at:   2026-11-24 10:35:36 +0000 UTC
Size:         3.335MB
Description:  pulled from 127.0.0.1:5999/small/base:1
Usage count:  1

ID:           bbb*
Parents:
 - aaa
Size:         0B
Description:  [2/2] LINK COPY --link a /a

ID:           ccc
Parents:
 - ddd
 - bbb
Size:         0B
Description:

ID:           ddd
Size:         29B
Description:  pulled from 127.0.0.1:5000/other/base:1

Reclaimable:  3.335MB
Total:        3.335MB
"""


def test_records_have_their_parents_and_descriptions() -> None:
    found = records(PRINTED)
    assert set(found) == {"aaa", "bbb", "ccc", "ddd"}
    assert found["ccc"].parents == {"bbb", "ddd"}
    assert found["ccc"].description == ""
    assert found["bbb"].description == "[2/2] LINK COPY --link a /a"


def test_what_stands_on_a_pulled_base_goes_with_it_and_nothing_else() -> None:
    assert above(records(PRINTED), "127.0.0.1:5999/") == {"aaa", "bbb", "ccc"}
    assert above(records(PRINTED), "127.0.0.1:1/") == set()
