"""Raw input: kept once, found by its hash, gone after its retention, and confined to its folder."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from domain.errors import NotFound, StoreCorrupt, StoreUnavailable
from storage.raw import RawStore
from storage.sealing import Seal
from tests.storage.disk import no_file_beyond

SEAL = Seal(b"s" * 32)
EVENING = datetime(2026, 3, 1, 15, 59, tzinfo=UTC)  # 23:59 on 1 March in Shanghai
MIDNIGHT = datetime(2026, 3, 1, 16, 0, tzinfo=UTC)


def files(folder: Path) -> list[str]:
    """Return every file under `folder`, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_bytes_come_back_by_their_hash(tmp_path: Path) -> None:
    """Whatever the bytes are, their SHA-256 finds them, under feed and day of receipt in Shanghai."""
    store = RawStore(tmp_path, SEAL)
    data = bytes(range(256)) * 40
    digest = store.put("hotline", EVENING, data)
    assert digest == hashlib.sha256(data).hexdigest()
    assert store.get(digest) == data
    assert files(tmp_path) == [f"hotline/2026-03-01/{digest}"]


def test_what_is_kept_names_nobody_without_the_key(tmp_path: Path) -> None:
    """The file holds nothing of the input in clear, and another key does not open it."""
    store = RawStore(tmp_path, SEAL)
    digest = store.put("hotline", EVENING, "来电人 13800138000".encode())
    [file] = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert b"13800138000" not in file.read_bytes()
    with pytest.raises(StoreCorrupt, match="does not open"):
        RawStore(tmp_path, Seal(b"t" * 32)).get(digest)


def test_the_same_bytes_are_kept_once_and_as_long_as_the_newest(tmp_path: Path) -> None:
    """A repeat on the same day writes nothing; on a later day the file moves there; an earlier day changes nothing."""
    store = RawStore(tmp_path, SEAL)
    digest = store.put("hotline", EVENING, b"a")
    store.put("hotline", EVENING, b"a")
    assert files(tmp_path) == [f"hotline/2026-03-01/{digest}"]
    store.put("hotline", MIDNIGHT, b"a")
    store.put("hotline", EVENING, b"a")
    assert files(tmp_path) == [f"hotline/2026-03-02/{digest}"]


def test_retention_deletes_by_feed_and_day(tmp_path: Path) -> None:
    """Only what the feed sent before the day goes, and asking for it says so."""
    store = RawStore(tmp_path, SEAL)
    old, new, other = store.put("a", EVENING, b"old"), store.put("a", MIDNIGHT, b"new"), store.put("b", EVENING, b"other")
    assert store.delete_older_than("a", date(2026, 3, 2)) == 1
    with pytest.raises(NotFound, match="retention"):
        store.get(old)
    assert (store.get(new), store.get(other)) == (b"new", b"other")
    assert store.delete_older_than("never-seen", date(2026, 3, 2)) == 0


@pytest.mark.parametrize("feed", ["", ".", "..", "../x", "a/b", "/etc", "A", "a b", "-a", "热线", "a" * 65, "a\x00", "a\n"])
def test_a_feed_name_cannot_leave_the_folder(tmp_path: Path, feed: str) -> None:
    """A name that is no plain slug is refused before anything is touched."""
    store = RawStore(tmp_path / "raw", SEAL)
    (tmp_path / "raw").mkdir()
    with pytest.raises(ValueError, match="legal are"):
        store.put(feed, EVENING, b"x")
    with pytest.raises(ValueError, match="legal are"):
        store.delete_older_than(feed, date(2030, 1, 1))
    assert files(tmp_path) == []


@pytest.mark.parametrize("digest", ["", "../../secret", "*", "A" * 64, "0" * 63, "0" * 64])
def test_only_a_known_hash_finds_something(tmp_path: Path, digest: str) -> None:
    """Patterns, paths and unknown hashes find nothing."""
    store = RawStore(tmp_path, SEAL)
    store.put("a", EVENING, b"x")
    with pytest.raises(NotFound):
        store.get(digest)


def test_changed_bytes_are_noticed(tmp_path: Path) -> None:
    """A file whose content does not match its name is never given out."""
    store = RawStore(tmp_path, SEAL)
    digest = store.put("a", EVENING, b"x")
    (tmp_path / "a" / "2026-03-01" / digest).write_bytes(b"y")
    with pytest.raises(StoreCorrupt, match=digest):
        store.get(digest)


def test_a_full_disk_keeps_nothing_half(tmp_path: Path) -> None:
    """Without space the input is refused and no part of it stays; with space it is taken."""
    store = RawStore(tmp_path, SEAL)
    with no_file_beyond(38), pytest.raises(StoreUnavailable, match="free space"):
        store.put("a", EVENING, b"x" * 11)
    assert files(tmp_path) == []
    assert store.get(store.put("a", EVENING, b"x" * 11)) == b"x" * 11
