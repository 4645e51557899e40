"""What a prepared data set is: ``manifest.json``, written last. No manifest, no data set."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.errors import DataSetError
from data_prep.files import atomic_write, checksum

FORMAT_VERSION = 1
MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True)
class LabelSpec:
    """One label: its name, how many values it has, and what they mean."""

    name: str
    cardinality: int
    values: tuple[str, ...]


@dataclass(frozen=True)
class ShardSpec:
    """One file of a data set: its name in the folder, rows, bytes and SHA-256 (hexadecimal)."""

    file: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class SplitSpec:
    """One split: its Arrow shards in row order, and the same rows as one FFCV file where FFCV is installed."""

    name: str
    rows: int
    shards: tuple[ShardSpec, ...]
    beton: ShardSpec | None
    label_frequencies: tuple[tuple[float, ...], ...]
    """[label][value]: share of the value among the rows where this label is observed; sums to 1 (0 if none is)."""
    labels_used: dict[str, tuple[int, ...]]
    """supervision rate as text ("0.06") → per label, the number of rows whose label is used at that rate"""

    @property
    def files(self) -> tuple[ShardSpec, ...]:
        return self.shards if self.beton is None else (*self.shards, self.beton)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a prepared data set holds and what it was made from."""

    name: str
    digest: str
    """16 hexadecimal characters of everything that decides the content"""
    image_shape: tuple[int, int, int]
    """(C, H, W), uint8"""
    labels: tuple[LabelSpec, ...]
    factors: tuple[str, ...]
    """names of the continuous factors; () for most sources"""
    splits: dict[str, SplitSpec]
    options: dict[str, Any]
    """the source's options"""
    sources: dict[str, str]
    """raw file, unpacked → checksum"""
    seed: int
    """of the supervision ranks"""
    rows_per_shard: int
    regions: bool = False
    """whether the shards say which pixels each label may change"""
    left_out: dict[str, int] = field(default_factory=dict)
    """reason → number of pictures that are in no split for it, as the options say"""
    format_version: int = FORMAT_VERSION

    @staticmethod
    def load(folder: Path) -> Manifest:
        """Read ``folder/manifest.json``; ``DataSetError`` naming it when missing, damaged or of another version."""
        path = Path(folder) / MANIFEST_FILE
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            version = record["format_version"]
            if version != FORMAT_VERSION:
                raise DataSetError(
                    f"{path}: format version {version!r}, but this program reads {FORMAT_VERSION}; prepare it again"
                )
            return _manifest_from(record)
        except (FileNotFoundError, NotADirectoryError):
            raise DataSetError(f"{path} is missing: not a prepared data set, or an unfinished one") from None
        except OSError as error:
            raise DataSetError(f"{path} cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataSetError(
                f"{path} is damaged ({type(error).__name__}: {error}); prepare it again"
            ) from None

    def save(self, folder: Path) -> None:
        """Write ``folder/manifest.json`` atomically; the same manifest gives the same bytes."""
        text = json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False)
        with atomic_write(Path(folder) / MANIFEST_FILE) as file:
            file.write(text.encode("utf-8") + b"\n")


def content_digest(
    *, name: str, options: Mapping[str, Any], sources: Mapping[str, str], seed: int, rows_per_shard: int
) -> str:
    """16 hexadecimal characters of the SHA-256 over everything that decides the bytes of the shards."""
    content = {
        "format_version": FORMAT_VERSION,
        "name": name,
        "options": dict(options),
        "sources": dict(sources),
        "seed": seed,
        "rows_per_shard": rows_per_shard,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def verify_sizes(folder: Path, manifest: Manifest) -> None:
    """``DataSetError`` naming the file unless every shard exists with the size in the manifest. Fast."""
    for spec in _files(manifest):
        verify_size(Path(folder), spec)


def verify_checksums(folder: Path, manifest: Manifest) -> None:
    """``DataSetError`` naming the file unless every shard has the SHA-256 in the manifest. Reads everything."""
    for spec in _files(manifest):
        verify_file(Path(folder), spec)


def verify_size(folder: Path, spec: ShardSpec) -> None:
    """``DataSetError`` unless this one file exists with its size."""
    path = folder / spec.file
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise DataSetError(f"{path} is missing; prepare the data set again") from None
    if size != spec.bytes:
        raise DataSetError(f"{path} has {size} bytes where the manifest says {spec.bytes}; {_remedy(folder)}")


def verify_file(folder: Path, spec: ShardSpec) -> None:
    """``DataSetError`` unless this one file exists with its size and SHA-256."""
    verify_size(folder, spec)
    if checksum(folder / spec.file) != spec.sha256:
        raise DataSetError(
            f"{folder / spec.file} is damaged (its SHA-256 is not the manifest's); {_remedy(folder)}"
        )


def _remedy(folder: Path) -> str:
    return f"remove {folder} and prepare it again"


def _files(manifest: Manifest) -> Iterator[ShardSpec]:
    for split in manifest.splits.values():
        yield from split.files


def _shard_from(record: Mapping[str, Any]) -> ShardSpec:
    spec = ShardSpec(str(record["file"]), int(record["rows"]), int(record["bytes"]), str(record["sha256"]))
    if Path(spec.file).name != spec.file:
        raise ValueError(f"{spec.file!r} is not a plain file name")
    return spec


def _split_from(record: Mapping[str, Any]) -> SplitSpec:
    return SplitSpec(
        name=str(record["name"]),
        rows=int(record["rows"]),
        shards=tuple(_shard_from(s) for s in record["shards"]),
        beton=None if record["beton"] is None else _shard_from(record["beton"]),
        label_frequencies=tuple(tuple(float(v) for v in label) for label in record["label_frequencies"]),
        labels_used={str(k): tuple(int(n) for n in v) for k, v in record["labels_used"].items()},
    )


def _manifest_from(record: Mapping[str, Any]) -> Manifest:
    channels, height, width = (int(n) for n in record["image_shape"])
    return Manifest(
        name=str(record["name"]),
        digest=str(record["digest"]),
        image_shape=(channels, height, width),
        labels=tuple(
            LabelSpec(x["name"], int(x["cardinality"]), tuple(x["values"])) for x in record["labels"]
        ),
        factors=tuple(str(f) for f in record["factors"]),
        splits={str(k): _split_from(v) for k, v in record["splits"].items()},
        options=dict(record["options"]),
        sources={str(k): str(v) for k, v in record["sources"].items()},
        seed=int(record["seed"]),
        rows_per_shard=int(record["rows_per_shard"]),
        regions=bool(record.get("regions", False)),  # earlier manifests mention neither
        left_out={str(why): int(count) for why, count in record.get("left_out", {}).items()},
    )
